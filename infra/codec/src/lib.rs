//! The durable form of events and rows: one byte with the version of its shape, then MessagePack
//! with every field and variant by its name.
//!
//! The definitions here mirror the domain's types field by field (`serde(remote)`), so that the
//! compiler refuses a change of the domain that the stored form does not follow. What was written
//! once must be readable for ever: a new field gets `serde(default)`, a renamed variant keeps its
//! stored name by `serde(rename)`, and a shape that says something else gets the next version.

#[cfg(test)]
mod any;
mod event;
mod payment;
mod row;
mod scalar;
#[cfg(test)]
mod tests;

use domain::org::{Event, Revision, Row};
use ports::StoreError;
use rmp_serde::{Deserializer, Serializer};
use serde::Deserialize;

pub use scalar::from_hex;
use scalar::{Durable, Stored};

/// What this code reads: every kind of event and every field up to here.
pub const READS: Revision = Revision::RENAMED_ENVIRONMENTS;

/// The version of the shapes that are written.
const VERSION: u8 = 2;

/// Version 1 was the same fields in JSON, which begins with this: no later version has this number.
const JSON: u8 = b'{';

pub fn event_to_bytes(event: &Event) -> Vec<u8> {
    to_bytes(event)
}

pub fn event_from_bytes(bytes: &[u8]) -> Result<Event, StoreError> {
    from_bytes(bytes)
}

/// A row of any kind, with its key.
pub fn row_to_bytes(row: &Row) -> Vec<u8> {
    to_bytes(row)
}

pub fn row_from_bytes(bytes: &[u8]) -> Result<Row, StoreError> {
    from_bytes(bytes)
}

fn to_bytes<T: Durable>(value: &T) -> Vec<u8> {
    // Holds a payment with its invoice, the largest of them, without growing.
    let mut bytes = Vec::with_capacity(1_024);
    bytes.push(VERSION);
    let mut writer = Serializer::new(&mut bytes).with_struct_map();
    value.write(&mut writer).expect("lengths are known and memory is there");
    bytes
}

fn from_bytes<T: Durable>(bytes: &[u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&VERSION, mut rest)) => {
            let value = T::read(&mut Deserializer::new(&mut rest)).map_err(|_| corrupt())?;
            if rest.is_empty() { Ok(value) } else { Err(corrupt()) }
        }
        Some((&JSON, _)) => from_json(bytes),
        Some((version, _)) => Err(unknown((*version).into())),
        None => Err(corrupt()),
    }
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Durable"))]
struct Json<T> {
    v: u32,
    #[serde(rename = "is")]
    body: Stored<T>,
}

fn from_json<T: Durable>(bytes: &[u8]) -> Result<T, StoreError> {
    match serde_json::from_slice(bytes) {
        Ok(Json { v: 1, body: Stored(value) }) => Ok(value),
        Ok(Json { v, .. }) => Err(unknown(v)),
        Err(_) => Err(corrupt()),
    }
}

fn unknown(version: u32) -> StoreError {
    StoreError::Corrupt(format!("version {version} of a stored form is not known to this code"))
}

/// Says nothing of the content.
fn corrupt() -> StoreError {
    StoreError::Corrupt("a stored form cannot be read".to_owned())
}
