//! Traces, sent to a collector over OTLP. Off unless an endpoint is configured.
//!
//! Whether a trace is kept is decided once, where it begins ([`Kept`]): the spans of one that is not
//! kept are not made at all, as making them costs more than sending them.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use opentelemetry::{global, trace::TracerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Visitor},
};
use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::LookupSpan,
};

/// A collector that does not take the last spans within this is left without them.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);

/// The crates whose spans a trace is made of. Libraries have spans too, far more and of no use here.
const TRACED: &[&str] = &["gateway", "placement", "runtime"];

/// A trace begins with a span of one of these names: at the edge, or with what no request has begun.
const FIRST: [&str; 2] = ["request", "work"];

/// The edge, and a pod that is asked by another, give such a target to the first span if its caller keeps the
/// trace that it belongs to.
const CALLER_KEEPS: &[&str] = &["gateway::traced", "placement::traced"];

/// Where a collector listens: `http://host:4317`, or `https://…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Endpoint, String> {
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let is_host = |host: &str| {
            let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'@';
            !host.is_empty() && !host.starts_with(['/', ':']) && host.bytes().all(plain)
        };
        match host.is_some_and(is_host) {
            true => Ok(Endpoint(text.to_owned())),
            // Not repeated: it may hold a password.
            false => Err("must be http://host:port or https://host:port".to_owned()),
        }
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Endpoint, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// The share of traces that is kept, of those that begin here: 1 is all of them. Those of a caller that
/// keeps the trace of its own are always kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio(f64);

/// To make and to send every trace would be dear beside the payments that they show.
impl Default for Ratio {
    fn default() -> Ratio {
        Ratio(0.1)
    }
}

impl Ratio {
    fn new(ratio: f64) -> Result<Ratio, String> {
        match (0.0..=1.0).contains(&ratio) {
            true => Ok(Ratio(ratio)),
            false => Err("must be from 0 to 1".to_owned()),
        }
    }
}

impl FromStr for Ratio {
    type Err = String;

    fn from_str(text: &str) -> Result<Ratio, String> {
        text.parse().map_err(|_| "must be a number from 0 to 1".to_owned()).and_then(Ratio::new)
    }
}

/// A number in the file, text in the environment.
impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Ratio, D::Error> {
        from.deserialize_any(RatioVisitor)
    }
}

struct RatioVisitor;

impl Visitor<'_> for RatioVisitor {
    type Value = Ratio;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a number from 0 to 1")
    }

    fn visit_f64<E: serde::de::Error>(self, ratio: f64) -> Result<Ratio, E> {
        Ratio::new(ratio).map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, ratio: i64) -> Result<Ratio, E> {
        ratio.to_string().parse().map_err(E::custom)
    }

    fn visit_str<E: serde::de::Error>(self, ratio: &str) -> Result<Ratio, E> {
        ratio.parse().map_err(E::custom)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    #[error("the collector's address cannot be used")]
    Endpoint(#[from] ExporterBuildError),
}

/// Spans on their way to the collector.
pub struct Traces {
    provider: SdkTracerProvider,
    ratio: Ratio,
}

impl Traces {
    /// Must be called inside a tokio runtime, whose threads then carry the spans. The collector need not
    /// be there: spans that it does not take are dropped, and nobody waits for them.
    ///
    /// # Errors
    ///
    /// What was configured cannot be an address.
    pub fn begin(Endpoint(endpoint): &Endpoint, ratio: Ratio) -> Result<Traces, TracesError> {
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
        let resource = Resource::builder().with_service_name("switchyard").build();
        let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .with_sampler(sampler)
            .build();
        // The edge reads the context that callers send.
        global::set_text_map_propagator(TraceContextPropagator::new());
        Ok(Traces { provider, ratio })
    }

    /// What turns spans of ours into spans of OpenTelemetry.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("switchyard"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_filter(Kept::new(self.ratio))
    }

    /// Sends what is left.
    pub async fn flush(self) {
        // It waits for the collector, which must not hold up a thread of the runtime.
        let flushed =
            tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(FLUSH_WITHIN));
        match flushed.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last spans were not taken"),
            Err(error) => tracing::warn!(%error, "the last spans were not sent"),
        }
    }
}

/// Which spans become part of a trace: the first one if its trace is kept, and below it all of ours.
struct Kept {
    /// Of 2^64.
    threshold: u128,
    drawn: AtomicU64,
}

impl Kept {
    fn new(Ratio(ratio): Ratio) -> Kept {
        // Distinct for each process, so that those of one fleet do not keep the same ones.
        let seed = RandomState::new().hash_one(TRACED);
        Kept { threshold: of_all(ratio), drawn: AtomicU64::new(seed) }
    }

    /// One draw, by SplitMix64: evenly spread, and nobody gains by guessing it.
    fn draw(&self) -> bool {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut drawn = self.drawn.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u128::from(drawn ^ (drawn >> 31)) < self.threshold
    }
}

/// The part of 2^64, in millionths.
fn of_all(ratio: f64) -> u128 {
    let millionths = format!("{ratio:.6}").replace('.', "").parse::<u128>().unwrap_or(0);
    (millionths << 64) / 1_000_000
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    let room = metadata.target().split("::").next().unwrap_or_default();
    // What is said stays in the log.
    metadata.is_span() && *metadata.level() <= Level::DEBUG && TRACED.contains(&room)
}

impl<S> Filter<S> for Kept
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn enabled(&self, metadata: &Metadata<'_>, around: &Context<'_, S>) -> bool {
        match (is_ours(metadata), FIRST.contains(&metadata.name())) {
            (false, _) => false,
            (true, true) => CALLER_KEEPS.contains(&metadata.target()) || self.draw(),
            (true, false) => around.lookup_current().is_some(),
        }
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_ours(metadata) { Interest::sometimes() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_traces_are_kept() {
        for (ratio, from, to) in [(0.0, 0, 0), (0.1, 900, 1_100), (1.0, 10_000, 10_000)] {
            let kept = Kept::new(Ratio(ratio));
            let count = (0..10_000).filter(|_| kept.draw()).count();
            assert!((from..=to).contains(&count), "{count} of 10,000 at {ratio}");
        }
    }

    #[test]
    fn an_endpoint_has_a_scheme_and_a_host() {
        for good in ["http://127.0.0.1:4317", "https://collector.example", "http://[::1]:1/"] {
            good.parse::<Endpoint>().unwrap();
        }
        for bad in ["", "127.0.0.1:4317", "http://", "http:///x", "grpc://a", "http://u:secret@a"] {
            let error = bad.parse::<Endpoint>().unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_ratio_is_a_part_of_the_whole() {
        assert_eq!("0.25".parse(), Ok(Ratio(0.25)));
        for bad in ["1.01", "-0.1", "NaN", "half", ""] {
            bad.parse::<Ratio>().unwrap_err();
        }
    }
}
