//! A transport over a plain file: append-only, locked, and shared by the processes of one Unix machine. The guide for
//! authors of transports, `docs/writing-a-transport.md`, walks through it.
//!
//! A log is a directory, a group is a name, and all applications share one order.

mod files;
#[cfg(doctest)]
#[doc = include_str!("../../../docs/writing-a-transport.md")]
mod guide {}

use std::path::PathBuf;
use std::time::Duration;
use std::{fs, io};

use backup_tracker::{
    Delivery, Error, ErrorKind, Event, EventSource, Header, Position, Record, Result, Sink,
};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use uuid::Uuid;

use crate::files::{Files, Found, Place};

/// How large an event's payload and headers may be together: 1 MiB.
pub const MAX_EVENT_BYTES: usize = 1024 * 1024;
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Where a new group starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At the first record of the log.
    Earliest,
    /// Behind the last one.
    Latest,
}

/// A log in a directory. Cheap to clone; every clone means the same log.
#[derive(Clone, Debug)]
pub struct FileLog(PathBuf);

impl FileLog {
    /// The log in this directory, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) when the name is blank, else what kept the directory from being made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let log = Self(directory.into());
        if log.0.to_string_lossy().trim().is_empty() {
            return Err(Error::config("directory", "it must not be blank"));
        }
        fs::create_dir_all(&log.0).map_err(|cause| log.error("open the log", cause))?;
        Ok(log)
    }

    /// A sink that appends to this log.
    #[must_use]
    pub fn sink(&self) -> FileSink {
        FileSink(self.clone())
    }

    /// A source that reads this log for a group.
    ///
    /// # Errors
    ///
    /// [`Config`](ErrorKind::Config) when the group is blank, else as for [`EventSource::commit`].
    pub async fn source(&self, group: impl Into<String> + Send, start: StartAt) -> Result<FileSource> {
        let group = group.into();
        if group.trim().is_empty() {
            return Err(Error::config("group", "it must not be blank"));
        }
        let (name, latest) = (group.clone(), start == StartAt::Latest);
        let (place, resumed) = self.run("open the source", move |files| files.begin(name, latest)).await?;
        Ok(FileSource { log: self.clone(), group, place, resumed })
    }

    /// Removes every record, as retention would.
    ///
    /// # Errors
    ///
    /// As for [`EventSource::commit`].
    pub async fn trim(&self) -> Result<()> {
        self.run("trim", |files| files.trim()).await
    }

    /// Waits for the lock, and then works where a slow disk does not hold up the runtime. A future that is dropped waits
    /// no longer; but work that has begun goes on to its end, under the lock. So it must get copies, and what it finds
    /// may change a sink or a source only after the await.
    async fn run<T, W>(&self, operation: &'static str, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(Files) -> io::Result<T> + Send + 'static,
    {
        let untouched = |cause| self.error(operation, cause).with_delivery(Delivery::NotSent);
        let files = Files::lock(&self.0).await.map_err(untouched)?;
        let done = spawn_blocking(|| work(files)).await.map_err(io::Error::other);
        done.flatten().map_err(|cause| self.error(operation, cause))
    }

    fn error(&self, operation: &'static str, cause: io::Error) -> Error {
        let kind = match cause.kind() {
            io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => ErrorKind::Corrupt,
            io::ErrorKind::Other => ErrorKind::Internal,
            // `NotFound`, too: the directory was there, and its file system may be mounted again.
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, operation, cause.to_string()).with_topic(self.0.to_string_lossy()).with_source(cause)
    }
}

/// Appends to a [`FileLog`]. Made by [`FileLog::sink`].
#[derive(Debug)]
pub struct FileSink(FileLog);

impl Sink for FileSink {
    async fn send(&mut self, event: &Event) -> Result<()> {
        let headers = event.headers.iter().map(|header| header.name.len() + header.value.len());
        let size = event.payload.len() + headers.sum::<usize>();
        if size > MAX_EVENT_BYTES {
            let message = format!("the event has {size} bytes, and the log takes {MAX_EVENT_BYTES}");
            return Err(Error::new(ErrorKind::Rejected, "send", message).with_delivery(Delivery::NotSent));
        }
        let line = encode(event).map_err(|cause| self.0.error("send", cause))?;
        self.0.run("send", move |files| files.append(&line)).await
    }

    async fn close(self) -> Result<()> {
        Ok(())
    }
}

/// Reads a [`FileLog`] for a group. Made by [`FileLog::source`].
#[derive(Debug)]
pub struct FileSource {
    log: FileLog,
    group: String,
    /// Behind the last record that `next` returned.
    place: Place,
    resumed: bool,
}

impl EventSource for FileSource {
    async fn next(&mut self) -> Result<Option<Record>> {
        loop {
            let place = self.place;
            match self.log.run("read", move |files| files.read(place)).await? {
                Found::Line(line, behind) => {
                    self.place = behind;
                    return Ok(Some(decode(Position::Offset(place.offset), &line)));
                }
                Found::Nothing => sleep(POLL_INTERVAL).await,
                Found::Gone(earliest) => {
                    (self.place, self.resumed) = (earliest, false);
                    let message = "the records at the position are gone; going on at the earliest";
                    let lost = Error::new(ErrorKind::Lost, "read", message).with_group(&self.group);
                    return Err(lost.with_topic(self.log.0.to_string_lossy()));
                }
            }
        }
    }

    async fn commit(&mut self) -> Result<()> {
        let (group, place) = (self.group.clone(), self.place);
        self.log.run("commit", move |files| files.commit(group, place)).await
    }

    fn resumed(&self) -> bool {
        self.resumed
    }

    async fn remaining(&mut self) -> Result<u64> {
        let place = self.place;
        self.log.run("count what remains", move |files| files.count(place)).await
    }

    async fn close(self) -> Result<()> {
        Ok(())
    }
}

/// A line in JSON: key, headers, payload. Bytes are text, with one character from U+0000 to U+00FF for each.
type Line = (Option<String>, Vec<(String, String)>, Option<String>);

fn encode(event: &Event) -> io::Result<Vec<u8>> {
    let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect();
    let headers = event.headers.iter().map(|header| (header.name.clone(), text(&header.value)));
    let line: Line = (Some(event.key.to_string()), headers.collect(), Some(text(&event.payload)));
    Ok(serde_json::to_vec(&line)?)
}

/// A file may hold anything. A line that is none of ours is a record with neither key nor payload.
fn decode(position: Position, line: &[u8]) -> Record {
    let (key, headers, payload): Line = serde_json::from_slice(line).unwrap_or_default();
    let bytes = |text: String| text.chars().flat_map(u8::try_from).collect::<Vec<u8>>();
    let key = key.and_then(|key| key.parse::<Uuid>().ok());
    let headers = headers.into_iter().map(|(name, value)| Header::new(name, bytes(value))).collect();
    Record::new(position).key(key).headers(headers).payload(payload.map(|text| bytes(text).into()))
}
