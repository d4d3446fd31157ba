//! What payments are listed and counted by, for every store.

use domain::{
    EnvironmentId, PaymentId, Timestamp, WalletId,
    org::{Metadata, PaymentStatus, Row},
};
use ports::{StoreError, reads::Direction};

/// The columns that stand beside the body of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) payment: PaymentId,
    pub(crate) environment: EnvironmentId,
    pub(crate) wallet: WalletId,
    pub(crate) direction: Direction,
    pub(crate) status: PaymentStatus,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) metadata: Metadata,
}

impl Listing {
    /// `None` for a row of another kind.
    pub(crate) fn of(row: &Row) -> Option<Listing> {
        match row {
            Row::Outgoing(it) => Some(Listing {
                payment: it.id,
                environment: it.environment,
                wallet: it.terms.wallet,
                direction: Direction::Send,
                status: it.status(),
                created_at: it.created_at,
                updated_at: it.updated_at,
                metadata: it.terms.metadata.clone(),
            }),
            Row::Incoming(it) => Some(Listing {
                payment: it.id,
                environment: it.environment,
                wallet: it.terms.wallet,
                direction: Direction::Receive,
                status: it.status(),
                created_at: it.created_at,
                updated_at: it.updated_at,
                metadata: it.terms.metadata.clone(),
            }),
            Row::Environment(..)
            | Row::Line(..)
            | Row::Node(..)
            | Row::Wallet(..)
            | Row::Account(..) => None,
        }
    }

    /// JSON, as SQL searches it; `None` when there is nothing to find.
    pub(crate) fn metadata_json(&self) -> Option<String> {
        metadata_json(&self.metadata)
    }
}

pub(crate) fn metadata_json(metadata: &Metadata) -> Option<String> {
    let json = || serde_json::to_string(metadata).expect("texts are JSON");
    (!metadata.is_empty()).then(json)
}

/// What stands in the store. A direction keeps its number for ever.
pub(crate) fn direction_number(direction: Direction) -> i16 {
    match direction {
        Direction::Send => 1,
        Direction::Receive => 2,
    }
}

pub(crate) fn direction_of(number: i16) -> Result<Direction, StoreError> {
    let known = [Direction::Send, Direction::Receive];
    let found = known.into_iter().find(|direction| direction_number(*direction) == number);
    found.ok_or_else(|| StoreError::Corrupt(format!("no direction has the number {number}")))
}

/// What stands in the store. A status keeps its number for ever.
pub(crate) fn status_number(status: PaymentStatus) -> i16 {
    match status {
        PaymentStatus::Sending => 1,
        PaymentStatus::Completed => 2,
        PaymentStatus::Failed => 3,
        PaymentStatus::Generating => 4,
        PaymentStatus::Receiving => 5,
        PaymentStatus::Expired => 6,
    }
}

pub(crate) fn status_of(number: i16) -> Result<PaymentStatus, StoreError> {
    let known = [
        PaymentStatus::Sending,
        PaymentStatus::Completed,
        PaymentStatus::Failed,
        PaymentStatus::Generating,
        PaymentStatus::Receiving,
        PaymentStatus::Expired,
    ];
    let found = known.into_iter().find(|status| status_number(*status) == number);
    found.ok_or_else(|| StoreError::Corrupt(format!("no status has the number {number}")))
}
