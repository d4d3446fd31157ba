//! The log goes to stderr, so that stdout carries answers only.

use std::{
    io::{self, IsTerminal as _},
    str::FromStr,
};

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

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
pub fn start(filter: &str, format: Format) -> Result<(), LogError> {
    let parsed = EnvFilter::try_new(filter)
        .map_err(|error| LogError::Filter { filter: filter.to_owned(), why: error.to_string() })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    let started = match format {
        Format::Text => log.with_target(false).try_init(),
        Format::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|_| LogError::Started)
}
