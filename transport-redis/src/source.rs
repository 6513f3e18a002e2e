//! The reading half.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use backup_tracker::transport::Place;
use backup_tracker::wire::Others;
use backup_tracker::{Error, ErrorKind, EventSource, Record, Remaining, Result};
use redis::Cmd;
use tokio::time::timeout;

use crate::answer::{self, Looked, Opened, Start};
use crate::config::RedisSourceBuilder;
use crate::entry;
use crate::error::{Failure, RedisErrors};
use crate::link::Deadline;
use crate::log::{Entry, Mark};
use crate::reader::{LEAST_COUNT, Reader, Step, Task, next_count};
use crate::script;
use crate::shell::command_line;

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
    step: Option<Task<Result<Step, Failure>>>,
    /// Why nothing can be read, as `next` said it last.
    trouble: Option<Error>,
}

impl RedisSource {
    pub(crate) async fn open(builder: RedisSourceBuilder, place: Place) -> Result<Self> {
        let reader = Reader::new(&builder, place.clone());
        let deadline = Deadline::after(builder.redis.open_timeout);
        let opened = reader.open(deadline).await.map_err(|failure| place.failure(OPEN, failure))?;
        let Start { lost, token, committed, mark, .. } = match opened {
            Opened::At(start) => *start,
            Opened::Missing => return Err(place.missing(OPEN)),
        };
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
            trouble: None,
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
        let message = "the stream was trimmed, deleted, recreated or restored under the position; going on at the earliest entry";
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
    fn look(&mut self) -> &mut Task<Result<Step, Failure>> {
        self.step.get_or_insert_with(|| match &self.token {
            // A group that was lost is opened anew, at the earliest entry.
            Some(token) if !self.lost => self.reader.follow(token.clone(), self.fetched.clone(), self.count),
            _ => self.reader.reopen(self.token.is_none()),
        })
    }

    /// Looks at the stream until there is something to say. While nothing can be read it says so again and again, and goes on
    /// trying in between (S13).
    async fn step(&mut self) -> Result<Step> {
        let again = self.reader.times.again;
        loop {
            let waits = self.trouble.is_some();
            let step = self.look();
            let answer = if waits { timeout(again, step).await } else { Ok(step.await) };
            match (answer, &self.trouble) {
                (Err(_), Some(trouble)) if !self.reader.is_in_contact() => return Err(trouble.clone()),
                // It is there again, and nothing comes.
                (Err(_), _) => self.trouble = None,
                (Ok(answer), _) => {
                    self.step = None;
                    self.trouble = None;
                    return match answer {
                        Some(Ok(step)) => Ok(step),
                        Some(Err(failure)) => Err(self.fails(failure)),
                        None => Err(going_away(&self.place)),
                    };
                }
            }
        }
    }

    /// The error of a failure, which is said again until there is something else to say.
    fn fails(&mut self, failure: Failure) -> Error {
        let error = self.place.trouble(READ, failure);
        self.trouble = Some(error.clone());
        error
    }

    async fn ask(&self, operation: &'static str, command: &Cmd) -> Result<String> {
        let answer = self.reader.requests.ask(command, self.deadline()).await;
        let answer = answer.and_then(|answer| answer::text(answer).ok_or_else(Failure::strange));
        answer.map_err(|failure| self.place.trouble(operation, failure))
    }
}

fn going_away(place: &Place) -> Error {
    place.error(ErrorKind::Unavailable, READ, "the runtime is going away")
}

/// The group belongs to another application.
fn taken_by(place: &Place, operation: &'static str, owner: &str, application: &str) -> Error {
    let group = place.group.as_deref().unwrap_or_default();
    let destroy = command_line(&["XGROUP", "DESTROY", &place.topic, group]);
    let side = script::side_key(&place.topic);
    let fields = ["group", "application", "entry"].map(|name| format!("{name}:{group}"));
    let forget = command_line(&["HDEL", &side, &fields[0], &fields[1], &fields[2]]);
    place.claimed_by(operation, owner, application, Some(&format!("`{destroy}` and `{forget}`")))
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
                    // It is said once that what was read is gone, and from then on that there is no stream.
                    self.fails(Failure::missing());
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
        let Mark { id, read, print } = &self.returned;
        let print = print.map(|print| print.to_string()).unwrap_or_default();
        let (id, read) = (id.to_string(), read.to_string());
        let mut arguments = vec![group, token, &id, &read, &print];
        arguments.extend(self.application.as_deref());
        let command = script::run_with(script::COMMIT, &self.place.topic, &arguments);
        let answer = self.ask(COMMIT, &command).await?;
        // Gone: as above, and the next read says so.
        if matches!(&*answer, "moved" | "ahead" | "gone") {
            return Ok(());
        }
        match answer.strip_prefix("taken ").zip(self.application.as_deref()) {
            Some((owner, application)) => Err(taken_by(&self.place, COMMIT, owner, application)),
            None => Err(self.place.trouble(COMMIT, Failure::strange())),
        }
    }

    async fn claim(&mut self, application: &str) -> Result<()> {
        let Some(group) = self.reader.group.as_deref() else { return Ok(()) };
        self.application = Some(application.to_owned());
        let command = script::run_with(script::CLAIM, &self.place.topic, &[group, application]);
        let owner = self.ask(CLAIM, &command).await?;
        if owner == application { Ok(()) } else { Err(taken_by(&self.place, CLAIM, &owner, application)) }
    }

    fn resumed(&self) -> bool {
        self.resumed
    }

    fn leave_out(&mut self, others: Others) {
        self.others = Some(others);
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        let looked = self.reader.look(Some(self.returned.id), self.deadline()).await;
        let fetched = self.buffer.len() as u64;
        match looked {
            Ok(Looked::View(view, there)) => {
                let same = self.token.as_ref().is_some_and(|token| *token == view.token);
                let numbers = view.numbers;
                let behind = if !same || self.lost || numbers.lost_behind(&self.returned, there) {
                    numbers.length
                } else {
                    numbers.behind(&self.returned)
                };
                Ok(behind.max(fetched).into())
            }
            Ok(Looked::Missing) => Err(self.place.trouble(REMAINING, Failure::missing())),
            Ok(Looked::Stale) => Err(self.place.trouble(REMAINING, Failure::strange())),
            Err(failure) => Err(self.place.trouble(REMAINING, failure)),
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
