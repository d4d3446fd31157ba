//! What the door opens onto in these tests: organisations in memory, without a store and without
//! nodes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use domain::{
    KeyId, Msat, Network, NodeId, OrgId, PaymentHash, PaymentId, Preimage, PublicKey, SessionId,
    Timestamp, WalletId,
    org::{
        Command, Incoming, InvoiceEnd, Org, Outgoing, Payee, ReceiveTerms, Row, SendFacts,
        SendTerms,
    },
    payment::{Epoch, Finding},
};
use ports::idempotency::IdempotencyScope;
use ports::{
    Clock, Directory, Operations, Orgs, StoreError,
    directory::{KeyRecord, NodeRecord, OrgRecord},
    journal::Seq,
    operations::{AuditFinding, AuditReport, NewNode, NodeState, RegisterError, ThawError},
    orgs::{Answered, OrgsError, Within},
    placement::{Granted, PlacementMap, Pod, Pods, SHARDS},
    reads::Recorded,
    restore::{Difference, RestoreReport, Restoring, Step, Thawing},
};
use sha2::Digest;
use tokio::{sync::Notify, time::timeout};
use uuid::Uuid;

use crate::kept::Kept;

pub(crate) const NODE: u128 = 0x4e;

#[derive(Default)]
pub(crate) struct Fake {
    state: Mutex<State>,
    pub(crate) keys_kept: Mutex<BTreeMap<IdempotencyScope, Kept>>,
    /// Answers cannot be kept.
    pub(crate) forgets: AtomicBool,
    /// The store does not answer.
    pub(crate) ill: AtomicBool,
    now: AtomicI64,
    changed: Notify,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) orgs: BTreeMap<OrgId, Org>,
    pub(crate) journal: Vec<(OrgId, Recorded)>,
    records: Vec<OrgRecord>,
    keys: Vec<KeyRecord>,
    nodes: Vec<NodeRecord>,
    frozen: Option<String>,
    refusal: Option<OrgsError>,
    /// Until when the newest send was to be begun.
    pub(crate) begin: Option<Duration>,
}

impl Fake {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn set_now(&self, millis: i64) {
        self.now.store(millis, Ordering::Relaxed);
    }

    /// Every command is answered with this.
    pub(crate) fn refuse(&self, with: OrgsError) {
        self.state().refusal = Some(with);
    }

    pub(crate) fn freeze(&self, why: &str) {
        self.state().frozen = Some(why.to_owned());
    }

    pub(crate) fn add_node_of(&self, id: NodeId, owner: Option<OrgId>) {
        let record = node_record(id, owner, format!("node-{}", id.uuid().as_u128()));
        self.state().nodes.push(record);
    }

    /// The node shows the preimage.
    pub(crate) fn prove(&self, org: OrgId, payment: PaymentId, preimage: Preimage) {
        let amount_msat = self.state().orgs[&org].outgoing[&payment].amount_msat;
        let finding = Finding::Paid { preimage, amount_msat, fee_msat: Msat::ZERO };
        let permitted_until = self.now().plus_seconds(5);
        let report = Command::Report { payment, attempt: 1, request: 1, finding, permitted_until };
        self.execute(org, &report).unwrap();
    }

    pub(crate) fn has_payment(&self, org: OrgId, payment: PaymentId) -> bool {
        self.state().orgs[&org].outgoing.contains_key(&payment)
    }

    /// The node has made the invoice.
    pub(crate) fn make_invoice(&self, org: OrgId, payment: PaymentId, text: &str) {
        let mut invoice = lightning_node::bolt11::parse(text).unwrap();
        invoice.hash = self.state().orgs[&org].incoming[&payment].hash;
        self.execute(org, &Command::InvoiceMade { payment, invoice }).unwrap();
    }

    /// Money has arrived.
    pub(crate) fn pay_in(&self, org: OrgId, payment: PaymentId, msat: u64) {
        let paid_msat = Msat::new(msat).unwrap();
        self.execute(org, &Command::Receipt { payment, paid_msat }).unwrap();
    }

    /// As an operator changes it.
    pub(crate) fn change_key(&self, id: &str, change: impl FnOnce(&mut KeyRecord)) {
        let mut state = self.state();
        let key = state.keys.iter_mut().find(|key| key.id.to_string() == id);
        change(key.unwrap());
    }

    /// Another key, with another secret, that differs as little as wanted.
    pub(crate) fn add_copy_of_key(
        &self,
        id: &str,
        number: u128,
        secret: &str,
        change: impl FnOnce(&mut KeyRecord),
    ) {
        let mut copy = self.key_of(id);
        copy.id = KeyId::new(Uuid::from_u128(number));
        copy.digest = sha2::Sha256::digest(secret).into();
        change(&mut copy);
        self.state().keys.push(copy);
    }

    pub(crate) fn key_of(&self, id: &str) -> KeyRecord {
        self.state().keys.iter().find(|key| key.id.to_string() == id).cloned().unwrap()
    }

    pub(crate) fn has_wallet(&self, org: OrgId, wallet: WalletId) -> bool {
        self.state().orgs[&org].wallets.contains_key(&wallet)
    }

    fn execute(&self, id: OrgId, command: &Command) -> Result<(), OrgsError> {
        self.changes(id, command).map(|_| ())
    }

    /// Whether anything was decided.
    fn changes(&self, id: OrgId, command: &Command) -> Result<bool, OrgsError> {
        let now = self.now();
        let mut state = self.state();
        if let Some(refusal) = &state.refusal {
            return Err(refusal.clone());
        }
        let State { orgs, journal, .. } = &mut *state;
        let org = orgs.get_mut(&id).ok_or(OrgsError::NotFound(id))?;
        let events = org.decide(command, now)?.events;
        let is_changed = !events.is_empty();
        for event in events {
            org.apply(&event, now);
            let seq = Seq(u64::try_from(journal.len()).unwrap() + 1);
            journal.push((id, Recorded { seq, at: now, event }));
        }
        self.changed.notify_waiters();
        Ok(is_changed)
    }

    pub(crate) fn row(&self, org: OrgId, id: PaymentId) -> Option<Row> {
        let state = self.state();
        let org = state.orgs.get(&org)?;
        let sent = org.outgoing.get(&id).map(|payment| Row::Outgoing(payment.clone()));
        sent.or_else(|| Some(Row::Incoming(org.incoming.get(&id)?.clone())))
    }
}

fn is_open(row: &Row) -> bool {
    match row {
        Row::Outgoing(payment) => payment.is_open(),
        Row::Incoming(payment) => payment.is_open() && payment.invoice.is_none(),
        Row::Environment(..)
        | Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..) => false,
    }
}

fn node_record(id: NodeId, owner: Option<OrgId>, name: String) -> NodeRecord {
    NodeRecord {
        id,
        owner,
        name,
        address: "lnd:10009".to_owned(),
        certificate: None,
        macaroon: b"topsecret".to_vec(),
        identity: PublicKey([2; 33]),
        network: Network::Regtest,
        stopped: None,
    }
}

impl Clock for Fake {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::Relaxed))
    }
}

#[tonic::async_trait]
impl Orgs for Fake {
    async fn send(
        &self,
        org: OrgId,
        payment: PaymentId,
        terms: SendTerms,
        within: Within,
    ) -> Result<Answered<Arc<Outgoing>>, OrgsError> {
        self.state().begin = within.begin;
        let facts = Box::new(SendFacts {
            hash_taken: false,
            payee: Payee::Outside,
            plan: vec![NodeId::new(Uuid::from_u128(NODE))],
            older_failures: Vec::new(),
            permitted_until: self.now().plus_seconds(5),
            network: Network::Regtest,
            default_fee_ppm: 10_000,
            default_fee_min_msat: Msat::new(1_000).unwrap(),
        });
        let repeat =
            !self.changes(org, &Command::Send { payment, terms: Arc::new(terms), facts })?;
        let Row::Outgoing(payment) = self.wait(org, payment, within.end).await? else {
            panic!("a send is something else")
        };
        Ok(Answered { payment, repeat })
    }

    async fn receive(
        &self,
        org: OrgId,
        payment: PaymentId,
        terms: ReceiveTerms,
        within: Within,
    ) -> Result<Answered<Arc<Incoming>>, OrgsError> {
        let mut hash = [0; 32];
        hash[..16].copy_from_slice(payment.uuid().as_bytes());
        let node = NodeId::new(Uuid::from_u128(NODE));
        let receive = Command::Receive { payment, terms, hash: PaymentHash(hash), node };
        let repeat = !self.changes(org, &receive)?;
        let Row::Incoming(payment) = self.wait(org, payment, within.end).await? else {
            panic!("a receive is something else")
        };
        Ok(Answered { payment, repeat })
    }

    async fn cancel(
        &self,
        org: OrgId,
        payment: PaymentId,
        within: Duration,
    ) -> Result<Row, OrgsError> {
        self.execute(org, &Command::Cancel { payment })?;
        let has_ended = |row: &Row| match row {
            Row::Outgoing(payment) => !payment.is_open(),
            Row::Incoming(payment) => !payment.is_open(),
            Row::Environment(..)
            | Row::Line(..)
            | Row::Node(..)
            | Row::Wallet(..)
            | Row::Account(..) => true,
        };
        self.until(org, payment, within, has_ended).await
    }

    async fn administer(&self, org: OrgId, command: Command) -> Result<(), OrgsError> {
        self.execute(org, &command)
    }

    async fn wait(
        &self,
        org: OrgId,
        payment: PaymentId,
        within: Duration,
    ) -> Result<Row, OrgsError> {
        self.until(org, payment, within, |row| !is_open(row)).await
    }
}

impl Fake {
    async fn until(
        &self,
        org: OrgId,
        payment: PaymentId,
        within: Duration,
        has_come: impl Fn(&Row) -> bool,
    ) -> Result<Row, OrgsError> {
        let come = async {
            loop {
                let changed = self.changed.notified();
                match self.row(org, payment) {
                    Some(row) if !has_come(&row) => changed.await,
                    Some(_) | None => return,
                }
            }
        };
        let _ = timeout(within, come).await;
        self.row(org, payment).ok_or(domain::Rejection::PaymentNotFound(payment).into())
    }

    /// The node has cancelled the invoice.
    pub(crate) fn cancel_invoice(&self, org: OrgId, payment: PaymentId) {
        let end = InvoiceEnd::Cancelled;
        self.execute(org, &Command::InvoiceOver { payment, end }).unwrap();
    }

    /// The request was dropped before it left.
    pub(crate) fn drop_request(&self, org: OrgId, payment: PaymentId) {
        let (attempt, request, finding) = (1, 1, Finding::NeverLeft);
        let permitted_until = self.now();
        let report = Command::Report { payment, attempt, request, finding, permitted_until };
        self.execute(org, &report).unwrap();
    }
}

#[tonic::async_trait]
impl Directory for Fake {
    async fn add_org(&self, org: &OrgRecord) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.records.contains(org) {
            return Ok(());
        }
        if state.records.iter().any(|known| known.id == org.id || known.name == org.name) {
            return Err(StoreError::AlreadyThere);
        }
        state.orgs.insert(org.id, Org::new(org.id, Epoch(1)));
        state.records.push(org.clone());
        Ok(())
    }

    async fn orgs(&self) -> Result<Vec<OrgRecord>, StoreError> {
        Ok(self.state().records.clone())
    }

    async fn add_key(&self, key: &KeyRecord) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.keys.iter().any(|known| known.id == key.id) {
            return Err(StoreError::AlreadyThere);
        }
        state.keys.push(key.clone());
        Ok(())
    }

    async fn key(&self, digest: [u8; 32]) -> Result<Option<KeyRecord>, StoreError> {
        Ok(self.state().keys.iter().find(|key| key.digest == digest).cloned())
    }

    async fn keys(&self, org: OrgId) -> Result<Vec<KeyRecord>, StoreError> {
        Ok(self.state().keys.iter().filter(|key| key.org == org).cloned().collect())
    }

    async fn touch_keys(&self, used: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        let mut state = self.state();
        for key in &mut state.keys {
            let uses = used.iter().filter(|(id, _)| *id == key.id).map(|(_, at)| Some(*at));
            key.last_used_at = uses.max().flatten().max(key.last_used_at);
        }
        Ok(())
    }

    async fn revoke_key(&self, id: KeyId, at: Timestamp) -> Result<bool, StoreError> {
        let mut state = self.state();
        let key = state.keys.iter_mut().find(|key| key.id == id);
        Ok(key.is_some_and(|key| key.revoked_at.get_or_insert(at).millis() >= 0))
    }

    async fn add_node(&self, node: &NodeRecord) -> Result<(), StoreError> {
        self.state().nodes.push(node.clone());
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        Ok(self.state().nodes.clone())
    }

    async fn stop_node(&self, id: NodeId, why: Option<&str>) -> Result<bool, StoreError> {
        let mut state = self.state();
        let node = state.nodes.iter_mut().find(|node| node.id == id);
        Ok(node.map(|node| node.stopped = why.map(str::to_owned)).is_some())
    }
}

#[tonic::async_trait]
impl Operations for Fake {
    async fn register_node(&self, node: NewNode) -> Result<NodeRecord, RegisterError> {
        if node.macaroon == b"weak" {
            return Err(RegisterError::Permissions {
                missing: vec!["offchain:write".to_owned()],
                too_much: Vec::new(),
                bake: "lncli bakemacaroon offchain:write".to_owned(),
            });
        }
        let record = node_record(node.id, node.owner, node.name);
        self.state().nodes.push(record.clone());
        Ok(record)
    }

    async fn nodes(&self) -> Result<Vec<NodeState>, StoreError> {
        let nodes = self.state().nodes.clone();
        let state = |record: NodeRecord| NodeState {
            not_usable: record.stopped.clone(),
            record,
            in_flight: 0,
            outbound_msat: Msat::ZERO,
            inbound_msat: Msat::ZERO,
        };
        Ok(nodes.into_iter().map(state).collect())
    }

    async fn is_ready(&self) -> bool {
        !self.ill.load(Ordering::Relaxed)
    }

    async fn stop_node(&self, id: NodeId, why: Option<&str>) -> Result<bool, StoreError> {
        Directory::stop_node(self, id, why).await
    }

    async fn frozen(&self) -> Result<Option<String>, StoreError> {
        Ok(self.state().frozen.clone())
    }

    /// While it is frozen, a restore always has something due.
    async fn thaw(&self, how: Thawing) -> Result<Option<String>, ThawError> {
        let frozen = &mut self.state().frozen;
        match how {
            Thawing::OnceSafe if frozen.is_some() => {
                Err(ThawError::NotSafe { due: 1_001, first: "lost_payment".to_owned() })
            }
            Thawing::OnceSafe | Thawing::Anyway => Ok(frozen.take()),
        }
    }

    /// One engine that owns every shard but the last.
    async fn pods(&self) -> Result<Pods, StoreError> {
        let session = SessionId::new(Uuid::from_u128(0x5e));
        let address = "engine-1:7402".to_owned();
        let pod = Pod { session, name: "engine-1".to_owned(), address };
        let mut owners = vec![Some(session); usize::from(SHARDS)];
        *owners.last_mut().unwrap() = None;
        let granted = Granted { until: Timestamp::from_millis(9_000), left_ms: 4_000 };
        Ok(Pods {
            map: PlacementMap { pods: vec![pod], owners: Arc::new(owners) },
            leases: [(session, granted)].into(),
        })
    }

    async fn restore(&self, how: Restoring) -> Result<RestoreReport, StoreError> {
        let step = match how {
            Restoring::DryRun => Step::Due,
            Restoring::Apply => Step::Done,
        };
        let lost = Difference {
            code: "lost_payment".into(),
            step,
            org: None,
            payment: None,
            node: Some(NodeId::new(Uuid::from_u128(NODE))),
            hash: Some(PaymentHash([7; 32])),
            amount_msat: Msat::new(50_000),
            fee_msat: None,
            text: "not in the ledger".to_owned(),
        };
        let frozen = self.state().frozen.clone();
        Ok(RestoreReport { frozen, nodes: 1, in_flight: 2, differences: vec![lost; 1_001] })
    }

    async fn audit(&self) -> Result<AuditReport, StoreError> {
        let finding = |code: &'static str| AuditFinding {
            code: code.into(),
            org: None,
            payment: None,
            node: Some(NodeId::new(Uuid::from_u128(NODE))),
            text: "not ours".to_owned(),
        };
        Ok(AuditReport {
            nodes: 1,
            findings: vec![finding("unknown_payment_on_node"); 1_001],
            ..AuditReport::default()
        })
    }
}
