//! Whether a source hears from what would bring its records (S13).

use std::time::{Duration, Instant};

/// How often, within the contact time, a partition that is silent is asked for something that it must answer.
const QUESTIONS: u32 = 3;

/// When each partition was last heard of. A record is a sign of life, and so is the report that there is none.
#[derive(Debug)]
pub(crate) struct Contact {
    time: Duration,
    partitions: Vec<Sight>,
}

#[derive(Clone, Copy, Debug)]
struct Sight {
    heard: Instant,
    /// Since when it owes an answer, and when it was last asked.
    asked: Option<(Instant, Instant)>,
    /// Something happened after which the log may be another one: what comes counts once the partition has answered a question.
    suspect: bool,
}

impl Sight {
    const fn heard_at(now: Instant) -> Self {
        Self { heard: now, asked: None, suspect: false }
    }
}

impl Contact {
    pub(crate) fn new(time: Duration, partitions: usize, now: Instant) -> Self {
        Self { time, partitions: vec![Sight::heard_at(now); partitions] }
    }

    pub(crate) const fn time(&self) -> Duration {
        self.time
    }

    /// Every partition counts as heard of: nobody listened, or all are read anew. There may be more of them than before.
    pub(crate) fn begin_anew(&mut self, partitions: usize, now: Instant) {
        *self = Self::new(self.time, partitions, now);
    }

    /// Every partition is read anew: no question is open, and no suspicion. That is no sign of life.
    pub(crate) fn settle(&mut self) {
        for sight in &mut self.partitions {
            (sight.asked, sight.suspect) = (None, false);
        }
    }

    /// Nobody listened until now, so that silence means nothing.
    pub(crate) fn excuse(&mut self, now: Instant) {
        for sight in &mut self.partitions {
            sight.heard = now;
        }
    }

    pub(crate) fn heard(&mut self, partition: usize, now: Instant) {
        if let Some(sight) = self.partitions.get_mut(partition) {
            (sight.heard, sight.asked) = (now, None);
        }
    }

    /// The partition was asked for something that it must answer.
    pub(crate) fn asked(&mut self, partition: usize, now: Instant) {
        if let Some(sight) = self.partitions.get_mut(partition) {
            let since = sight.asked.map_or(now, |(since, _)| since);
            (sight.asked, sight.suspect) = (Some((since, now)), false);
        }
    }

    /// The log may be another one since something happened.
    pub(crate) fn suspect_all(&mut self) {
        for sight in &mut self.partitions {
            sight.suspect = true;
        }
    }

    pub(crate) fn is_suspect(&self, partition: usize) -> bool {
        self.partitions.get(partition).is_some_and(|sight| sight.suspect)
    }

    /// Which partitions are to be asked now; those that were asked and are silent again after so long at the latest.
    pub(crate) fn due(&self, now: Instant, again: Duration) -> Vec<usize> {
        let interval = (self.time / QUESTIONS).min(again);
        let since = |moment| now.saturating_duration_since(moment) >= interval;
        let is_due = |sight: &Sight| match sight.asked {
            Some((_, asked)) => since(asked),
            None => sight.suspect || since(sight.heard),
        };
        (0..self.partitions.len()).filter(|partition| is_due(&self.partitions[*partition])).collect()
    }

    /// The partition that was silent for longest, and since when, once that is the contact time or more. Silence counts when there
    /// was time for an answer: a program that was stopped for a while has asked nothing.
    pub(crate) fn silent(&self, now: Instant) -> Option<(usize, Duration)> {
        let since = |moment| now.saturating_duration_since(moment);
        let owes =
            |sight: &Sight| sight.asked.is_some_and(|(first, _)| since(first) >= self.time / QUESTIONS);
        let silences = self.partitions.iter().enumerate().filter(|(_, sight)| owes(sight));
        let (partition, silence) = silences
            .map(|(partition, sight)| (partition, since(sight.heard)))
            .max_by_key(|(_, silence)| *silence)?;
        (silence >= self.time).then_some((partition, silence))
    }

    /// Whether every partition was heard of since then.
    pub(crate) fn all_heard_since(&self, moment: Instant) -> bool {
        self.partitions.iter().all(|sight| sight.heard > moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(9);
    const NEVER: Duration = Duration::MAX;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_is_silent_is_asked_and_asked_again_and_then_it_shows() {
        let begin = Instant::now();
        let mut contact = Contact::new(TIME, 2, begin);
        contact.heard(0, begin + seconds(2));
        assert!(contact.due(begin + seconds(2), NEVER).is_empty());
        assert_eq!(contact.due(begin + seconds(3), NEVER), [1]);
        contact.asked(1, begin + seconds(3));
        assert!(contact.due(begin + seconds(4), NEVER).is_empty());
        contact.heard(0, begin + seconds(5));
        assert_eq!(contact.due(begin + seconds(6), NEVER), [1]);
        contact.asked(1, begin + seconds(6));
        assert_eq!(contact.silent(begin + seconds(8)), None);
        // The silence began with the last sign of life, and not with the question.
        assert_eq!(contact.silent(begin + seconds(9)), Some((1, seconds(9))));
        contact.heard(1, begin + seconds(10));
        assert_eq!(contact.silent(begin + seconds(10)), None);
        assert!(contact.all_heard_since(begin + seconds(4)) && !contact.all_heard_since(begin + seconds(5)));
    }

    #[test]
    fn who_was_not_asked_is_not_called_silent() {
        let begin = Instant::now();
        let mut contact = Contact::new(TIME, 1, begin);
        // The program was stopped meanwhile.
        let later = begin + seconds(600);
        assert_eq!(contact.due(later, NEVER), [0]);
        contact.asked(0, later);
        assert_eq!(contact.silent(later), None);
        assert_eq!(contact.silent(later + seconds(3)), Some((0, seconds(603))));
    }

    #[test]
    fn after_trouble_everybody_is_asked_at_once_and_once() {
        let now = Instant::now();
        let mut contact = Contact::new(TIME, 2, now);
        contact.suspect_all();
        assert!(contact.is_suspect(0) && contact.is_suspect(1));
        assert_eq!(contact.due(now, NEVER), [0, 1]);
        contact.asked(0, now);
        // Who could not be asked does not keep others from being asked.
        assert_eq!(contact.due(now, NEVER), [1]);
        contact.asked(1, now);
        assert!(contact.due(now, NEVER).is_empty());
        // In trouble that lasts, more often.
        assert_eq!(contact.due(now + seconds(1), seconds(1)), [0, 1]);
    }

    #[test]
    fn reading_anew_is_no_sign_of_life() {
        let begin = Instant::now();
        let mut contact = Contact::new(TIME, 1, begin);
        contact.suspect_all();
        contact.settle();
        assert!(!contact.is_suspect(0) && contact.due(begin, NEVER).is_empty());
        assert_eq!(contact.due(begin + seconds(3), NEVER), [0]);
    }

    #[test]
    fn a_sign_of_life_does_not_clear_a_log_of_suspicion() {
        let now = Instant::now();
        let mut contact = Contact::new(TIME, 1, now);
        contact.suspect_all();
        contact.heard(0, now);
        assert!(contact.is_suspect(0));
        assert_eq!(contact.due(now, NEVER), [0]);
    }
}
