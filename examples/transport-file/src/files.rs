//! The two files of a log, in the place of a broker and its client: `log`, whose lock keeps everybody else away, and
//! `groups`, the groups' positions.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const LOCK_INTERVAL: Duration = Duration::from_millis(1);

/// An offset in one incarnation of the log; it says nothing about another one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    log: Uuid,
    pub(crate) offset: u64,
}

/// What a session finds at its place.
pub(crate) enum Found {
    /// A line, and the place behind it.
    Line(Vec<u8>, Place),
    /// Nothing yet.
    Nothing,
    /// The place itself is not there any more; this is the earliest that is.
    Gone(Place),
}

/// Where each group's next session begins, and whether a session committed that, or opening fixed it.
type Groups = BTreeMap<String, (Place, bool)>;

/// A log that nobody else reads or writes until this is dropped.
pub(crate) struct Files {
    directory: PathBuf,
    log: File,
    /// The first line of `log` is the place of the second one: deleting the file changes the UUID, trimming moves the
    /// offset on.
    earliest: Place,
    header: u64,
    end: u64,
}

impl Files {
    /// Takes the lock and looks at the header, which does not keep a thread for long; it is written once in a log's life.
    pub(crate) async fn lock(directory: &Path) -> io::Result<Self> {
        let log = File::options().create(true).read(true).append(true).open(directory.join("log"))?;
        let locked = async {
            while let Err(error) = log.try_lock() {
                match error {
                    TryLockError::WouldBlock => sleep(LOCK_INTERVAL).await,
                    TryLockError::Error(error) => return Err(error),
                }
            }
            Ok(())
        };
        let held =
            |_| io::Error::new(io::ErrorKind::TimedOut, "another process holds the lock and does not let go");
        timeout(LOCK_PATIENCE, locked).await.map_err(held)??;
        let mut header = String::new();
        BufReader::new(&log).read_line(&mut header)?;
        if !header.ends_with('\n') {
            header = start(&log, Place { log: Uuid::new_v4(), offset: 0 })?;
            File::open(directory)?.sync_all()?;
        }
        let (earliest, header): (Place, _) = (serde_json::from_str(&header)?, header.len() as u64);
        let end = earliest.offset + log.metadata()?.len() - header;
        Ok(Self { directory: directory.to_owned(), log, earliest, header, end })
    }

    /// Whether a session can go on there. Behind the end it cannot: then the file is an older copy.
    fn holds(&self, place: Place) -> bool {
        place.log == self.earliest.log && (self.earliest.offset..=self.end).contains(&place.offset)
    }

    fn from(&self, offset: u64) -> io::Result<BufReader<&File>> {
        let mut log = &self.log;
        log.seek(SeekFrom::Start(self.header + offset - self.earliest.offset))?;
        Ok(BufReader::new(log))
    }

    pub(crate) fn read(&self, mut place: Place) -> io::Result<Found> {
        if !self.holds(place) {
            return Ok(Found::Gone(self.earliest));
        }
        let mut line = Vec::new();
        place.offset += self.from(place.offset)?.read_until(b'\n', &mut line)? as u64;
        Ok(if line.ends_with(b"\n") { Found::Line(line, place) } else { Found::Nothing })
    }

    /// How many whole lines follow the place.
    pub(crate) fn count(&self, place: Place) -> io::Result<u64> {
        let place = if self.holds(place) { place } else { self.earliest };
        let mut bytes = self.from(place.offset)?.bytes();
        bytes.try_fold(0, |count, byte| Ok(count + u64::from(byte? == b'\n')))
    }

    /// Appends a line and waits for the disk. What a killed writer left unfinished becomes a line of its own: nobody was
    /// told that it is in the log, and core skips what is no event.
    pub(crate) fn append(&self, line: &[u8]) -> io::Result<()> {
        let torn = self.end > self.earliest.offset && self.from(self.end - 1)?.fill_buf()? != b"\n";
        let unfinished: &[u8] = if torn { b"\n" } else { b"" };
        (&self.log).write_all(&[unfinished, line, b"\n"].concat())?;
        self.log.sync_data()
    }

    /// Removes every line. Offsets go on where they were.
    pub(crate) fn trim(&self) -> io::Result<()> {
        start(&self.log, Place { offset: self.end, ..self.earliest }).map(drop)
    }

    /// Where a session of the group begins, and whether an earlier one committed that. Fixes the start of a new group.
    pub(crate) fn begin(&self, group: String, latest: bool) -> io::Result<(Place, bool)> {
        let groups = self.groups()?;
        if let Some(&(place, committed)) = groups.get(&group) {
            return Ok((place, committed && self.holds(place)));
        }
        let place = if latest { Place { offset: self.end, ..self.earliest } } else { self.earliest };
        self.replace(groups, group, (place, false))?;
        Ok((place, false))
    }

    /// Moves the group's position to the place: never back, and never into a log that is gone.
    pub(crate) fn commit(&self, group: String, place: Place) -> io::Result<()> {
        let groups = self.groups()?;
        let ahead = |held: &Place| held.log == place.log && held.offset > place.offset;
        if place.log != self.earliest.log || groups.get(&group).is_some_and(|(held, _)| ahead(held)) {
            return Ok(());
        }
        // A killed writer's last line may be in the file and not on the disk. A position must not outlive what it covers.
        self.log.sync_data()?;
        self.replace(groups, group, (place, true))
    }

    fn groups(&self) -> io::Result<Groups> {
        match fs::read(self.directory.join("groups")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Groups::new()),
            json => Ok(serde_json::from_slice(&json?)?),
        }
    }

    /// After a crash there are the old positions or the new ones, whole.
    fn replace(&self, mut groups: Groups, group: String, position: (Place, bool)) -> io::Result<()> {
        groups.insert(group, position);
        let new = self.directory.join("groups.new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(&groups)?)?;
        file.sync_all()?;
        fs::rename(new, self.directory.join("groups"))?;
        File::open(&self.directory)?.sync_all()
    }
}

/// Empties the file and writes its first line, which is returned.
fn start(mut log: &File, earliest: Place) -> io::Result<String> {
    let header = serde_json::to_string(&earliest)? + "\n";
    log.set_len(0)?;
    log.write_all(header.as_bytes())?;
    log.sync_all()?;
    Ok(header)
}
