//! The log goes to stderr, so that stdout carries answers only.

use std::{
    io::{self, IsTerminal as _},
    str::FromStr,
};

use serde::Deserialize;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt, layer::SubscriberExt as _, registry, util::SubscriberInitExt,
};

use crate::traces::Traces;

/// Our own crates speak at `info`, libraries only when something is wrong.
pub const FOR_SERVERS: &str = "info,h2=warn,hyper=warn,hyper_util=warn,tower=warn,tonic=warn,\
                               rustls=warn,tokio_postgres=warn,deadpool=warn,ractor=warn";
/// A command that answers and ends says what went wrong by its answer.
pub const FOR_COMMANDS: &str = "error";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        match text {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            _ => Err("must be text or json".to_owned()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("the log filter {filter:?} cannot be read: {why}")]
    Filter { filter: String, why: String },
    #[error("the log was started before")]
    Started,
}

/// Starts the log of this process. Call once.
///
/// # Errors
///
/// The filter cannot be read, or there is a log already.
pub fn start(filter: &str, format: Format) -> Result<(), LogError> {
    begin(registry().with(layer(filter, format)?))
}

/// Starts the log, and the traces beside it. Call once.
///
/// # Errors
///
/// The filter cannot be read, or there is a log already.
pub fn start_traced(filter: &str, format: Format, traces: &Traces) -> Result<(), LogError> {
    begin(registry().with(layer(filter, format)?).with(traces.layer()))
}

fn begin(subscriber: impl SubscriberInitExt) -> Result<(), LogError> {
    subscriber.try_init().map_err(|_| LogError::Started)
}

fn layer(filter: &str, format: Format) -> Result<Box<dyn Layer<Registry> + Send + Sync>, LogError> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| LogError::Filter { filter: filter.to_owned(), why: error.to_string() })?;
    Ok(match format {
        Format::Text => fmt::layer()
            .with_ansi(io::stderr().is_terminal())
            .with_writer(io::stderr)
            .with_target(false)
            .with_filter(filter)
            .boxed(),
        // What is known of the request and its payment stands beside what the line says.
        Format::Json => json_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .flatten_span_list_on_top_level(true)
            .with_opentelemetry_ids(true)
            .with_filter(filter)
            .boxed(),
    })
}
