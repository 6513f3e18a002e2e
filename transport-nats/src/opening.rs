//! The stream and the bucket at opening: looked for, created, and found fit.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{Config, PersistenceMode, RetentionPolicy};
use backup_tracker::transport::Place;
use backup_tracker::{Error, ErrorKind};
use tokio::time::Instant;
use tracing::info;

use crate::create::CreateStream;
use crate::error::{Failure, NatsErrors};
use crate::link::Link;
use crate::stream::StreamInfo;
use crate::subject::covers;

/// What opening needs to look for something on the server.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) link: &'a Link,
    pub(crate) place: &'a Place,
    pub(crate) operation: &'static str,
    pub(crate) create: Option<&'a CreateStream>,
    pub(crate) deadline: Instant,
}

impl Opening<'_> {
    pub(crate) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        self.place.error(kind, self.operation, message)
    }

    pub(crate) fn failure(&self, failure: Failure) -> Error {
        if let Failure::NoJetStream(_) = failure
            && !self.link.has_jetstream()
        {
            let message = "the server runs without JetStream; start it with `-js`";
            return self.error(ErrorKind::Config, message);
        }
        self.place.failure(self.operation, failure)
    }

    /// The stream of this name, created if that is wanted; it must store what is published to the filter.
    pub(crate) async fn stream(&self, name: &str, filter: &str) -> Result<StreamInfo, Error> {
        let advice = format!(
            "create it, for example with `nats stream add {name} --subjects '{filter}' --defaults`, or let it be created with \
             `Nats::create_stream`"
        );
        let config = self.create.map(|create| create.stream(name, filter));
        let missing = format!("there is no stream `{name}`; {advice}");
        let info = self.find(name, config, &missing).await.map_err(|found| self.found(found))?;
        match unfit(&info.config, filter) {
            None => Ok(info),
            Some(why) => Err(self.error(ErrorKind::Config, format!("stream `{name}` {why}"))),
        }
    }

    /// The key-value bucket of this name, created if that is wanted.
    pub(crate) async fn bucket(&self, bucket: &str) -> Result<(), Error> {
        let advice = format!(
            "create it, for example with `nats kv add {bucket}`, or let it be created with `Nats::create_stream`"
        );
        let config = self.create.map(|create| create.bucket(bucket));
        let missing = format!("there is no key-value bucket `{bucket}` for the positions; {advice}");
        let name = format!("KV_{bucket}");
        match self.find(&name, config, &missing).await {
            Ok(_) => Ok(()),
            // An account may demand that every stream has a limit.
            Err(Found::Failed(failure)) if failure.is(ErrorCode::STREAM_MAX_BYTES_REQUIRED) => {
                let config = self.create.map(|create| create.limited_bucket(bucket));
                self.find(&name, config, &missing).await.map(drop).map_err(|found| self.found(found))
            }
            Err(found) => Err(self.found(found)),
        }
    }

    async fn find(&self, name: &str, create: Option<Config>, missing: &str) -> Result<StreamInfo, Found> {
        match (StreamInfo::get(self.link, name, self.deadline).await, create) {
            (Err(failure), None) if failure.is(ErrorCode::STREAM_NOT_FOUND) => {
                Err(Found::Missing(self.error(ErrorKind::NotFound, missing)))
            }
            (Err(failure), Some(config)) if failure.is(ErrorCode::STREAM_NOT_FOUND) => {
                self.create(name, &config).await.map_err(Found::Failed)
            }
            (info, _) => info.map_err(Found::Failed),
        }
    }

    fn found(&self, found: Found) -> Error {
        match found {
            Found::Missing(error) => error,
            Found::Failed(failure) => self.failure(failure),
        }
    }

    async fn create(&self, name: &str, config: &Config) -> Result<StreamInfo, Failure> {
        let question = serde_json::to_vec(config).map_err(|error| Failure::Unreadable(error.into()))?;
        let created = self.link.ask(&format!("STREAM.CREATE.{name}"), question.into(), self.deadline).await;
        match created {
            Ok(info) => {
                info!(stream = name, "created");
                Ok(info)
            }
            // Somebody else was faster, and wanted it a little different. It is as it is.
            Err(failure) if failure.is(ErrorCode::STREAM_NAME_EXIST) => {
                StreamInfo::get(self.link, name, self.deadline).await
            }
            Err(failure) => Err(failure),
        }
    }
}

/// Why a stream was neither found nor created.
enum Found {
    /// It is not there, and nobody wants it created.
    Missing(Error),
    Failed(Failure),
}

/// Why events cannot be kept in a stream like this.
pub(crate) fn unfit(config: &Config, filter: &str) -> Option<String> {
    if !config.subjects.iter().any(|subject| covers(subject, filter)) {
        let subjects = config.subjects.join("`, `");
        return Some(format!(
            "captures `{subjects}` and not `{filter}`; name another one with `Nats::stream`, or add the subject to it"
        ));
    }
    if config.retention != RetentionPolicy::Limits {
        let policy = format!("{:?}", config.retention);
        return Some(format!(
            "has the retention policy {policy}, which removes what one reader has read; it must be Limits"
        ));
    }
    if config.max_messages_per_subject > 0 {
        let limit = config.max_messages_per_subject;
        return Some(format!(
            "keeps {limit} messages of each subject, which removes events unnoticed; limit it by age, bytes or messages"
        ));
    }
    if config.sealed {
        return Some(
            "is sealed, so that nothing can be stored any more; name another one with `Nats::stream`"
                .to_owned(),
        );
    }
    if config.subject_transform.is_some() {
        return Some(
            "stores events under other subjects than they are published to (`subject_transform`); remove that".to_owned(),
        );
    }
    if config.persist_mode == Some(PersistenceMode::Async) {
        return Some(
            "acknowledges events before it has stored them (`persist_mode: async`); it must be the default"
                .to_owned(),
        );
    }
    if config.no_ack {
        return Some("does not acknowledge what it stores (`no_ack`)".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use async_nats::jetstream::stream::SubjectTransform;

    use super::*;

    fn config(subject: &str) -> Config {
        Config { subjects: vec!["other".into(), subject.into()], ..Config::default() }
    }

    #[test]
    fn a_stream_must_capture_the_topic_and_keep_what_it_captured() {
        assert_eq!(unfit(&config("backups.*"), "backups.*"), None);
        assert_eq!(unfit(&config("backups.>"), "backups.*"), None);
        for (unfit_config, word) in [
            (config("backups.shop"), "captures"),
            (Config { retention: RetentionPolicy::WorkQueue, ..config("backups.*") }, "retention"),
            (Config { max_messages_per_subject: 5, ..config("backups.*") }, "unnoticed"),
            (Config { no_ack: true, ..config("backups.*") }, "no_ack"),
            (Config { sealed: true, ..config("backups.*") }, "sealed"),
            (Config { persist_mode: Some(PersistenceMode::Async), ..config("backups.*") }, "persist_mode"),
            (
                Config {
                    subject_transform: Some(SubjectTransform {
                        source: ">".into(),
                        destination: "x.>".into(),
                    }),
                    ..config("backups.*")
                },
                "subject_transform",
            ),
        ] {
            let why = unfit(&unfit_config, "backups.*").unwrap();
            assert!(why.contains(word), "{why}");
        }
    }
}
