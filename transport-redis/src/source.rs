//! The reading half.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use backup_tracker::transport::Place;
use backup_tracker::wire::Others;
use backup_tracker::{Error, ErrorKind, EventSource, Record, Remaining, Result};

use crate::answer::{self, Looked, Opened, Start};
use crate::config::RedisSourceBuilder;
use crate::entry;
use crate::error::RedisErrors;
use crate::link::Deadline;
use crate::log::{Entry, Mark};
use crate::reader::{LEAST_COUNT, Reader, Step, Task, next_count};
use crate::script;

const OPEN: &str = "open the source";
const READ: &str = "read";
const COMMIT: &str = "commit";
const CLAIM: &str = "claim the group";
const REMAINING: &str = "ask how much remains";

/// Reads a stream, for a group or without one. Made by [`Redis::source`](crate::Redis::source) and
/// [`Redis::observer`](crate::Redis::observer).
///
/// Two connections: one that waits for entries, and one for everything else. After a failure the next call connects anew.
pub struct RedisSource {
    place: Place,
    reader: Reader,
    request_timeout: Duration,
    /// By which the group knows its stream, empty for an observer; `None` while the stream is gone.
    token: Option<String>,
    resumed: bool,
    /// To which this session binds the group; `None` until it is told.
    application: Option<String>,
    /// Found at opening, to be said by the first `next`.
    lost: bool,
    /// Behind the last record that `next` returned.
    returned: Mark,
    /// Behind the last entry that was fetched.
    fetched: Mark,
    buffer: VecDeque<Entry>,
    /// Whose entries are only counted.
    others: Option<Others>,
    /// How many entries the next look fetches.
    count: usize,
    /// The look at the stream that is going on. It outlives a `next` that is dropped, so that asking again and again gets
    /// on.
    step: Option<Task<Result<Step>>>,
}

impl RedisSource {
    pub(crate) async fn open(builder: RedisSourceBuilder, place: Place) -> Result<Self> {
        let client = builder.redis.access.client(&place)?;
        let reader = Reader::new(client, &builder, place.clone());
        let deadline = Deadline::after(builder.redis.open_timeout);
        let Start { lost, token, committed, mark, numbers } = match reader.open(OPEN, deadline).await? {
            Opened::At(start) => *start,
            Opened::Missing if reader.group.is_some() => return Err(place.missing(OPEN)),
            Opened::Missing => {
                let message =
                    "there is no such stream, and an observer creates none; the first sink or group may";
                return Err(place.error(ErrorKind::NotFound, OPEN, message));
            }
        };
        let lost = lost || numbers.lost_behind(&mark);
        Ok(Self {
            place,
            reader,
            request_timeout: builder.request_timeout,
            token: Some(token),
            resumed: committed && !lost,
            application: None,
            lost,
            returned: mark.clone(),
            fetched: mark,
            buffer: VecDeque::new(),
            others: None,
            count: LEAST_COUNT,
            step: None,
        })
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.request_timeout)
    }

    /// Begins again at the earliest entry, and says so.
    fn begin_again(&mut self, token: Option<String>, mark: Mark) -> Error {
        self.token = token;
        self.resumed = false;
        self.goes_on_at(mark);
        let message =
            "the stream was trimmed, deleted or recreated under the position; going on at the earliest entry";
        self.place.error(ErrorKind::Lost, READ, message)
    }

    fn goes_on_at(&mut self, mark: Mark) {
        self.buffer.clear();
        self.returned = mark.clone();
        self.fetched = mark;
    }

    fn take(&mut self) -> Option<Record> {
        let mut left_out = 0;
        while let Some(mark) =
            self.buffer.pop_front_if(|entry| wrote(&self.others, entry)).map(|entry| entry.mark)
        {
            self.returned = mark;
            left_out += 1;
        }
        if left_out > 0 {
            return Some(Record::left_out(self.returned.id.into(), left_out));
        }
        let Entry { mark, fields } = self.buffer.pop_front()?;
        let record = entry::record(mark.id, fields);
        self.returned = mark;
        Some(record)
    }

    /// Starts a look at the stream, unless one is going on.
    fn look(&mut self) -> &mut Task<Result<Step>> {
        self.step.get_or_insert_with(|| match &self.token {
            // A group that was lost is opened anew, at the earliest entry.
            Some(token) if !self.lost => self.reader.follow(token.clone(), self.fetched.clone(), self.count),
            _ => self.reader.reopen(self.token.is_none()),
        })
    }

    /// Looks at the stream until there is something to say.
    async fn step(&mut self) -> Result<Step> {
        let step = self.look();
        let answer = step.await;
        self.step = None;
        answer.unwrap_or_else(|| {
            Err(self.place.error(ErrorKind::Unavailable, READ, "the runtime is going away"))
        })
    }
}

/// The group belongs to another application.
fn taken_by(place: &Place, operation: &'static str, owner: &str, application: &str) -> Error {
    let group = place.group.as_deref().unwrap_or_default();
    let destroy = command_line(&["XGROUP", "DESTROY", &place.topic, group]);
    let side = script::side_key(&place.topic);
    let forget = command_line(&["HDEL", &side, &format!("group:{group}"), &format!("application:{group}")]);
    place.claimed_by(operation, owner, application, Some(&format!("`{destroy}` and `{forget}`")))
}

/// What to type into a shell.
fn command_line(words: &[&str]) -> String {
    let plain = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":._-".contains(&byte));
    words.iter().fold("redis-cli".to_owned(), |line, word| {
        if plain(word) { line + " " + word } else { format!("{line} '{}'", word.replace('\'', r"'\''")) }
    })
}

fn wrote(others: &Option<Others>, entry: &Entry) -> bool {
    let payload = entry::payload(&entry.fields);
    others.as_ref().zip(payload).is_some_and(|(others, payload)| others.wrote(payload))
}

impl EventSource for RedisSource {
    async fn next(&mut self) -> Result<Option<Record>> {
        loop {
            if let Some(record) = self.take() {
                return Ok(Some(record));
            }
            match self.step().await? {
                Step::Entries(entries, next) => {
                    let full = entries.len() >= self.count;
                    self.count = next_count(entries.len(), entries.iter().map(Entry::size).sum());
                    self.fetched = next;
                    self.buffer.extend(entries);
                    // There is more: the server looks for it while these are returned.
                    if full {
                        self.look();
                    }
                }
                Step::Lost => self.lost = true,
                Step::Opened { token, earliest } => {
                    if self.lost {
                        self.lost = false;
                        return Err(self.begin_again(Some(token), earliest));
                    }
                    // It was said when the stream went; now there is one again.
                    self.token = Some(token);
                    self.goes_on_at(earliest);
                }
                Step::Gone => {
                    self.lost = false;
                    return Err(self.begin_again(None, Mark::default()));
                }
            }
        }
    }

    async fn commit(&mut self) -> Result<()> {
        let Some(group) = self.reader.group.as_deref() else { return Ok(()) };
        // While it is lost, nothing that was read is in the stream any more, so that nothing is left to be replayed.
        let Some(token) = self.token.as_ref().filter(|_| !self.lost) else { return Ok(()) };
        let (id, read) = (self.returned.id.to_string(), self.returned.read.to_string());
        let mut arguments = vec![group, token, &id, &read];
        arguments.extend(self.application.as_deref());
        let command = script::run_with(script::COMMIT, &self.place.topic, &arguments);
        let answer = self.reader.requests.ask(&command, self.deadline()).await;
        let answer = answer.map_err(|failure| self.place.failure(COMMIT, failure))?;
        let answer = answer::text(answer).ok_or_else(|| self.place.strange(COMMIT))?;
        // Gone: as above, and the next read says so.
        if matches!(&*answer, "moved" | "ahead" | "gone") {
            return Ok(());
        }
        match answer.strip_prefix("taken ").zip(self.application.as_deref()) {
            Some((owner, application)) => Err(taken_by(&self.place, COMMIT, owner, application)),
            None => Err(self.place.strange(COMMIT)),
        }
    }

    async fn claim(&mut self, application: &str) -> Result<()> {
        let Some(group) = self.reader.group.as_deref() else { return Ok(()) };
        self.application = Some(application.to_owned());
        let command = script::run_with(script::CLAIM, &self.place.topic, &[group, application]);
        let answer = self.reader.requests.ask(&command, self.deadline()).await;
        let answer = answer.map_err(|failure| self.place.failure(CLAIM, failure))?;
        let owner = answer::text(answer).ok_or_else(|| self.place.strange(CLAIM))?;
        if owner == application { Ok(()) } else { Err(taken_by(&self.place, CLAIM, &owner, application)) }
    }

    fn resumed(&self) -> bool {
        self.resumed
    }

    fn leave_out(&mut self, others: Others) {
        self.others = Some(others);
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        let command = self.reader.look();
        let answer = self.reader.requests.ask(&command, self.deadline()).await;
        let answer = answer.map_err(|failure| self.place.failure(REMAINING, failure))?;
        let fetched = self.buffer.len() as u64;
        match answer::looked(answer).ok_or_else(|| self.place.strange(REMAINING))? {
            Looked::Missing => Ok(fetched.into()),
            Looked::View(view) => {
                let same = self.token.as_ref().is_some_and(|token| *token == view.token);
                let numbers = view.numbers;
                let behind = if !same || self.lost || numbers.lost_behind(&self.returned) {
                    numbers.length
                } else {
                    numbers.behind(&self.returned)
                };
                Ok(behind.max(fetched).into())
            }
        }
    }
}

impl fmt::Debug for RedisSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSource")
            .field("topic", &self.place.topic)
            .field("group", &self.reader.group)
            .field("entry", &self.returned.id.to_string())
            .field("resumed", &self.resumed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        assert_eq!(
            command_line(&["HDEL", "eu.backups:backup-tracker"]),
            "redis-cli HDEL eu.backups:backup-tracker"
        );
        assert_eq!(command_line(&["GET", "a b", "it's"]), r"redis-cli GET 'a b' 'it'\''s'");
    }
}
