//! Reading without deciding. Every acknowledged write is seen.

use async_trait::async_trait;
use domain::{
    OrgId, PaymentId, Timestamp, WalletId,
    org::{Event, Row},
};

use crate::{StoreError, journal::Seq};

/// One row of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub seq: Seq,
    pub at: Timestamp,
    pub event: Event,
}

/// A place in a list of payments: many may be made in one millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PaymentCursor {
    pub created_at: Timestamp,
    pub id: PaymentId,
}

#[async_trait]
pub trait Reads: Send + Sync {
    async fn payment(&self, org: OrgId, id: PaymentId) -> Result<Option<Row>, StoreError>;

    /// Payments of an organisation, by (`created_at`, `id`) from the greatest, those below `before`, at
    /// most `limit`.
    async fn payments(
        &self,
        org: OrgId,
        before: Option<PaymentCursor>,
        limit: u32,
    ) -> Result<Vec<Row>, StoreError>;

    /// Environments, lines, nodes, wallets and accounts of an organisation.
    async fn standing(&self, org: OrgId) -> Result<Vec<Row>, StoreError>;

    /// The journal after a position, oldest first, at most `limit`.
    async fn journal(
        &self,
        org: OrgId,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError>;

    /// The events that move this wallet, by an entry or by a hold taken or given back, oldest first,
    /// after a position, at most `limit`.
    async fn ledger(
        &self,
        org: OrgId,
        wallet: WalletId,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError>;

    /// Organisations with a payment or an invoice that is open.
    async fn orgs_with_open_work(&self) -> Result<Vec<OrgId>, StoreError>;
}
