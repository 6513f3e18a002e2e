//! How librdkafka's errors become core's.

use backup_tracker::transport::Place;
use backup_tracker::{Error, ErrorKind};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::context::Trouble;

/// The operations in which a permission is missing, as errors name them.
pub(crate) const CREATE_TOPIC: &str = "create the topic";
pub(crate) const OPEN_SINK: &str = "open the sink";
pub(crate) const SEND: &str = "send";

/// The errors of librdkafka, with their place.
pub(crate) trait KafkaErrors {
    /// The error of an operation that librdkafka failed.
    fn kafka(&self, operation: &'static str, cause: KafkaError) -> Error;

    /// The same in a session that is open, where everything may pass (S14). That records were lost is for `next` to report, which
    /// finds out by itself (S12).
    fn in_session(&self, operation: &'static str, cause: KafkaError) -> Error;

    fn code(&self, operation: &'static str, code: RDKafkaErrorCode) -> Error;

    /// The error of an operation that cannot succeed because of what librdkafka met in the background.
    fn in_background(&self, operation: &'static str, trouble: &Trouble) -> Error;
}

impl KafkaErrors for Place {
    fn kafka(&self, operation: &'static str, cause: KafkaError) -> Error {
        match cause {
            // The value may be a secret, and both texts of the cause contain it.
            KafkaError::ClientConfig(_, description, name, _) => {
                let reason = if is_secret(&name) { "the value is not accepted" } else { &*description };
                Error::config(&name, reason)
            }
            KafkaError::ClientCreation(reason) => Error::config("properties", reason),
            KafkaError::Nul(_) => {
                Error::config("topic or group", "it contains a zero byte").with_source(cause)
            }
            _ => {
                let (kind, message) = match code_of(&cause) {
                    Some(code) => (kind_of(code), advice(self, operation, code)),
                    None => (ErrorKind::Internal, "the client library failed".to_owned()),
                };
                self.error(kind, operation, format!("{message}: {cause}")).with_source(cause)
            }
        }
    }

    fn in_session(&self, operation: &'static str, cause: KafkaError) -> Error {
        let error = self.kafka(operation, cause);
        if error.kind() == ErrorKind::Lost {
            let message = "the log's bounds have changed; ask again";
            return self.error(ErrorKind::Unavailable, operation, message).with_source(error);
        }
        error.into_transient()
    }

    fn code(&self, operation: &'static str, code: RDKafkaErrorCode) -> Error {
        self.kafka(operation, KafkaError::Global(code))
    }

    fn in_background(&self, operation: &'static str, trouble: &Trouble) -> Error {
        let message = format!("{}: {}", advice(self, operation, trouble.code), trouble.reason);
        self.error(kind_of(trouble.code), operation, message).with_source(KafkaError::Global(trouble.code))
    }
}

/// The code of an error, also where the client library's accessor has none to give.
pub(crate) fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// Whether opening tries again within its time, beyond what is [transient](Error::is_transient): brokers answer so while something
/// restarts, and it is known already that the topic exists.
pub(crate) fn may_pass(error: &Error) -> bool {
    use ErrorKind as E;
    matches!(error.kind(), E::Unavailable | E::NotFound | E::Corrupt | E::Internal | E::Lost)
}

/// Whether the value of a property must not be shown.
fn is_secret(name: &str) -> bool {
    ["password", "secret", "pem", "key", "jaas", "token", "oauth"].iter().any(|word| name.contains(word))
}

pub(crate) fn kind_of(code: RDKafkaErrorCode) -> ErrorKind {
    use RDKafkaErrorCode as C;
    match code {
        C::Authentication
        | C::SSL
        | C::SaslAuthenticationFailed
        | C::UnsupportedSASLMechanism
        | C::IllegalSASLState
        | C::SecurityDisabled
        | C::TopicAuthorizationFailed
        | C::GroupAuthorizationFailed
        | C::ClusterAuthorizationFailed
        | C::TransactionalIdAuthorizationFailed
        | C::DelegationTokenAuthDisabled
        | C::DelegationTokenNotFound
        | C::DelegationTokenOwnerMismatch
        | C::DelegationTokenRequestNotAllowed
        | C::DelegationTokenAuthorizationFailed
        | C::DelegationTokenExpired
        | C::UnacceptableCredential => ErrorKind::Denied,

        C::UnknownTopic
        | C::UnknownTopicOrPartition
        | C::UnknownTopicId
        | C::UnknownPartition
        | C::ResourceNotFound => ErrorKind::NotFound,

        C::MessageSizeTooLarge
        | C::MessageBatchTooLarge
        | C::InvalidMessageSize
        | C::InvalidRecord
        | C::InvalidTimestamp => ErrorKind::Rejected,

        C::Fenced | C::ProducerFenced | C::FencedInstanceId | C::TransactionCoordinatorFenced => {
            ErrorKind::Fenced
        }

        C::OffsetOutOfRange | C::AutoOffsetReset | C::LogTruncation => ErrorKind::Lost,

        C::BadMessage | C::BadCompression | C::InvalidMessage => ErrorKind::Corrupt,

        C::InvalidTopic
        | C::InvalidConfig
        | C::InvalidArgument
        | C::InvalidGroupId
        | C::InvalidPartitions
        | C::InvalidReplicationFactor
        | C::InvalidReplicaAssignment
        | C::InvalidRequiredAcks
        | C::InvalidSessionTimeout
        | C::PolicyViolation
        | C::UnsupportedCompressionType
        | C::OffsetMetadataTooLarge
        | C::UnknownMemberId
        | C::IllegalGeneration
        | C::FencedMemberEpoch
        | C::StaleMemberEpoch => ErrorKind::Config,

        C::BrokerDestroy
        | C::DestroyBroker
        | C::BrokerTransportFailure
        | C::Resolve
        | C::MessageTimedOut
        | C::AllBrokersDown
        | C::OperationTimedOut
        | C::QueueFull
        | C::ISRInsufficient
        | C::NodeUpdate
        | C::WaitingForCoordinator
        | C::InProgress
        | C::PreviousInProgress
        | C::Outdated
        | C::TimedOutQueue
        | C::WaitCache
        | C::Interrupted
        | C::Retry
        | C::PurgeQueue
        | C::PurgeInflight
        | C::Fatal
        | C::UnknownBroker
        | C::LeaderNotAvailable
        | C::NotLeaderForPartition
        | C::RequestTimedOut
        | C::BrokerNotAvailable
        | C::ReplicaNotAvailable
        | C::StaleControllerEpoch
        | C::NetworkException
        | C::CoordinatorLoadInProgress
        | C::CoordinatorNotAvailable
        | C::NotCoordinator
        | C::NotEnoughReplicas
        | C::NotEnoughReplicasAfterAppend
        | C::RebalanceInProgress
        | C::NotController
        | C::InvalidProducerEpoch
        | C::OutOfOrderSequenceNumber
        | C::DuplicateSequenceNumber
        | C::InvalidProducerIdMapping
        | C::UnknownProducerId
        | C::ConcurrentTransactions
        | C::KafkaStorageError
        | C::ReassignmentInProgress
        | C::FetchSessionIdNotFound
        | C::InvalidFetchSessionEpoch
        | C::ListenerNotFound
        | C::FencedLeaderEpoch
        | C::UnknownLeaderEpoch
        | C::StaleBrokerEpoch
        | C::OffsetNotAvailable
        | C::PreferredLeaderNotAvailable
        | C::EligibleLeadersNotAvailable
        | C::UnstableOffsetCommit
        | C::ThrottlingQuotaExceeded
        | C::RebootstrapRequired => ErrorKind::Unavailable,

        _ => ErrorKind::Internal,
    }
}

/// What is wrong and what helps, for a user who knows Kafka but not this crate.
fn advice(place: &Place, operation: &'static str, code: RDKafkaErrorCode) -> String {
    use RDKafkaErrorCode as C;
    let words = match kind_of(code) {
        ErrorKind::Denied => return refusal(place, operation, code),
        ErrorKind::NotFound => "create the topic first, or ask for it to be created",
        ErrorKind::Rejected => "the broker does not take this event",
        ErrorKind::Fenced => "another client took this one's place",
        ErrorKind::Lost => "the log was trimmed, deleted or recreated under the position",
        ErrorKind::Corrupt if code == C::BadCompression => {
            "a batch cannot be decompressed; for zstd build with the feature `zstd`"
        }
        ErrorKind::Corrupt => "a record cannot be read",
        ErrorKind::Config if matches!(code, C::UnknownMemberId | C::IllegalGeneration) => {
            "the group has members that subscribe; use a group of its own"
        }
        ErrorKind::Config if code == C::OffsetMetadataTooLarge => {
            "the broker does not take what is noted beside an offset; raise its `offset.metadata.max.bytes`"
        }
        ErrorKind::Config => "the broker does not accept the settings",
        ErrorKind::Unavailable => "the broker does not answer now",
        _ => "the broker or the client library failed",
    };
    words.to_owned()
}

/// Which permission is missing on what, or which setting does not convince the broker.
fn refusal(place: &Place, operation: &'static str, code: RDKafkaErrorCode) -> String {
    use RDKafkaErrorCode as C;
    let topic = &place.topic;
    match (code, operation) {
        (C::TopicAuthorizationFailed | C::ClusterAuthorizationFailed, CREATE_TOPIC) => {
            format!("this client may not create the topic; grant it `Create` on the topic `{topic}`")
        }
        (C::TopicAuthorizationFailed, OPEN_SINK | SEND) => {
            format!("this client may not write; grant it `Write` on the topic `{topic}`")
        }
        (C::TopicAuthorizationFailed, _) => {
            format!("this client may not read; grant it `Read` on the topic `{topic}`")
        }
        (C::GroupAuthorizationFailed, _) => {
            let group = place.group.as_deref().unwrap_or_default();
            format!("this client may not keep a position; grant it `Read` on the group `{group}`")
        }
        (C::ClusterAuthorizationFailed, OPEN_SINK | SEND) => format!(
            "this client may not write; grant it `Write` on the topic `{topic}` (and before Kafka 2.8 `IdempotentWrite` on the \
             cluster)"
        ),
        (C::SSL, _) => "the TLS handshake failed; check `ssl.ca.location`, the name by which the broker is addressed, and this \
                        client's own certificate"
            .to_owned(),
        (
            C::Authentication | C::SaslAuthenticationFailed | C::UnsupportedSASLMechanism | C::IllegalSASLState,
            _,
        ) => "the broker does not know this client; check `sasl.mechanism`, `sasl.username` and `sasl.password`".to_owned(),
        _ => "the broker refuses this client; check its credentials and ACLs".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use backup_tracker::ErrorKind;
    use rdkafka::error::{KafkaError, RDKafkaErrorCode as C};
    use rdkafka::types::RDKafkaConfRes;

    use super::{KafkaErrors, Place, kind_of};

    fn place() -> Place {
        Place::new("backups").with_group("search")
    }

    #[test]
    fn only_what_time_can_heal_is_transient() {
        for code in [C::AllBrokersDown, C::MessageTimedOut, C::NotCoordinator] {
            assert!(kind_of(code).is_transient(), "{code:?}");
        }
        for code in [C::TopicAuthorizationFailed, C::UnknownTopicOrPartition] {
            assert!(!kind_of(code).is_transient(), "{code:?}");
        }
    }

    #[test]
    fn the_message_names_topic_and_group_and_keeps_the_cause() {
        let error = place().code("commit", C::GroupAuthorizationFailed);
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(error.topic(), Some("backups"));
        assert_eq!(error.group(), Some("search"));
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn a_refusal_says_which_permission_is_missing_on_what() {
        let says = |operation, code, words: &str| {
            let message = place().code(operation, code).to_string();
            assert!(message.contains(words), "{message}");
        };
        says("send", C::TopicAuthorizationFailed, "`Write` on the topic `backups`");
        says("open the sink", C::ClusterAuthorizationFailed, "`Write` on the topic `backups`");
        says("create the topic", C::TopicAuthorizationFailed, "`Create` on the topic `backups`");
        says("read", C::TopicAuthorizationFailed, "`Read` on the topic `backups`");
        says("commit", C::GroupAuthorizationFailed, "`Read` on the group `search`");
    }

    #[test]
    fn a_refused_secret_is_not_repeated() {
        let cause = KafkaError::ClientConfig(
            RDKafkaConfRes::RD_KAFKA_CONF_INVALID,
            "cannot parse hunter2".into(),
            "sasl.password".into(),
            "hunter2".into(),
        );
        let error = place().kafka("open the sink", cause);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("sasl.password"));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
