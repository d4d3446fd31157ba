//! The store as one life sees it: the memory store, the faults that the run draws, and the life's end.

mod guard;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    EnvironmentId, KeyId, NodeId, OrgId, PaymentHash, PaymentId, Preimage, SessionId, Timestamp,
    WalletId,
    org::{Revision, Row},
};
use ports::{
    Cluster, Directory, Journal, Placement, Reads, Receipts, StoreError,
    directory::{KeyRecord, NodeRecord, OrgRecord},
    journal::{Append, AppendError, Known, LoadError, Loaded, Question, Seq},
    lightning::Settlement,
    placement::{Granted, JoinError, LeaseLength, PlacementMap, Pod, Reader, Shard},
    reads::{
        FeedEvent, LedgerFilter, Listed, PaymentCount, PaymentFilter, PaymentOrder, PaymentPlace,
        Recorded,
    },
    receipts::{OpenReceipt, TakenIn, Unknown, UnknownReceipt},
};
use store::{
    Faulty, Memory,
    faulty::{Call, Fault, Gate},
};
use tokio::time::sleep;

use crate::{life::Life, sim::Sim};

/// The longest that a transaction stalls.
const STALL_MS: u64 = 8_000;
/// The longest that a commit whose answer was lost is under way.
const LATE_MS: u64 = 4_000;

pub(crate) struct Store {
    life: Arc<Life>,
    sim: Arc<Sim>,
    watched: Arc<Watched>,
    journal: Faulty<Watched>,
    rest: Faulty<Memory>,
}

impl Store {
    pub(crate) fn of(life: &Arc<Life>, sim: &Arc<Sim>) -> Arc<Store> {
        let watched = Arc::new(Watched { sim: sim.clone() });
        let plan = |sim: &Arc<Sim>| {
            let sim = sim.clone();
            move |call: Call<'_>| fault(&sim, call)
        };
        Arc::new(Store {
            life: life.clone(),
            sim: sim.clone(),
            journal: Faulty::new(watched.clone(), plan(sim)),
            rest: Faulty::new(sim.memory.clone(), plan(sim)),
            watched,
        })
    }

    async fn around<T>(&self, what: &str, call: impl Future<Output = T>) -> T {
        let call = async {
            self.sim.lag(|hazards| hazards.store_lag).await;
            let answer = call.await;
            self.sim.lag(|hazards| hazards.store_lag).await;
            answer
        };
        self.life.around(what, call).await
    }
}

fn fault(sim: &Arc<Sim>, call: Call<'_>) -> Option<Fault> {
    let hazards = sim.hazards();
    let writes = match call {
        Call::Append(_) => true,
        Call::TakeIn(_) | Call::Load(_) | Call::Begin(_) | Call::Renew(_) | Call::Write => true,
        Call::Map | Call::LookUp | Call::Preimage | Call::Read => false,
    };
    let stalled = sim.strikes(|hazards| hazards.stall);
    let drawn = sim.draw(|random| {
        let chances = [
            (hazards.refuse, Fault::Refuse),
            (if writes { hazards.abort / 2 } else { 0 }, Fault::Abort),
            (if writes { hazards.abort / 2 } else { 0 }, Fault::RollBack),
            (if writes { hazards.lose_request } else { 0 }, Fault::LoseRequest),
            (if writes { hazards.lose_answer } else { 0 }, Fault::LoseAnswer),
        ];
        chances.into_iter().find(|(permille, _)| *permille > 0 && random.strikes(*permille))
    });
    let fault = match (drawn, stalled && writes) {
        (Some((_, fault)), _) => fault,
        (None, true) => stall(sim),
        (None, false) => return None,
    };
    sim.say(&format!("store: {} meets {}", name(call), name_of(&fault)));
    Some(fault)
}

fn stall(sim: &Arc<Sim>) -> Fault {
    let gate = Gate::closed();
    let (ms, before) = sim.draw(|random| (random.between(1, STALL_MS), random.strikes(500)));
    let opened = gate.clone();
    tokio::spawn(async move {
        sleep(Duration::from_millis(ms)).await;
        opened.open();
    });
    if before { Fault::StallBefore(gate) } else { Fault::StallAfter(gate) }
}

fn name(call: Call<'_>) -> &'static str {
    match call {
        Call::Load(_) => "load",
        Call::Append(_) => "append",
        Call::LookUp => "look-up",
        Call::Preimage => "preimage",
        Call::Begin(_) => "begin",
        Call::Renew(_) => "renew",
        Call::Map => "map",
        Call::TakeIn(_) => "take in",
        Call::Read => "read",
        Call::Write => "write",
    }
}

fn name_of(fault: &Fault) -> &'static str {
    match fault {
        Fault::Refuse => "a refusal",
        Fault::Abort => "an abort",
        Fault::RollBack => "a COMMIT that rolls back",
        Fault::LoseRequest => "a lost request",
        Fault::LoseAnswer => "a lost answer",
        Fault::StallBefore(_) => "a stall before",
        Fault::StallAfter(_) => "a stall after",
    }
}

/// The memory store's journal, with the auditor told who loads and who writes.
pub(crate) struct Watched {
    sim: Arc<Sim>,
}

#[async_trait]
impl Journal for Watched {
    fn lanes(&self) -> usize {
        self.sim.memory.lanes()
    }

    async fn load(&self, org: OrgId, session: SessionId) -> Result<Loaded, LoadError> {
        let loaded = self.sim.memory.load(org, session).await?;
        self.sim.say(&format!("store: {org} loaded at {:?}, {:?}", loaded.seq, loaded.org.epoch));
        self.sim.audit(|auditor| auditor.loaded(org, loaded.org.epoch));
        Ok(loaded)
    }

    async fn append(&self, batch: &[Append]) -> Result<(), AppendError> {
        let appended = self.sim.memory.append(batch).await;
        self.sim.audit(|auditor| {
            if appended.is_ok() {
                batch.iter().for_each(|append| auditor.appended(append.org, append.epoch));
            }
        });
        if let Err(error) = &appended {
            self.sim.say(&format!("store: append refused: {error}"));
        }
        appended
    }

    async fn look_up(&self, questions: &[Question]) -> Result<Vec<Known>, StoreError> {
        self.sim.memory.look_up(questions).await
    }

    async fn preimage(&self, hash: PaymentHash) -> Result<Option<Preimage>, StoreError> {
        self.sim.memory.preimage(hash).await
    }
}

#[async_trait]
impl Journal for Store {
    fn lanes(&self) -> usize {
        // One life has the lane of SQLite, the next the two of PostgreSQL.
        1 + usize::from(self.life.number.is_multiple_of(2))
    }

    async fn load(&self, org: OrgId, session: SessionId) -> Result<Loaded, LoadError> {
        self.around("load", self.journal.load(org, session)).await
    }

    async fn append(&self, batch: &[Append]) -> Result<(), AppendError> {
        if self.sim.strikes(|hazards| hazards.commit_late) {
            self.life.cross("append").await;
            let ms = self.sim.draw(|random| random.between(1, LATE_MS));
            self.sim.say(&format!("store: the answer is lost, the commit comes {ms} ms later"));
            let (watched, batch) = (self.watched.clone(), batch.to_vec());
            tokio::spawn(async move {
                sleep(Duration::from_millis(ms)).await;
                // Nobody waits for the outcome.
                let _ = watched.append(&batch).await;
            });
            self.life.cross("append").await;
            return Err(AppendError::Unknown("the connection was lost".to_owned()));
        }
        self.around("append", self.journal.append(batch)).await
    }

    async fn look_up(&self, questions: &[Question]) -> Result<Vec<Known>, StoreError> {
        self.around("look-up", self.journal.look_up(questions)).await
    }

    async fn preimage(&self, hash: PaymentHash) -> Result<Option<Preimage>, StoreError> {
        self.around("preimage", self.journal.preimage(hash)).await
    }
}

#[async_trait]
impl Placement for Store {
    fn lease_length(&self) -> LeaseLength {
        self.rest.lease_length()
    }

    async fn begin(&self, session: SessionId) -> Result<Timestamp, StoreError> {
        self.around("begin", self.rest.begin(session)).await
    }

    async fn renew(&self, session: SessionId) -> Result<Option<Timestamp>, StoreError> {
        self.around("renew", self.rest.renew(session)).await
    }

    async fn map(&self) -> Result<PlacementMap, StoreError> {
        self.around("map", self.rest.map()).await
    }

    async fn leases(&self) -> Result<BTreeMap<SessionId, Granted>, StoreError> {
        self.around("leases", self.rest.leases()).await
    }

    async fn allow(&self, revision: Revision) -> Result<Vec<String>, StoreError> {
        self.doubtful("allow", self.rest.allow(revision)).await
    }
}

impl Store {
    /// A change of the map that may be refused, or made without an answer.
    async fn doubtful<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if self.sim.strikes(|hazards| hazards.refuse) {
            return Err(StoreError::Unavailable("refused".to_owned()));
        }
        let answer = self.around(what, call).await;
        match self.sim.strikes(|hazards| hazards.lose_answer) {
            true => Err(StoreError::Unknown("the answer was lost".to_owned())),
            false => answer,
        }
    }
}

#[async_trait]
impl Cluster for Store {
    async fn join(&self, pod: &Pod) -> Result<Timestamp, JoinError> {
        self.around("join", self.sim.memory.join(pod)).await
    }

    async fn bury(&self) -> Result<Vec<SessionId>, StoreError> {
        self.doubtful("bury", self.sim.memory.bury()).await
    }

    async fn claim(&self, session: SessionId, shards: &[Shard]) -> Result<Vec<Shard>, StoreError> {
        self.doubtful("claim", self.sim.memory.claim(session, shards)).await
    }

    async fn hand_over(
        &self,
        from: SessionId,
        shards: &[Shard],
        to: SessionId,
    ) -> Result<(), StoreError> {
        self.doubtful("hand over", self.sim.memory.hand_over(from, shards, to)).await
    }

    async fn leave(&self, session: SessionId) -> Result<(), StoreError> {
        self.around("leave", self.sim.memory.leave(session)).await
    }

    async fn announce(&self, reader: &Reader) -> Result<(), StoreError> {
        self.around("announce", self.sim.memory.announce(reader)).await
    }

    async fn withdraw(&self, session: SessionId) -> Result<(), StoreError> {
        self.around("withdraw", self.sim.memory.withdraw(session)).await
    }
}

#[async_trait]
impl Receipts for Store {
    async fn settle_cursor(&self, node: NodeId) -> Result<u64, StoreError> {
        self.around("settle cursor", self.rest.settle_cursor(node)).await
    }

    async fn begin_receipts(&self, node: NodeId, settle_index: u64) -> Result<(), StoreError> {
        self.around("begin receipts", self.rest.begin_receipts(node, settle_index)).await
    }

    async fn take_in(
        &self,
        node: NodeId,
        settlements: &[Settlement],
        unknown: Unknown,
    ) -> Result<TakenIn, StoreError> {
        self.around("take in", self.rest.take_in(node, settlements, unknown)).await
    }

    async fn unknown_receipts(&self) -> Result<Vec<UnknownReceipt>, StoreError> {
        self.around("unknown receipts", self.rest.unknown_receipts()).await
    }

    async fn open_receipts(&self) -> Result<Vec<OpenReceipt>, StoreError> {
        self.around("open receipts", self.rest.open_receipts()).await
    }
}

#[async_trait]
impl Reads for Store {
    async fn payment(&self, org: OrgId, id: PaymentId) -> Result<Option<Row>, StoreError> {
        self.around("a read", self.rest.payment(org, id)).await
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
        let found = self.rest.find_payments(org, filter, order, ascending, after, offset, limit);
        self.around("a read", found).await
    }

    async fn count_payments(
        &self,
        org: OrgId,
        filter: &PaymentFilter,
    ) -> Result<Vec<PaymentCount>, StoreError> {
        self.around("a read", self.rest.count_payments(org, filter)).await
    }

    async fn history(&self, org: OrgId, payment: PaymentId) -> Result<Vec<Recorded>, StoreError> {
        self.around("a read", self.rest.history(org, payment)).await
    }

    async fn standing(&self, org: OrgId) -> Result<Vec<Row>, StoreError> {
        self.around("a read", self.rest.standing(org)).await
    }

    async fn journal(
        &self,
        org: OrgId,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.around("a read", self.rest.journal(org, after, limit)).await
    }

    async fn feed(
        &self,
        org: OrgId,
        environment: EnvironmentId,
        after: Seq,
        limit: u32,
    ) -> Result<(Vec<FeedEvent>, Seq), StoreError> {
        self.around("a read", self.rest.feed(org, environment, after, limit)).await
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
        let found = self.rest.ledger(org, wallet, filter, ascending, offset, limit);
        self.around("a read", found).await
    }

    async fn count_ledger(
        &self,
        org: OrgId,
        wallet: WalletId,
        filter: &LedgerFilter,
    ) -> Result<u64, StoreError> {
        self.around("a read", self.rest.count_ledger(org, wallet, filter)).await
    }

    async fn orgs_with_open_work(&self) -> Result<Vec<OrgId>, StoreError> {
        self.around("a read", self.rest.orgs_with_open_work()).await
    }

    async fn open_payments(&self, org: OrgId) -> Result<Vec<PaymentId>, StoreError> {
        self.around("a read", self.rest.open_payments(org)).await
    }
}

#[async_trait]
impl Directory for Store {
    async fn add_org(&self, org: &OrgRecord) -> Result<(), StoreError> {
        self.around("a write", self.rest.add_org(org)).await
    }

    async fn orgs(&self) -> Result<Vec<OrgRecord>, StoreError> {
        self.around("a read", self.rest.orgs()).await
    }

    async fn add_key(&self, key: &KeyRecord) -> Result<(), StoreError> {
        self.around("a write", self.rest.add_key(key)).await
    }

    async fn key(&self, digest: [u8; 32]) -> Result<Option<KeyRecord>, StoreError> {
        self.around("a read", self.rest.key(digest)).await
    }

    async fn keys(&self, org: OrgId) -> Result<Vec<KeyRecord>, StoreError> {
        self.around("a read", self.rest.keys(org)).await
    }

    async fn touch_keys(&self, used: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        self.around("a write", self.rest.touch_keys(used)).await
    }

    async fn revoke_key(&self, id: KeyId, at: Timestamp) -> Result<bool, StoreError> {
        self.around("a write", self.rest.revoke_key(id, at)).await
    }

    async fn add_node(&self, node: &NodeRecord) -> Result<(), StoreError> {
        self.around("a write", self.rest.add_node(node)).await
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        self.around("a read", self.rest.nodes()).await
    }

    async fn stop_node(&self, id: NodeId, why: Option<&str>) -> Result<bool, StoreError> {
        self.around("a write", self.rest.stop_node(id, why)).await
    }
}
