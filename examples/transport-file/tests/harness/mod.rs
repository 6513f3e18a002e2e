//! The file transport on the conformance suite's bench.

use std::fs::{File, remove_file, rename};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use backup_tracker::{Error, ErrorKind, Result, StartAt};
use backup_tracker_conformance::{Ability, Fault, Harness, Isolation, Lane, Profile, RawRecord};
use tempfile::TempDir;
use tokio::sync::Mutex;
use transport_file_example::{FileLog, FileSource, MAX_EVENT_BYTES};
use uuid::Uuid;

pub(crate) struct FileHarness(pub(crate) TempDir);

impl Harness for FileHarness {
    type Lane = FileLane;

    fn name(&self) -> &str {
        "file"
    }

    fn profile(&self) -> Profile {
        Profile::new(MAX_EVENT_BYTES)
            .with_contact_time(Duration::from_secs(2))
            .lacks(Ability::Trim, "the file is only ever appended to")
            .lacks(Ability::End, "a file can always be appended to")
            .lacks(Ability::Observers, "the example has no source without a group")
            .lacks(Ability::BindsGroups, "the example keeps no word beside a position")
            .lacks(Ability::Delete, "the next one who opens the file makes it anew")
            .lacks(Ability::Truncate, "the file is only ever appended to")
            .lacks(Ability::RenewsCredentials, "nobody logs in to a file")
            .lacks(Ability::PartialBlackHole, "there are no brokers of which one could fall silent")
            .not_shown(Ability::Deny, "a user whom no permission binds may run the tests")
            .lacks(Ability::Delay, "there is no connection that could be slow")
            .lacks(Ability::Kill, "there is no broker whose process could end")
            .lacks(Ability::Stop, "there is no broker whose process could end")
            .lacks(Ability::RestartOne, "there is no broker whose process could end")
            .lacks(Ability::Roll, "there is no broker whose process could end")
            .lacks(Ability::LostAnswers, "an answer is what a function returns; it cannot get lost")
    }

    async fn lane(&self, name: &str, _: Isolation) -> Result<FileLane> {
        let directory = self.0.path().join(name);
        Ok(FileLane { log: FileLog::open(&directory)?, directory, lock: Mutex::default() })
    }
}

pub(crate) struct FileLane {
    log: FileLog,
    directory: PathBuf,
    lock: Mutex<Option<File>>,
}

impl FileLane {
    fn locked(&self) -> io::Result<File> {
        let file = File::options().append(true).open(self.directory.join("log"))?;
        file.lock().map(|()| file)
    }
}

fn failed(cause: impl Into<io::Error>) -> Error {
    Error::new(ErrorKind::Internal, "prepare a case", cause.into().to_string())
}

impl Lane for FileLane {
    type Sink = FileLog;
    type Source = FileSource;

    async fn sink(&self) -> Result<FileLog> {
        Ok(self.log.clone())
    }

    async fn source(&self, group: &str, start: StartAt) -> Result<FileSource> {
        self.log.source(group, start).await
    }

    /// As a script would: a line of JSON.
    async fn append_raw(&self, record: RawRecord) -> Result<()> {
        let headers =
            record.headers.iter().map(|header| (&*header.name, &header.value[..])).collect::<Vec<_>>();
        let key = record.key.as_deref().and_then(|key| Uuid::try_parse_ascii(key).ok());
        let line = serde_json::to_string(&(key, headers, record.payload.as_deref())).map_err(failed)?;
        match &mut *self.lock.lock().await {
            // The lock of a black hole is ours.
            Some(held) => writeln!(held, "{line}").map_err(failed),
            None => self.locked().and_then(|mut log| writeln!(log, "{line}")).map_err(failed),
        }
    }

    /// The next one who opens it makes it anew.
    async fn recreate(&self) -> Result<()> {
        remove_file(self.directory.join("log")).map_err(failed)
    }

    async fn inflict(&self, fault: Fault) -> Result<()> {
        if fault == Fault::Cut {
            // As when the file system is unmounted.
            return rename(&self.directory, self.directory.with_extension("away")).map_err(failed);
        }
        // As when a process is stopped while it holds the lock.
        *self.lock.lock().await = Some(self.locked().map_err(failed)?);
        Ok(())
    }

    async fn heal(&self) -> Result<()> {
        match self.lock.lock().await.take() {
            Some(lock) => lock.unlock().map_err(failed),
            None => rename(self.directory.with_extension("away"), &self.directory).map_err(failed),
        }
    }
}
