//! From options to trackers.

use backup_tracker::{
    BoxSink, BoxSource, PrimaryBackupTracker, PrimaryBuilder, SecondaryBackupTracker, SecondaryBuilder,
    StartAt,
};

use super::blame::blame;
use super::error::{OpenError, OptionsError};
use super::format::Formatted;
use super::transport::{Resolved, Transport};
use super::{BackupTrackerOptions, KafkaOptions, environment};

impl BackupTrackerOptions {
    /// The transport that the options describe, checked as far as that goes without connecting. Files that options name are
    /// read, each time anew.
    ///
    /// # Errors
    ///
    /// [`OptionsError`].
    pub fn transport(&self, kafka: &KafkaOptions) -> Result<Transport, OptionsError> {
        Ok(self.resolve(kafka)?.transport)
    }

    /// The transport, and the group from wherever it is given.
    pub(crate) fn transport_and_group(
        &self,
        kafka: &KafkaOptions,
    ) -> Result<(Transport, Option<String>), OptionsError> {
        let Resolved { transport, group, .. } = self.resolve(kafka)?;
        Ok((transport, group))
    }

    fn resolve(&self, kafka: &KafkaOptions) -> Result<Resolved, OptionsError> {
        Resolved::new(self, kafka, &environment::process)
    }

    /// A sink that is ready, and writes in [`wire_format`](Self::wire_format) unless its user chooses another one.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub async fn sink(&self, kafka: &KafkaOptions) -> Result<BoxSink, OpenError> {
        let sink = self.transport(kafka)?.open_sink().await.map_err(blame)?;
        Ok(BoxSink::new(Formatted::new(sink, self.wire_format())))
    }

    /// A source that is ready, with the position of the group ([`KafkaOptions::group`]).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up. A new group's start may be fixed already.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; without a group, [`Missing`](super::OptionsErrorKind::Missing).
    pub async fn source(&self, kafka: &KafkaOptions) -> Result<BoxSource, OpenError> {
        let Resolved { transport, group, start } = self.resolve(kafka)?;
        let group = group.ok_or_else(|| {
            OptionsError::missing(
                "--group",
                "it is missing",
                "give a name that this service alone reads with, or set CONSUMER_GROUP",
            )
        })?;
        transport.open_source(&group, start).await.map_err(blame)
    }

    /// A source without a group, for whoever only looks: it leaves nothing behind at the broker, and creates no topic. Each begins
    /// where `start` says, whatever `--group` and `--read-policy` say.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub async fn observer(&self, kafka: &KafkaOptions, start: StartAt) -> Result<BoxSource, OpenError> {
        self.transport(kafka)?.open_observer(start).await.map_err(blame)
    }

    /// The primary of `application`, ready to announce.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub async fn primary(
        &self,
        kafka: &KafkaOptions,
        application: impl Into<String> + Send,
    ) -> Result<PrimaryBackupTracker, OpenError> {
        self.primary_with(kafka, application, |builder| builder).await
    }

    /// As [`primary`](Self::primary), with what `configure` adds to the builder: listeners, a retry policy, a trace context.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub async fn primary_with(
        &self,
        kafka: &KafkaOptions,
        application: impl Into<String> + Send,
        configure: impl FnOnce(PrimaryBuilder<BoxSink>) -> PrimaryBuilder<BoxSink> + Send,
    ) -> Result<PrimaryBackupTracker, OpenError> {
        let sink = self.sink(kafka).await?;
        Ok(configure(PrimaryBackupTracker::builder(application, sink)).build()?)
    }

    /// A secondary of `application`, which follows from now on. `listeners` adds them to the builder, and whatever else is to
    /// be set there: `|secondary| secondary.on_change(…)`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up. A new group's start may be fixed already.
    ///
    /// # Errors
    ///
    /// As for [`source`](Self::source).
    pub async fn secondary(
        &self,
        kafka: &KafkaOptions,
        application: impl Into<String> + Send,
        listeners: impl FnOnce(SecondaryBuilder<BoxSource>) -> SecondaryBuilder<BoxSource> + Send,
    ) -> Result<SecondaryBackupTracker, OpenError> {
        let source = self.source(kafka).await?;
        Ok(listeners(SecondaryBackupTracker::builder(application, source)).build()?)
    }
}
