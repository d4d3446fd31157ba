//! Behind the gateway nothing: one key, one payment, and a feed that never ends, all in memory. What is
//! left is what the gateway itself costs.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use domain::{
    EnvironmentId, InvoiceTerms, KeyId, Msat, Network, NodeId, OrgId, PaymentHash, PaymentId,
    Permission, Preimage, PublicKey, SessionId, Timestamp, WalletId,
    org::{
        ClaimAnswer, ClaimRequest, Command, Event, Incoming, IncomingState, Metadata, Outgoing,
        OutgoingState, Rail, ReceiveTerms, Row, SendTerms,
    },
    payment::{Attempt, AttemptEnd, Epoch, Request},
};
use gateway::{Gateway, RateLimit};
use placement::Bell;
use ports::{
    Clock, Directory, Idempotency, Operations, Orgs, Peers, Reads, Seal, StoreError,
    directory::{KeyRecord, NodeRecord, OrgRecord},
    idempotency::{Begun, IdempotencyScope, Runner, StoredAnswer},
    journal::Seq,
    operations::{AuditReport, NewNode, NodeState, RegisterError, ThawError},
    orgs::{Answered, OrgsError, Within},
    placement::Pods,
    reads::{
        FeedEvent, LedgerFilter, Listed, PaymentCount, PaymentFilter, PaymentOrder, PaymentPlace,
        Recorded,
    },
    receipts::OpenReceipt,
    restore::{RestoreReport, Restoring, Thawing},
    seal::{SealFailure, Sealed},
};
use uuid::Uuid;

/// Whatever secret is shown is the one key.
pub(crate) const SECRET: &str = "switchyard_bench";

const NOW_MS: i64 = 1_700_000_000_000;

/// As long as a payment request is.
const INVOICE_LENGTH: usize = 320;

pub(crate) fn org() -> OrgId {
    OrgId::new(Uuid::from_u128(1))
}

pub(crate) fn environment() -> EnvironmentId {
    EnvironmentId::new(Uuid::from_u128(2))
}

pub(crate) fn payment() -> PaymentId {
    PaymentId::new(Uuid::from_u128(3))
}

/// The gateway before it.
pub(crate) fn gateway() -> Gateway {
    let stub = Arc::new(Stub::new());
    Gateway {
        orgs: stub.clone(),
        reads: stub.clone(),
        directory: stub.clone(),
        idempotency: stub.clone(),
        operations: stub.clone(),
        clock: stub,
        network: Network::Regtest,
        rate_limit: RateLimit::per_second(NonZeroU32::MAX),
        wakes: Arc::new(Bell::default()),
        counts: None,
        session: SessionId::new(Uuid::nil()),
    }
}

pub(crate) struct Stub {
    row: Row,
}

impl Stub {
    pub(crate) fn new() -> Stub {
        Stub { row: row() }
    }
}

pub(crate) fn invoice() -> InvoiceTerms {
    InvoiceTerms {
        text: "l".repeat(INVOICE_LENGTH),
        network: Network::Regtest,
        hash: PaymentHash([7; 32]),
        amount_msat: Msat::new(1_000_000),
        payee: PublicKey([2; 33]),
        description: "a book".to_owned(),
        expires_at: Timestamp::from_millis(NOW_MS).plus_seconds(3_600),
    }
}

/// One that the first node has paid at once.
fn paid(id: PaymentId, terms: SendTerms) -> Outgoing {
    let (at, node) = (Timestamp::from_millis(NOW_MS), NodeId::new(Uuid::from_u128(5)));
    let request = Request { epoch: Epoch(1), until: at.plus_seconds(60), unsent: false };
    Outgoing {
        id,
        terms: Arc::new(terms),
        environment: environment(),
        amount_msat: Msat::new(1_000_000).unwrap_or_default(),
        fee_limit_msat: Msat::new(1_000).unwrap_or_default(),
        rail: Rail::CreditPool,
        plan: Vec::new(),
        older_failures: Vec::new(),
        attempts: vec![Attempt {
            node,
            started_at: at,
            requests: vec![request],
            older_failures: Vec::new(),
            end: Some(AttemptEnd::Paid { at }),
        }],
        state: OutgoingState::Posted { fee_msat: Msat::ZERO, preimage: Some(Preimage([9; 32])) },
        created_at: at,
        updated_at: at,
        contradicted: false,
        resolved: None,
        cancelled: false,
    }
}

fn row() -> Row {
    let at = Timestamp::from_millis(NOW_MS);
    let terms = ReceiveTerms {
        wallet: WalletId::new(Uuid::from_u128(4)),
        amount_msat: Some(1_000_000),
        description: "a book".to_owned(),
        expiry_seconds: 3_600,
        metadata: Metadata::from([("order".to_owned(), "7".to_owned())]),
    };
    Row::Incoming(Arc::new(Incoming {
        id: payment(),
        terms,
        environment: environment(),
        hash: PaymentHash([7; 32]),
        node: NodeId::new(Uuid::from_u128(5)),
        expires_at: at.plus_seconds(3_600),
        invoice: Some(invoice()),
        state: IncomingState::Open,
        credited_msat: Msat::ZERO,
        created_at: at,
        updated_at: at,
    }))
}

pub(crate) fn not_here() -> StoreError {
    StoreError::Unavailable("a bench has none".to_owned())
}

fn nobody() -> OrgsError {
    OrgsError::Unavailable("a bench has none".to_owned())
}

impl Clock for Stub {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(NOW_MS)
    }
}

impl Seal for Stub {
    fn seal_macaroon(&self, _: NodeId, _: &[u8]) -> Result<Sealed, SealFailure> {
        Err(SealFailure("a bench has no keys".to_owned()))
    }

    fn open_macaroon(&self, _: NodeId, _: &Sealed) -> Result<Vec<u8>, SealFailure> {
        Err(SealFailure("a bench has no keys".to_owned()))
    }
}

#[tonic::async_trait]
impl Reads for Stub {
    async fn payment(&self, _: OrgId, _: PaymentId) -> Result<Option<Row>, StoreError> {
        Ok(Some(self.row.clone()))
    }

    async fn find_payments(
        &self,
        _: OrgId,
        _: &PaymentFilter,
        _: PaymentOrder,
        _: bool,
        _: Option<PaymentPlace>,
        _: u64,
        _: u32,
    ) -> Result<Vec<Listed>, StoreError> {
        Err(not_here())
    }

    async fn count_payments(
        &self,
        _: OrgId,
        _: &PaymentFilter,
    ) -> Result<Vec<PaymentCount>, StoreError> {
        Err(not_here())
    }

    async fn history(&self, _: OrgId, _: PaymentId) -> Result<Vec<Recorded>, StoreError> {
        Err(not_here())
    }

    async fn standing(&self, _: OrgId) -> Result<Vec<Row>, StoreError> {
        Err(not_here())
    }

    async fn journal(&self, _: OrgId, _: Seq, _: u32) -> Result<Vec<Recorded>, StoreError> {
        Err(not_here())
    }

    async fn feed(
        &self,
        _: OrgId,
        _: EnvironmentId,
        Seq(after): Seq,
        limit: u32,
    ) -> Result<(Vec<FeedEvent>, Seq), StoreError> {
        let last = after + u64::from(limit);
        let event = |seq| FeedEvent {
            recorded: Recorded {
                seq: Seq(seq),
                at: self.now(),
                event: Event::InvoiceExpired { payment: payment() },
            },
            payment: Some(payment()),
        };
        Ok(((after + 1..=last).map(event).collect(), Seq(last)))
    }

    async fn ledger(
        &self,
        _: OrgId,
        _: WalletId,
        _: &LedgerFilter,
        _: bool,
        _: u64,
        _: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        Err(not_here())
    }

    async fn count_ledger(
        &self,
        _: OrgId,
        _: WalletId,
        _: &LedgerFilter,
    ) -> Result<u64, StoreError> {
        Err(not_here())
    }

    async fn orgs_with_open_work(&self) -> Result<Vec<OrgId>, StoreError> {
        Err(not_here())
    }

    async fn open_payments(&self, _: OrgId) -> Result<Vec<PaymentId>, StoreError> {
        Err(not_here())
    }
}

#[tonic::async_trait]
impl Orgs for Stub {
    async fn send(
        &self,
        _: OrgId,
        payment: PaymentId,
        terms: SendTerms,
        _: Within,
    ) -> Result<Answered<Arc<Outgoing>>, OrgsError> {
        Ok(Answered { payment: Arc::new(paid(payment, terms)), repeat: false })
    }

    async fn receive(
        &self,
        _: OrgId,
        _: PaymentId,
        _: ReceiveTerms,
        _: Within,
    ) -> Result<Answered<Arc<Incoming>>, OrgsError> {
        Err(nobody())
    }

    async fn cancel(&self, _: OrgId, _: PaymentId, _: Duration) -> Result<Row, OrgsError> {
        Err(nobody())
    }

    async fn administer(&self, _: OrgId, _: Command) -> Result<(), OrgsError> {
        Err(nobody())
    }

    async fn wait(&self, _: OrgId, _: PaymentId, _: Duration) -> Result<Row, OrgsError> {
        Err(nobody())
    }
}

#[tonic::async_trait]
impl Peers for Stub {
    async fn claim(&self, _: OrgId, _: ClaimRequest, _: String) -> Result<(), OrgsError> {
        Err(nobody())
    }

    async fn answer_claim(&self, _: OrgId, _: PaymentId, _: ClaimAnswer) -> Result<(), OrgsError> {
        Err(nobody())
    }

    async fn book_receipt(&self, _: OpenReceipt) -> Result<(), OrgsError> {
        Err(nobody())
    }
}

#[tonic::async_trait]
impl Directory for Stub {
    async fn add_org(&self, _: &OrgRecord) -> Result<(), StoreError> {
        Err(not_here())
    }

    async fn orgs(&self) -> Result<Vec<OrgRecord>, StoreError> {
        Err(not_here())
    }

    async fn add_key(&self, _: &KeyRecord) -> Result<(), StoreError> {
        Err(not_here())
    }

    async fn key(&self, digest: [u8; 32]) -> Result<Option<KeyRecord>, StoreError> {
        Ok(Some(KeyRecord {
            id: KeyId::new(Uuid::from_u128(6)),
            org: org(),
            environment: environment(),
            name: "bench".to_owned(),
            digest,
            permissions: [Permission::Read].into(),
            expires_at: None,
            valid_ips: Vec::new(),
            created_at: self.now(),
            updated_at: self.now(),
            revoked_at: None,
            last_used_at: None,
        }))
    }

    async fn keys(&self, _: OrgId) -> Result<Vec<KeyRecord>, StoreError> {
        Err(not_here())
    }

    async fn touch_keys(&self, _: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn revoke_key(&self, _: KeyId, _: Timestamp) -> Result<bool, StoreError> {
        Err(not_here())
    }

    async fn add_node(&self, _: &NodeRecord) -> Result<(), StoreError> {
        Err(not_here())
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        Ok(Vec::new())
    }

    async fn stop_node(&self, _: NodeId, _: Option<&str>) -> Result<bool, StoreError> {
        Err(not_here())
    }
}

#[tonic::async_trait]
impl Idempotency for Stub {
    async fn begin(
        &self,
        _: &IdempotencyScope,
        _: [u8; 32],
        _: Runner,
    ) -> Result<Begun, StoreError> {
        Err(not_here())
    }

    async fn finish(
        &self,
        _: &IdempotencyScope,
        _: [u8; 32],
        _: &StoredAnswer,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        Err(not_here())
    }

    async fn abandon(&self, _: &IdempotencyScope, _: [u8; 32]) -> Result<(), StoreError> {
        Err(not_here())
    }

    async fn forget_before(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}

#[tonic::async_trait]
impl Operations for Stub {
    async fn pods(&self) -> Result<Pods, StoreError> {
        Ok(Pods::default())
    }

    async fn register_node(&self, _: NewNode) -> Result<NodeRecord, RegisterError> {
        Err(RegisterError::Store(not_here()))
    }

    async fn nodes(&self) -> Result<Vec<NodeState>, StoreError> {
        Err(not_here())
    }

    async fn stop_node(&self, _: NodeId, _: Option<&str>) -> Result<bool, StoreError> {
        Err(not_here())
    }

    async fn is_ready(&self) -> bool {
        true
    }

    async fn frozen(&self) -> Result<Option<String>, StoreError> {
        Err(not_here())
    }

    async fn thaw(&self, _: Thawing) -> Result<Option<String>, ThawError> {
        Err(not_here().into())
    }

    async fn restore(&self, _: Restoring) -> Result<RestoreReport, StoreError> {
        Err(not_here())
    }

    async fn audit(&self) -> Result<AuditReport, StoreError> {
        Err(not_here())
    }
}
