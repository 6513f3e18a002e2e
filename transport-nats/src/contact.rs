//! Whether a source that waits would hear of the next record (S13).
//!
//! Two have to be there for that: the server that holds the consumer, which sends heartbeats while there is nothing to bring, and
//! the stream's leader, without which nothing new is stored. In a cluster these may be two servers, and the heartbeats go on when
//! the leader is gone. So the leader is asked, now and then, what it holds.

use std::time::Duration;

use tokio::time::Instant;

/// How often heartbeats come, as a part of the contact time: two of them may be lost.
const HEARTBEAT: f64 = 0.3;
/// After which part of the contact time without a word from the consumer it counts as gone. The rest is for the way.
const SILENCE: f64 = 0.9;
/// How long the leader is left alone, and how long it may take to answer.
const PEACE: f64 = 0.5;
const ANSWER: f64 = 0.4;

#[derive(Debug)]
pub(crate) struct Contact {
    time: Duration,
    /// When the consumer was last heard, or asked.
    consumer: Instant,
    /// When the leader was last heard.
    leader: Instant,
    /// Since when an answer of the leader is awaited.
    asked: Option<Instant>,
}

/// What is to be done when nothing came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    AskTheLeader,
    /// Contact is gone, for so long.
    Gone(Duration),
}

impl Contact {
    pub(crate) fn new(time: Duration) -> Self {
        let now = Instant::now();
        Self { time, consumer: now, leader: now, asked: None }
    }

    pub(crate) fn heartbeat(time: Duration) -> Duration {
        time.mul_f64(HEARTBEAT)
    }

    pub(crate) fn consumer_heard(&mut self) {
        self.consumer = Instant::now();
    }

    /// The stream's leader has answered, or a message has come.
    pub(crate) fn leader_heard(&mut self) {
        (self.leader, self.asked) = (Instant::now(), None);
    }

    pub(crate) fn leader_asked(&mut self) {
        self.asked = Some(Instant::now());
    }

    fn consumer_limit(&self) -> Instant {
        self.consumer + self.time.mul_f64(SILENCE)
    }

    fn leader_limit(&self) -> Instant {
        match self.asked {
            Some(asked) => asked + self.time.mul_f64(ANSWER),
            None => self.leader + self.time.mul_f64(PEACE),
        }
    }

    /// Until when there is nothing to do but to listen.
    pub(crate) fn limit(&self) -> Instant {
        self.consumer_limit().min(self.leader_limit())
    }

    /// What is due when the limit has passed.
    pub(crate) fn due(&self) -> Due {
        if self.consumer_limit() > Instant::now() && self.asked.is_none() {
            return Due::AskTheLeader;
        }
        let last = if self.asked.is_some() { self.leader.min(self.consumer) } else { self.consumer };
        Due::Gone(last.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_consumer_that_is_silent_is_gone_within_the_contact_time() {
        let mut contact = Contact::new(TIME);
        let begin = Instant::now();
        loop {
            tokio::time::sleep_until(contact.limit()).await;
            match contact.due() {
                Due::AskTheLeader => contact.leader_heard(),
                Due::Gone(_) => break,
            }
        }
        assert!(begin.elapsed() < TIME, "{:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_does_not_answer_is_gone_within_the_contact_time_though_heartbeats_come() {
        let mut contact = Contact::new(TIME);
        let begin = Instant::now();
        loop {
            let heartbeat = Instant::now() + Contact::heartbeat(TIME);
            tokio::time::sleep_until(contact.limit().min(heartbeat)).await;
            if Instant::now() >= heartbeat {
                contact.consumer_heard();
                continue;
            }
            match contact.due() {
                Due::AskTheLeader => contact.leader_asked(),
                Due::Gone(_) => break,
            }
        }
        assert!(begin.elapsed() < TIME, "{:?}", begin.elapsed());
    }
}
