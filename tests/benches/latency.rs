//! How long things took.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Latencies of one kind, to three digits, up to ten minutes.
#[derive(Clone)]
pub(crate) struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Latency {
        const TEN_MINUTES_NS: u64 = 600_000_000_000;
        Latency(Histogram::new_with_max(TEN_MINUTES_NS, 3).expect("the bounds are in range"))
    }
}

impl Latency {
    pub(crate) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn add(&mut self, other: &Latency) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// None if nothing was recorded.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<Duration> {
        let nanos = self.0.value_at_quantile(quantile);
        (!self.0.is_empty()).then(|| Duration::from_nanos(nanos))
    }
}
