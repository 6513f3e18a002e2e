//! Which option a transport's error is about.

use std::error::Error as _;

use backup_tracker::{Error, ErrorKind};
use backup_tracker_kafka::rdkafka::error::KafkaError;
use backup_tracker_kafka::rdkafka::types::RDKafkaErrorCode;
use backup_tracker_nats::async_nats::jetstream::{self, ErrorCode};

use super::error::{OpenError, OptionsError};

/// The transports' names of their settings, the options that set them, and how to mend those.
const SETTINGS: [(&str, &str, &str); 10] = [
    ("bootstrap servers", "--bootstrap-server", "give host:port, separated by commas"),
    ("topic", "--backup-topic", "choose another name"),
    ("topic or group", "--backup-topic, --group", "choose another name"),
    ("stream", "--backup-topic", "choose another name"),
    ("positions bucket", "--backup-topic", "choose another name"),
    ("group", "--group", "choose another name"),
    ("servers", "--url", "give nats://host:4222, separated by commas"),
    ("url", "--url", "give redis://host:6379"),
    ("password", "--url", "write it as redis://user:password@host"),
    ("properties", "--kafka-property, --kafka-properties", "correct the property that is named"),
];

/// The error of opening with the option that is to blame, if one is.
pub(crate) fn blame(error: Error) -> OpenError {
    if is_about_replicas(&error) {
        return OptionsError::invalid(
            "--create-topic-replicas",
            format!("the broker cannot keep so many copies: {error}"),
            "give at most as many as there are servers, 1 for a single one",
        )
        .into();
    }
    // The message of such an error begins with the setting's name; see `Error::config`.
    if error.kind() == ErrorKind::Config
        && let Some((setting, why)) = error.message().split_once(": ")
    {
        if let Some((_, option, mend)) = SETTINGS.iter().find(|(name, ..)| *name == setting) {
            return OptionsError::invalid(option, why, mend).into();
        }
        if error.operation() == "configure" && setting.contains('.') {
            return OptionsError::invalid(format!("--kafka-property {setting}"), why, "correct it").into();
        }
    }
    error.into()
}

/// Whether a topic or stream could not be created because it was to be kept on more servers than there are.
fn is_about_replicas(error: &Error) -> bool {
    let Some(cause) = error.source() else { return false };
    if let Some(cause) = cause.downcast_ref::<KafkaError>() {
        return matches!(
            cause,
            KafkaError::Global(RDKafkaErrorCode::InvalidReplicationFactor)
                | KafkaError::AdminOp(RDKafkaErrorCode::InvalidReplicationFactor)
        );
    }
    cause.downcast_ref::<jetstream::Error>().is_some_and(|cause| {
        [ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED, ErrorCode::CLUSTER_NO_PEERS].contains(&cause.error_code())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option_of(error: Error) -> String {
        match blame(error) {
            OpenError::Options(error) => error.option().to_owned(),
            OpenError::Broker(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_setting_is_named_by_its_option() {
        for (setting, option) in [
            ("bootstrap servers", "--bootstrap-server"),
            ("topic", "--backup-topic"),
            ("group", "--group"),
            ("servers", "--url"),
            ("url", "--url"),
            ("ssl.ca.location", "--kafka-property ssl.ca.location"),
        ] {
            assert_eq!(option_of(Error::config(setting, "it is wrong")), option);
        }
    }

    #[test]
    fn too_many_copies_are_blamed_on_their_option() {
        for cause in [
            KafkaError::Global(RDKafkaErrorCode::InvalidReplicationFactor),
            KafkaError::AdminOp(RDKafkaErrorCode::InvalidReplicationFactor),
        ] {
            let error = Error::new(ErrorKind::Config, "create the topic", "no").with_source(cause);
            assert_eq!(option_of(error), "--create-topic-replicas");
        }
    }

    #[test]
    fn what_is_the_brokers_stays_the_brokers() {
        for error in [
            Error::new(ErrorKind::Unavailable, "open the sink", "topic: nobody answers"),
            Error::new(ErrorKind::Config, "open the sink", "the group has members that subscribe"),
            Error::config("runtime", "build the tracker inside a Tokio runtime"),
            Error::new(ErrorKind::Denied, "open", "no")
                .with_source(KafkaError::Global(RDKafkaErrorCode::TopicAuthorizationFailed)),
        ] {
            let kind = error.kind();
            assert!(matches!(blame(error), OpenError::Broker(error) if error.kind() == kind));
        }
    }
}
