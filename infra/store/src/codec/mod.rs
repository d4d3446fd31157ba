//! The durable form of events and rows: JSON text with the version of its shape in front.
//!
//! The definitions here mirror the domain's types field by field (`serde(remote)`), so that the
//! compiler refuses a change of the domain that the stored form does not follow. What was written
//! once must be readable for ever: a new field gets `serde(default)`, a renamed variant keeps its
//! stored name by `serde(rename)`, and a shape that says something else gets the next version.

mod event;
mod payment;
mod row;
mod scalar;
#[cfg(test)]
mod tests;

use domain::org::{Event, Row};
use ports::StoreError;
use serde::{Deserialize, Serialize};

pub(crate) use scalar::from_hex;
use scalar::{Borrowed, Durable, Stored};

/// The version of the shapes that are written.
const VERSION: u32 = 1;

#[derive(Serialize)]
#[serde(bound(serialize = "T: Durable"))]
struct Writing<'a, T> {
    v: u32,
    #[serde(rename = "is")]
    body: Borrowed<'a, T>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Durable"))]
struct Reading<T> {
    v: u32,
    #[serde(rename = "is")]
    body: Stored<T>,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

pub fn event_to_text(event: &Event) -> String {
    to_text(event)
}

pub fn event_from_text(text: &str) -> Result<Event, StoreError> {
    from_text(text)
}

/// A row of any kind, with its key.
pub fn row_to_text(row: &Row) -> String {
    to_text(row)
}

pub fn row_from_text(text: &str) -> Result<Row, StoreError> {
    from_text(text)
}

fn to_text<T: Durable>(value: &T) -> String {
    let writing = Writing { v: VERSION, body: Borrowed(value) };
    // Holds a payment with its invoice, the largest of them, without growing.
    let mut text = Vec::with_capacity(1_536);
    serde_json::to_writer(&mut text, &writing).expect("maps have text keys and memory is there");
    String::from_utf8(text).expect("JSON is UTF-8")
}

fn from_text<T: Durable>(text: &str) -> Result<T, StoreError> {
    let unknown =
        |v| StoreError::Corrupt(format!("version {v} of a stored form is not known to this code"));
    match serde_json::from_str(text) {
        Ok(Reading { v: VERSION, body: Stored(value) }) => Ok(value),
        // A later shape is refused even where it looks like this one.
        Ok(Reading { v, .. }) => Err(unknown(v)),
        Err(error) => match serde_json::from_str(text) {
            Ok(Version { v }) if v != VERSION => Err(unknown(v)),
            Ok(Version { .. }) | Err(_) => Err(corrupt(&error)),
        },
    }
}

/// The message names the place, never the content.
fn corrupt(error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt(format!(
        "{:?} error at line {} column {} of a stored form",
        error.classify(),
        error.line(),
        error.column()
    ))
}
