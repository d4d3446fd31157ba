//! Everything by which a process is watched, started and put down together.

use crate::{
    Config,
    log::{self, LogError},
    metrics::{Metrics, MetricsError},
    traces::{Traces, TracesError},
};

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    #[error(transparent)]
    Traces(#[from] TracesError),
}

pub struct Telemetry {
    /// `None`: nobody has said where to ask for them, so nothing is kept.
    pub metrics: Option<Metrics>,
    traces: Option<Traces>,
}

impl Telemetry {
    /// Starts log, metrics and traces as configured. Call once, inside a tokio runtime, before anything
    /// that is to be watched is made.
    ///
    /// # Errors
    ///
    /// The configuration cannot be right, or something of it was started before.
    pub fn start(config: &Config) -> Result<Telemetry, TelemetryError> {
        let traces = match &config.otlp_endpoint {
            Some(endpoint) => Some(Traces::begin(endpoint, config.trace_ratio)?),
            None => None,
        };
        match &traces {
            Some(traces) => log::start_traced(&config.log, config.log_format, traces)?,
            None => log::start(&config.log, config.log_format)?,
        }
        let metrics = config.metrics_listen.map(|_| Metrics::keep()).transpose()?;
        Ok(Telemetry { metrics, traces })
    }

    /// Sends what has not been sent yet.
    pub async fn end(self) {
        if let Some(traces) = self.traces {
            traces.flush().await;
        }
    }
}
