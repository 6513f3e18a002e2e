//! The source to follow: with a position, or without a trace.

use backup_tracker::BoxSource;

use crate::options::{BackupTrackerOptions, KafkaOptions, OpenError, OptionsErrorKind};

/// A source that is ready.
pub(super) struct Opened {
    pub(super) source: BoxSource,
    /// Whether a position moves. The name of its group may come from an option or from Kafka's properties.
    pub(super) has_group: bool,
}

/// Opens what the options name: with the position of their group, if there is one and it is wanted.
pub(super) async fn open(
    backups: &BackupTrackerOptions,
    kafka: &KafkaOptions,
    group_is_wanted: bool,
) -> Result<Opened, OpenError> {
    if group_is_wanted {
        match backups.source(kafka).await {
            Ok(source) => return Ok(Opened { source, has_group: true }),
            Err(OpenError::Options(error))
                if error.kind() == OptionsErrorKind::Missing && error.option() == "--group" => {}
            Err(error) => return Err(error),
        }
    }
    let source = backups.observer(kafka, kafka.start()).await?;
    Ok(Opened { source, has_group: false })
}
