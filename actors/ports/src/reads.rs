//! Reading without deciding. Every acknowledged write is seen.

use async_trait::async_trait;
use domain::{
    EnvironmentId, OrgId, PaymentId, Timestamp, WalletId,
    org::{Event, Metadata, PaymentStatus, Row},
};

use crate::{StoreError, journal::Seq};

/// One row of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub seq: Seq,
    pub at: Timestamp,
    pub event: Event,
}

/// One row of the journal, with the payment that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEvent {
    pub recorded: Recorded,
    /// `None`: it is about a wallet, a line or the environment itself.
    pub payment: Option<PaymentId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    Send,
    Receive,
}

/// Which payments of an organisation are meant. All conditions that are given must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentFilter {
    pub environment: EnvironmentId,
    pub wallets: Option<Vec<WalletId>>,
    pub direction: Option<Direction>,
    /// Empty: any.
    pub statuses: Vec<PaymentStatus>,
    /// Each of these pairs must be there.
    pub metadata: Metadata,
    /// Both inclusive.
    pub created_from: Option<Timestamp>,
    pub created_to: Option<Timestamp>,
    /// Last changed after this position of the journal.
    pub updated_after: Option<Seq>,
}

impl PaymentFilter {
    /// Every payment of the environment.
    pub fn all(environment: EnvironmentId) -> PaymentFilter {
        PaymentFilter {
            environment,
            wallets: None,
            direction: None,
            statuses: Vec::new(),
            metadata: Metadata::new(),
            created_from: None,
            created_to: None,
            updated_after: None,
        }
    }
}

/// What a list of payments is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentOrder {
    Created,
    /// By the position in the journal of the event that changed it last.
    Updated,
}

/// A place in a list of payments. The id decides between many that were made in one millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PaymentPlace {
    /// Milliseconds of the creation, or the position of the last change, as the list is sorted.
    pub key: i64,
    pub id: PaymentId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub row: Row,
    pub id: PaymentId,
    pub created_at: Timestamp,
    pub updated_seq: Seq,
}

impl Listed {
    /// Where a list that is sorted so goes on behind this payment.
    pub fn place(&self, order: PaymentOrder) -> PaymentPlace {
        let key = match order {
            PaymentOrder::Created => self.created_at.millis(),
            PaymentOrder::Updated => i64::try_from(self.updated_seq.0).unwrap_or(i64::MAX),
        };
        PaymentPlace { key, id: self.id }
    }
}

/// How many payments of one kind there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentCount {
    pub direction: Direction,
    pub status: PaymentStatus,
    pub count: u64,
    /// When the first and the last of them were created.
    pub oldest: Timestamp,
    pub newest: Timestamp,
}

/// Which entries of a wallet's ledger are meant. All conditions that are given must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerFilter {
    pub payment: Option<PaymentId>,
    /// Both inclusive.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Behind this position of the journal.
    pub after: Option<Seq>,
}

#[async_trait]
pub trait Reads: Send + Sync {
    async fn payment(&self, org: OrgId, id: PaymentId) -> Result<Option<Row>, StoreError>;

    /// Payments that pass the filter, sorted, those behind `after` without the first `offset` of them,
    /// at most `limit`.
    #[allow(clippy::too_many_arguments, reason = "they are the parts of one question")]
    async fn find_payments(
        &self,
        org: OrgId,
        filter: &PaymentFilter,
        order: PaymentOrder,
        ascending: bool,
        after: Option<PaymentPlace>,
        offset: u64,
        limit: u32,
    ) -> Result<Vec<Listed>, StoreError>;

    /// How many payments pass the filter, by direction and status, in this order.
    async fn count_payments(
        &self,
        org: OrgId,
        filter: &PaymentFilter,
    ) -> Result<Vec<PaymentCount>, StoreError>;

    /// The events of one payment, oldest first.
    async fn history(&self, org: OrgId, payment: PaymentId) -> Result<Vec<Recorded>, StoreError>;

    /// Environments, lines, nodes, wallets and accounts of an organisation.
    async fn standing(&self, org: OrgId) -> Result<Vec<Row>, StoreError>;

    /// The journal after a position, oldest first, at most `limit`.
    async fn journal(
        &self,
        org: OrgId,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError>;

    /// The journal after a position as one environment sees it: its payments, its wallets, its lines
    /// and itself, oldest first. Looks at no more than `limit` rows, most of which may be another
    /// environment's, and says how far it has looked.
    async fn feed(
        &self,
        org: OrgId,
        environment: EnvironmentId,
        after: Seq,
        limit: u32,
    ) -> Result<(Vec<FeedEvent>, Seq), StoreError>;

    /// The events that move this wallet, by an entry or by a hold taken or given back, sorted by their
    /// position, without the first `offset`, at most `limit`.
    async fn ledger(
        &self,
        org: OrgId,
        wallet: WalletId,
        filter: &LedgerFilter,
        ascending: bool,
        offset: u64,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError>;

    /// How many events [`Reads::ledger`] has in all.
    async fn count_ledger(
        &self,
        org: OrgId,
        wallet: WalletId,
        filter: &LedgerFilter,
    ) -> Result<u64, StoreError>;

    /// Organisations with a payment or an invoice that is open.
    async fn orgs_with_open_work(&self) -> Result<Vec<OrgId>, StoreError>;

    /// Those of one organisation, by id: what loading it reads.
    async fn open_payments(&self, org: OrgId) -> Result<Vec<PaymentId>, StoreError>;
}
