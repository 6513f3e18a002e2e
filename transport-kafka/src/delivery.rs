//! What became of an event: librdkafka's reports about sends, as our errors.

use backup_tracker::transport::Place;
use backup_tracker::{Delivery, Error, ErrorKind, Result};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::DeliveryFuture;

use crate::error::{KafkaErrors, SEND, code_of};

/// Waits for the report about an event that was given to librdkafka, or was not taken by it.
pub(crate) async fn settled(place: Place, queued: Result<DeliveryFuture, KafkaError>) -> Result<()> {
    match queued {
        Ok(report) => match report.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((cause, _))) => Err(refused(&place, cause)),
            Err(cause) => {
                Err(place.error(ErrorKind::Internal, SEND, "the producer is gone").with_source(cause))
            }
        },
        // It never entered the queue, whatever the reason.
        Err(cause) => Err(not_sent(place.kafka(SEND, cause))),
    }
}

pub(crate) fn not_sent(error: Error) -> Error {
    error.with_delivery(Delivery::NotSent)
}

/// The error of an event that librdkafka gave up, or the broker refused.
fn refused(place: &Place, cause: KafkaError) -> Error {
    use RDKafkaErrorCode as C;
    let Some(code) = code_of(&cause) else { return place.kafka(SEND, cause) };
    let message = match code {
        C::InvalidTimestamp => {
            "the broker refuses the time of this event, which is this machine's clock; compare the clock with the broker's, and \
             see the topic's `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms`"
        }
        C::NotEnoughReplicas | C::NotEnoughReplicasAfterAppend => {
            "too few brokers keep this partition now: fewer replicas are in sync than the topic's `min.insync.replicas` demands; \
             start the brokers that are down"
        }
        // The broker does not know what went wrong, or found the request damaged: nothing says that it would be so again.
        C::Unknown | C::InvalidMessage => {
            return place.kafka(SEND, cause).into_transient();
        }
        _ => return place.kafka(SEND, cause).with_delivery(delivery_of(code)),
    };
    let kind = crate::error::kind_of(code);
    place.error(kind, SEND, format!("{message}: {cause}")).with_source(cause).with_delivery(delivery_of(code))
}

/// What an error of librdkafka's local queue or of a delivery report says of the event (K3).
///
/// The client library keeps librdkafka's own verdict (`rd_kafka_message_status`) to itself, and an earlier attempt of the
/// same request may have reached the log before a later one failed. So only a refusal that every attempt must have met
/// alike is certain.
fn delivery_of(code: RDKafkaErrorCode) -> Delivery {
    use RDKafkaErrorCode as C;
    match code {
        C::MessageSizeTooLarge | C::MessageBatchTooLarge | C::InvalidMessageSize | C::InvalidTimestamp => {
            Delivery::NotSent
        }
        _ => Delivery::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use backup_tracker::{Delivery, ErrorKind};
    use rdkafka::error::{KafkaError, RDKafkaErrorCode as C};

    use super::{Place, delivery_of, refused};

    #[test]
    fn a_timeout_leaves_the_outcome_open() {
        assert_eq!(delivery_of(C::MessageTimedOut), Delivery::Unknown);
        assert_eq!(delivery_of(C::PurgeQueue), Delivery::Unknown);
        assert_eq!(delivery_of(C::MessageSizeTooLarge), Delivery::NotSent);
    }

    #[test]
    fn what_only_the_clock_is_to_blame_for_is_named() {
        let error = refused(&Place::new("backups"), KafkaError::MessageProduction(C::InvalidTimestamp));
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Rejected, Delivery::NotSent));
        assert!(
            error.message().contains("clock") && error.message().contains("`message.timestamp.after.max.ms`")
        );
    }

    #[test]
    fn an_error_that_the_broker_does_not_know_may_pass() {
        let error = refused(&Place::new("backups"), KafkaError::MessageProduction(C::Unknown));
        assert_eq!((error.kind(), error.cause()), (ErrorKind::Unavailable, Some(ErrorKind::Internal)));
        assert_eq!(error.delivery(), Delivery::Unknown);
    }
}
