//! Any store, with faults put in its way by a plan that is handed in.
//!
//! Nothing here is random and nothing waits for time, so that a simulation with one seed runs the
//! same way each time.
//!
//! | fault | was it done? | what the caller is told |
//! |---|---|---|
//! | refuse, abort, roll back | no | certainly not |
//! | lose the request | no | perhaps |
//! | lose the answer | yes | perhaps |
//! | stall before, stall after | no, yes | nothing, until the gate is opened |
//!
//! A call that only reads has no "perhaps": losing it is refusing it. What the store itself refuses
//! is told as it is: a COMMIT that was never sent cannot be lost.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use async_trait::async_trait;
use domain::{
    EnvironmentId, KeyId, NodeId, OrgId, PaymentHash, PaymentId, Preimage, SessionId, Timestamp,
    WalletId,
    org::{Revision, Row},
};
use ports::{
    Directory, Guard, Idempotency, Journal, Placement, Reads, Receipts, StoreError,
    directory::{KeyRecord, NodeRecord, OrgRecord},
    guard::{Accepted, Foreign, Generation, Sighting},
    idempotency::{Begun, IdempotencyScope, Runner, StoredAnswer},
    journal::{Append, AppendError, Known, LoadError, Loaded, Question, Seq},
    lightning::Settlement,
    placement::{Granted, LeaseLength, PlacementMap},
    reads::{
        FeedEvent, LedgerFilter, Listed, PaymentCount, PaymentFilter, PaymentOrder, PaymentPlace,
        Recorded,
    },
    receipts::{OpenReceipt, TakenIn, Unknown, UnknownReceipt},
};
use tokio::sync::Semaphore;

/// What a plan is asked about, once for each call and in the order of the calls.
#[derive(Clone, Copy, Debug)]
pub enum Call<'a> {
    Load(OrgId),
    Append(&'a [Append]),
    LookUp,
    Preimage,
    Begin(SessionId),
    Renew(SessionId),
    Map,
    TakeIn(NodeId),
    /// Of read models, cursors, records or the guard.
    Read,
    /// Of records or the guard.
    Write,
}

#[derive(Clone, Debug)]
pub enum Fault {
    /// The store cannot be reached.
    Refuse,
    /// A statement fails, such as by a deadlock.
    Abort,
    /// COMMIT itself says that it rolled back.
    RollBack,
    LoseRequest,
    LoseAnswer,
    StallBefore(Gate),
    StallAfter(Gate),
}

/// Holds calls until it is opened; then it stays open.
#[derive(Clone, Debug)]
pub struct Gate {
    permits: Arc<Semaphore>,
}

impl Gate {
    pub fn closed() -> Gate {
        Gate { permits: Arc::new(Semaphore::new(0)) }
    }

    pub fn open(&self) {
        self.permits.close();
    }

    /// Waiting ends when the semaphore is closed; there is never a permit.
    async fn passed(&self) {
        let _closed = self.permits.acquire().await;
    }
}

type Plan = Box<dyn Fn(Call<'_>) -> Option<Fault> + Send + Sync>;

pub struct Faulty<S: ?Sized> {
    inner: Arc<S>,
    plan: Plan,
}

impl<S: ?Sized> Faulty<S> {
    pub fn new(
        inner: Arc<S>,
        plan: impl Fn(Call<'_>) -> Option<Fault> + Send + Sync + 'static,
    ) -> Faulty<S> {
        Faulty { inner, plan: Box::new(plan) }
    }

    async fn change<T, E: Broken>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E> {
        match (self.plan)(call) {
            None => work.await,
            Some(Fault::Refuse) => Err(E::not_done("refused")),
            Some(Fault::Abort) => Err(E::not_done("deadlock detected")),
            Some(Fault::RollBack) => Err(E::not_done("COMMIT rolled back")),
            Some(Fault::LoseRequest) => Err(E::perhaps_done("the request was lost")),
            Some(Fault::LoseAnswer) => {
                work.await?;
                Err(E::perhaps_done("the answer was lost"))
            }
            Some(Fault::StallBefore(gate)) => {
                gate.passed().await;
                work.await
            }
            Some(Fault::StallAfter(gate)) => {
                let answer = work.await;
                gate.passed().await;
                answer
            }
        }
    }

    async fn read<T>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.change(call, work).await.map_err(|error| match error {
            StoreError::Unknown(why) => StoreError::Unavailable(why),
            StoreError::Unavailable(_) | StoreError::Corrupt(_) | StoreError::AlreadyThere => error,
        })
    }
}

/// How each port says that something went wrong.
trait Broken {
    fn not_done(why: &str) -> Self;
    fn perhaps_done(why: &str) -> Self;
}

impl Broken for StoreError {
    fn not_done(why: &str) -> StoreError {
        StoreError::Unavailable(why.to_owned())
    }

    fn perhaps_done(why: &str) -> StoreError {
        StoreError::Unknown(why.to_owned())
    }
}

impl Broken for LoadError {
    fn not_done(why: &str) -> LoadError {
        StoreError::not_done(why).into()
    }

    fn perhaps_done(why: &str) -> LoadError {
        StoreError::perhaps_done(why).into()
    }
}

impl Broken for AppendError {
    fn not_done(why: &str) -> AppendError {
        AppendError::Aborted(why.to_owned())
    }

    fn perhaps_done(why: &str) -> AppendError {
        AppendError::Unknown(why.to_owned())
    }
}

#[async_trait]
impl<S: Journal + ?Sized> Journal for Faulty<S> {
    fn lanes(&self) -> usize {
        self.inner.lanes()
    }

    async fn load(&self, org: OrgId, session: SessionId) -> Result<Loaded, LoadError> {
        self.change(Call::Load(org), self.inner.load(org, session)).await
    }

    async fn append(&self, batch: &[Append]) -> Result<(), AppendError> {
        self.change(Call::Append(batch), self.inner.append(batch)).await
    }

    async fn look_up(&self, questions: &[Question]) -> Result<Vec<Known>, StoreError> {
        self.read(Call::LookUp, self.inner.look_up(questions)).await
    }

    async fn preimage(&self, hash: PaymentHash) -> Result<Option<Preimage>, StoreError> {
        self.read(Call::Preimage, self.inner.preimage(hash)).await
    }
}

#[async_trait]
impl<S: Placement + ?Sized> Placement for Faulty<S> {
    fn lease_length(&self) -> LeaseLength {
        self.inner.lease_length()
    }

    async fn begin(&self, session: SessionId) -> Result<Timestamp, StoreError> {
        self.change(Call::Begin(session), self.inner.begin(session)).await
    }

    async fn renew(&self, session: SessionId) -> Result<Option<Timestamp>, StoreError> {
        self.change(Call::Renew(session), self.inner.renew(session)).await
    }

    async fn map(&self) -> Result<PlacementMap, StoreError> {
        self.read(Call::Map, self.inner.map()).await
    }

    async fn leases(&self) -> Result<BTreeMap<SessionId, Granted>, StoreError> {
        self.read(Call::Read, self.inner.leases()).await
    }

    async fn allow(&self, revision: Revision) -> Result<Vec<String>, StoreError> {
        self.change(Call::Write, self.inner.allow(revision)).await
    }
}

#[async_trait]
impl<S: Receipts + ?Sized> Receipts for Faulty<S> {
    async fn settle_cursor(&self, node: NodeId) -> Result<u64, StoreError> {
        self.read(Call::Read, self.inner.settle_cursor(node)).await
    }

    async fn begin_receipts(&self, node: NodeId, settle_index: u64) -> Result<(), StoreError> {
        self.change(Call::Write, self.inner.begin_receipts(node, settle_index)).await
    }

    async fn take_in(
        &self,
        node: NodeId,
        settlements: &[Settlement],
        unknown: Unknown,
    ) -> Result<TakenIn, StoreError> {
        self.change(Call::TakeIn(node), self.inner.take_in(node, settlements, unknown)).await
    }

    async fn unknown_receipts(&self) -> Result<Vec<UnknownReceipt>, StoreError> {
        self.read(Call::Read, self.inner.unknown_receipts()).await
    }

    async fn open_receipts(&self) -> Result<Vec<OpenReceipt>, StoreError> {
        self.read(Call::Read, self.inner.open_receipts()).await
    }
}

#[async_trait]
impl<S: Reads + ?Sized> Reads for Faulty<S> {
    async fn payment(&self, org: OrgId, id: PaymentId) -> Result<Option<Row>, StoreError> {
        self.read(Call::Read, self.inner.payment(org, id)).await
    }

    async fn find_payments(
        &self,
        org: OrgId,
        filter: &PaymentFilter,
        order: PaymentOrder,
        ascending: bool,
        after: Option<PaymentPlace>,
        offset: u64,
        limit: u32,
    ) -> Result<Vec<Listed>, StoreError> {
        let found = self.inner.find_payments(org, filter, order, ascending, after, offset, limit);
        self.read(Call::Read, found).await
    }

    async fn count_payments(
        &self,
        org: OrgId,
        filter: &PaymentFilter,
    ) -> Result<Vec<PaymentCount>, StoreError> {
        self.read(Call::Read, self.inner.count_payments(org, filter)).await
    }

    async fn history(&self, org: OrgId, payment: PaymentId) -> Result<Vec<Recorded>, StoreError> {
        self.read(Call::Read, self.inner.history(org, payment)).await
    }

    async fn standing(&self, org: OrgId) -> Result<Vec<Row>, StoreError> {
        self.read(Call::Read, self.inner.standing(org)).await
    }

    async fn journal(
        &self,
        org: OrgId,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.read(Call::Read, self.inner.journal(org, after, limit)).await
    }

    async fn feed(
        &self,
        org: OrgId,
        environment: EnvironmentId,
        after: Seq,
        limit: u32,
    ) -> Result<(Vec<FeedEvent>, Seq), StoreError> {
        self.read(Call::Read, self.inner.feed(org, environment, after, limit)).await
    }

    async fn ledger(
        &self,
        org: OrgId,
        wallet: WalletId,
        filter: &LedgerFilter,
        ascending: bool,
        offset: u64,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        let found = self.inner.ledger(org, wallet, filter, ascending, offset, limit);
        self.read(Call::Read, found).await
    }

    async fn count_ledger(
        &self,
        org: OrgId,
        wallet: WalletId,
        filter: &LedgerFilter,
    ) -> Result<u64, StoreError> {
        self.read(Call::Read, self.inner.count_ledger(org, wallet, filter)).await
    }

    async fn orgs_with_open_work(&self) -> Result<Vec<OrgId>, StoreError> {
        self.read(Call::Read, self.inner.orgs_with_open_work()).await
    }

    async fn open_payments(&self, org: OrgId) -> Result<Vec<PaymentId>, StoreError> {
        self.read(Call::Read, self.inner.open_payments(org)).await
    }
}

#[async_trait]
impl<S: Directory + ?Sized> Directory for Faulty<S> {
    async fn add_org(&self, org: &OrgRecord) -> Result<(), StoreError> {
        self.change(Call::Write, self.inner.add_org(org)).await
    }

    async fn orgs(&self) -> Result<Vec<OrgRecord>, StoreError> {
        self.read(Call::Read, self.inner.orgs()).await
    }

    async fn add_key(&self, key: &KeyRecord) -> Result<(), StoreError> {
        self.change(Call::Write, self.inner.add_key(key)).await
    }

    async fn key(&self, digest: [u8; 32]) -> Result<Option<KeyRecord>, StoreError> {
        self.read(Call::Read, self.inner.key(digest)).await
    }

    async fn keys(&self, org: OrgId) -> Result<Vec<KeyRecord>, StoreError> {
        self.read(Call::Read, self.inner.keys(org)).await
    }

    async fn touch_keys(&self, used: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        self.change(Call::Write, self.inner.touch_keys(used)).await
    }

    async fn revoke_key(&self, id: KeyId, at: Timestamp) -> Result<bool, StoreError> {
        self.change(Call::Write, self.inner.revoke_key(id, at)).await
    }

    async fn add_node(&self, node: &NodeRecord) -> Result<(), StoreError> {
        self.change(Call::Write, self.inner.add_node(node)).await
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        self.read(Call::Read, self.inner.nodes()).await
    }

    async fn stop_node(&self, id: NodeId, why: Option<&str>) -> Result<bool, StoreError> {
        self.change(Call::Write, self.inner.stop_node(id, why)).await
    }
}

#[async_trait]
impl<S: Idempotency + ?Sized> Idempotency for Faulty<S> {
    async fn begin(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
        runner: Runner,
    ) -> Result<Begun, StoreError> {
        self.change(Call::Write, self.inner.begin(scope, fingerprint, runner)).await
    }

    async fn finish(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
        answer: &StoredAnswer,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let finished = self.inner.finish(scope, fingerprint, answer, now);
        self.change(Call::Write, finished).await
    }

    async fn abandon(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
    ) -> Result<(), StoreError> {
        self.change(Call::Write, self.inner.abandon(scope, fingerprint)).await
    }

    async fn forget_before(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.change(Call::Write, self.inner.forget_before(before, limit)).await
    }
}

#[async_trait]
impl<S: Guard + ?Sized> Guard for Faulty<S> {
    async fn generation(&self) -> Result<Generation, StoreError> {
        self.read(Call::Read, self.inner.generation()).await
    }

    async fn frozen(&self) -> Result<Option<String>, StoreError> {
        self.read(Call::Read, self.inner.frozen()).await
    }

    async fn freeze(&self, why: &str) -> Result<(), StoreError> {
        self.change(Call::Write, self.inner.freeze(why)).await
    }

    async fn thaw(&self, accepted: &[Accepted]) -> Result<Option<String>, StoreError> {
        self.change(Call::Write, self.inner.thaw(accepted)).await
    }

    async fn payment_cursor(&self, node: NodeId) -> Result<u64, StoreError> {
        self.read(Call::Read, self.inner.payment_cursor(node)).await
    }

    async fn move_payment_cursor(&self, node: NodeId, to: u64) -> Result<(), StoreError> {
        self.change(Call::Write, self.inner.move_payment_cursor(node, to)).await
    }

    async fn unknown_payments(
        &self,
        node: NodeId,
        hashes: &[PaymentHash],
    ) -> Result<Vec<PaymentHash>, StoreError> {
        self.read(Call::Read, self.inner.unknown_payments(node, hashes)).await
    }

    async fn record_foreign(
        &self,
        node: NodeId,
        hashes: &[PaymentHash],
        how: Foreign,
    ) -> Result<(), StoreError> {
        self.change(Call::Write, self.inner.record_foreign(node, hashes, how)).await
    }

    async fn lost_payments(&self, node: NodeId) -> Result<Vec<PaymentHash>, StoreError> {
        self.read(Call::Read, self.inner.lost_payments(node)).await
    }

    async fn sightings(&self, node: NodeId) -> Result<Vec<(Sighting, bool)>, StoreError> {
        self.read(Call::Read, self.inner.sightings(node)).await
    }

    async fn change_sightings(
        &self,
        added: &[Sighting],
        dropped: &[Sighting],
    ) -> Result<(), StoreError> {
        self.change(Call::Write, self.inner.change_sightings(added, dropped)).await
    }

    async fn excuse_sightings(&self, node: NodeId, also: &[Sighting]) -> Result<(), StoreError> {
        self.change(Call::Write, self.inner.excuse_sightings(node, also)).await
    }
}
