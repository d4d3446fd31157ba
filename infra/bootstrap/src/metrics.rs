//! Metrics: whoever counts uses the facade `metrics`; what it was told is kept here until it is asked for.

use metrics::{Unit, describe_gauge, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// From a look-up that finds everything in memory to a call that waits a minute.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
];

/// Up to the largest transaction.
const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be kept: {0}")]
pub struct MetricsError(#[from] BuildError);

/// Everything that was counted since the process began.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Begins to keep what is counted. Call once, before anything that counts is made: handles made
    /// before lead nowhere.
    ///
    /// # Errors
    ///
    /// Somebody keeps them already.
    pub fn keep() -> Result<Metrics, MetricsError> {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_batch_size".to_owned()), BATCH)?;
        let handle = builder.install_recorder()?;
        describe_gauge!("switchyard_build_info", Unit::Count, "Always 1; the version is a label.");
        gauge!("switchyard_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Ok(Metrics(handle))
    }

    #[cfg(test)]
    pub(crate) fn of(handle: PrometheusHandle) -> Metrics {
        Metrics(handle)
    }

    /// In the text format of Prometheus.
    pub fn text(&self) -> String {
        self.0.render()
    }

    /// Sorts what was measured into its buckets. Until then each measurement is kept as it is, so this
    /// must be done again and again, whether or not anybody looks.
    pub fn tidy_up(&self) {
        self.0.run_upkeep();
    }
}
