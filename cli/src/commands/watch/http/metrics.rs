//! What the process counts, as Prometheus reads it.

use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// How often the exporter's own buffers are emptied where nobody asks for the metrics.
const UPKEEP: Duration = Duration::from_secs(30);
/// The buckets of operations: a minute to half a day.
const OPERATIONS: [f64; 8] = [10.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 43_200.0];
/// The buckets of hooks.
const HOOKS: [f64; 7] = [0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 120.0];

/// The recorder of this process. There is one at most.
#[derive(Clone)]
pub(in crate::commands::watch) struct Metrics(PrometheusHandle);

impl Metrics {
    /// Records whatever is emitted from now on.
    pub(in crate::commands::watch) fn install() -> Result<Self, String> {
        let bucketed = |builder: PrometheusBuilder, name: &str, buckets: &[f64]| {
            builder
                .set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)
                .map_err(|error| error.to_string())
        };
        let builder = PrometheusBuilder::new();
        let builder = bucketed(builder, "backup_tracker_operation_duration_seconds", &OPERATIONS)?;
        let builder = bucketed(builder, "backup_tracker_hook_duration_seconds", &HOOKS)?;
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|error| error.to_string())?;
        Ok(Self(handle))
    }

    pub(super) fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }

    pub(super) async fn keep_up(self) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.0.run_upkeep();
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
