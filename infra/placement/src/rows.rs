//! A payment in an engine's answer, in the form that the store keeps, so that whoever asked need not read it
//! there. Whatever keeps it from being sent or read is no error: the store has it.

use domain::{
    PaymentId,
    org::{Row, RowKey},
};
use prost::bytes::Bytes;

use crate::limits;

/// `None`: it is too large.
pub(crate) fn to_bytes(row: &Row) -> Option<Bytes> {
    let bytes = codec::row_to_bytes(row);
    (bytes.len() <= limits::ROW_BYTES_MAX).then(|| bytes.into())
}

/// `None`: it is in a form that only a later version reads, or of something else.
pub(crate) fn from_bytes(bytes: &[u8], payment: PaymentId) -> Option<Row> {
    let row = codec::row_from_bytes(bytes).ok()?;
    match row.key() {
        RowKey::Outgoing(id) | RowKey::Incoming(id) => (id == payment).then_some(row),
        RowKey::Environment(_)
        | RowKey::Line(_)
        | RowKey::Node(_)
        | RowKey::Wallet(_)
        | RowKey::Account(_) => None,
    }
}
