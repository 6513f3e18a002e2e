//! A transport over a plain file: append-only, locked, shared by the processes of one Unix machine.
#![cfg_attr(doctest, doc = include_str!("../../../docs/writing-a-transport.md"))]

use std::fs::{File, TryLockError, create_dir_all};
use std::io::{self, BufRead, BufReader, Error as IoError, Seek, SeekFrom, Split, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use backup_tracker::transport::not_blank;
use backup_tracker::{
    Delivery, Error, ErrorKind, Event, EventSource, Header, Position, Record, Remaining, Result, Sink,
    StartAt,
};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// How large an event's payload and headers may be together: 1 MiB.
pub const MAX_EVENT_BYTES: usize = 1024 * 1024;
const POLL_INTERVAL: Duration = Duration::from_millis(5);
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Where the first event can be in `log`, behind its UUID, which a log that was deleted does not get again.
const FIRST: u64 = 39;

/// Every other line of `log`: key, headers, payload.
type Line = (Option<Uuid>, Vec<(String, Vec<u8>)>, Option<Vec<u8>>);

/// A line of `positions`: a group's offset, committed or fixed by opening. The greatest one counts; UUIDs grow with time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place {
    log: Uuid,
    offset: u64,
    committed: bool,
    group: String,
}

/// A log in a directory, and a sink that appends to it. Cheap to clone; every clone means the same log.
#[derive(Clone, Debug)]
pub struct FileLog(PathBuf);

impl FileLog {
    /// The log in this directory, which is made if it is missing.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        not_blank("directory", &directory.to_string_lossy())?;
        create_dir_all(&directory).map_err(|cause| Error::io("open the log", cause))?;
        Ok(Self(directory))
    }

    /// A source that reads this log for a group. The start of a new one is fixed, so that its next session begins there.
    pub async fn source(&self, group: &str, start: StartAt) -> Result<FileSource> {
        not_blank("group", group)?;
        let group = group.to_owned();
        let begin = move |files: Files| {
            let places = lines(&files.positions, 0)?.collect::<io::Result<Vec<_>>>()?;
            let places = places.iter().flat_map(|line| serde_json::from_slice::<Place>(line));
            if let Some(place) = places.filter(|place| place.group == group).max() {
                return Ok((place.committed && files.holds(&place)?, place));
            }
            let offset = if start == StartAt::Latest { files.log.metadata()?.len() } else { FIRST };
            let place = Place { log: files.id, offset, committed: false, group };
            append(&files.positions, &place).map(|()| (false, place))
        };
        let (resumed, place) = self.run("open the source", begin).await?;
        Ok(FileSource { log: self.clone(), place, resumed })
    }

    /// Waits for the lock, and then works where a slow disk does not hold up the runtime. Work that has begun goes on to its
    /// end, under the lock, when the future is dropped: it gets copies, and only code after the await changes a source.
    async fn run<T, W>(&self, operation: &'static str, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(Files) -> io::Result<T> + Send + 'static,
    {
        let failed = |cause| Error::io(operation, cause).with_topic(self.0.to_string_lossy());
        let files = timeout(LOCK_PATIENCE, Files::lock(&self.0)).await.map_err(IoError::from).flatten();
        let files = files.map_err(|cause| failed(cause).with_delivery(Delivery::NotSent))?;
        tokio::task::spawn_blocking(|| work(files)).await.map_err(IoError::other).flatten().map_err(failed)
    }
}

/// The two files, which nobody else reads or writes until this is dropped.
struct Files {
    log: File,
    id: Uuid,
    positions: File,
}

impl Files {
    async fn lock(directory: &Path) -> io::Result<Self> {
        let open = |name| File::options().create(true).read(true).append(true).open(directory.join(name));
        let log = loop {
            let log = open("log")?;
            match log.try_lock() {
                // Not one that was deleted while we waited for it.
                Ok(()) if log.metadata()?.nlink() > 0 => break log,
                Err(TryLockError::Error(error)) => return Err(error),
                _ => sleep(Duration::from_millis(1)).await,
            }
        };
        let positions = open("positions")?;
        if log.metadata()?.len() < FIRST {
            log.set_len(0)?;
            append(&log, &Uuid::now_v7())?;
            File::open(directory)?.sync_all()?;
        }
        let id = serde_json::from_slice(&lines(&log, 0)?.next().transpose()?.unwrap_or_default())?;
        Ok(Self { log, id, positions })
    }

    /// Whether a session can go on there. Behind the end it cannot: then the file is an older copy.
    fn holds(&self, place: &Place) -> io::Result<bool> {
        Ok(place.log == self.id && place.offset <= self.log.metadata()?.len() + 1)
    }
}

/// The lines from an offset on. What a killed writer left unfinished is one, too: core skips what is no event.
fn lines(mut file: &File, offset: u64) -> io::Result<Split<BufReader<&File>>> {
    file.seek(SeekFrom::Start(offset))?;
    Ok(BufReader::new(file).split(b'\n'))
}

/// Adds a line, behind the end of what a killed writer left unfinished, and waits for the disk.
fn append(mut file: &File, line: &impl Serialize) -> io::Result<()> {
    let mut last = [b'\n'];
    file.read_at(&mut last, file.metadata()?.len().saturating_sub(1))?;
    let end = if last == [b'\n'] { "" } else { "\n" };
    file.write_all(format!("{end}{}\n", serde_json::to_string(line)?).as_bytes())?;
    file.sync_data()
}

impl Sink for FileLog {
    async fn send(&mut self, event: &Event) -> Result<()> {
        event.check_size(MAX_EVENT_BYTES)?;
        let headers = event.headers.iter().map(|header| (header.name.clone(), header.value.to_vec()));
        let line: Line = (Some(event.key), headers.collect(), Some(event.payload.to_vec()));
        self.run("send", move |files| append(&files.log, &line)).await
    }
}

/// Reads a [`FileLog`] for a group.
#[derive(Debug)]
pub struct FileSource {
    log: FileLog,
    /// Behind the last record that `next` returned.
    place: Place,
    resumed: bool,
}

impl EventSource for FileSource {
    async fn next(&mut self) -> Result<Option<Record>> {
        loop {
            let place = self.place.clone();
            let read = move |files: Files| match files.holds(&place)? {
                true => lines(&files.log, place.offset)?.next().transpose().map(Ok),
                false => Ok(Err(files.id)),
            };
            match self.log.run("read", read).await? {
                Ok(None) => sleep(POLL_INTERVAL).await,
                Ok(Some(line)) => {
                    let position = Position::Offset(self.place.offset);
                    self.place.offset += line.len() as u64 + 1;
                    // A file may hold anything. A line that is none of ours is a record with neither key nor payload.
                    let (key, headers, payload): Line = serde_json::from_slice(&line).unwrap_or_default();
                    let headers = headers.into_iter().map(|(name, value)| Header::new(name, value)).collect();
                    let payload = payload.map(Into::into);
                    return Ok(Some(Record::new(position).key(key).headers(headers).payload(payload)));
                }
                Err(log) => {
                    (self.place.log, self.place.offset, self.resumed) = (log, FIRST, false);
                    let message = "the records at the position are gone; going on at the earliest";
                    return Err(Error::new(ErrorKind::Lost, "read", message).with_group(&self.place.group));
                }
            }
        }
    }

    async fn commit(&mut self) -> Result<()> {
        let place = Place { committed: true, ..self.place.clone() };
        // A killed writer's last line may be in the file and not on the disk. A position must not outlive what it covers.
        let commit = move |f: Files| f.log.sync_data().and_then(|()| append(&f.positions, &place));
        self.log.run("commit", commit).await
    }

    fn resumed(&self) -> bool {
        self.resumed
    }

    async fn remaining(&mut self) -> Result<Remaining> {
        let place = self.place.clone();
        let count = move |files: Files| {
            let offset = if files.holds(&place)? { place.offset } else { FIRST };
            lines(&files.log, offset)?.try_fold(0, |count, line| line.map(|_| count + 1))
        };
        self.log.run("count what remains", count).await.map(Remaining::from)
    }
}
