//! An engine that does as it is told, and notes what it is asked.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, atomic::AtomicUsize},
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    EnvironmentId, Msat, NodeId, OrgId, PaymentHash, PaymentId, Rejection, Timestamp,
    org::{
        ClaimAnswer, ClaimRequest, Command, Incoming, IncomingState, Outgoing, OutgoingState,
        PaymentFailure, Rail, ReceiveTerms, Row, SendTerms,
    },
};
use ports::{
    Operations, Orgs, Peers, Seal, StoreError,
    directory::NodeRecord,
    operations::{AuditReport, NewNode, NodeState, RegisterError, ThawError},
    orgs::{Answered, OrgsError, Within},
    placement::Pods,
    receipts::OpenReceipt,
    restore::{RestoreReport, Restoring, Thawing},
    seal::{SealFailure, Sealed},
};
use tokio::sync::Notify;
use uuid::Uuid;

/// What is committed, whichever engine did it.
pub(crate) type Committed = Arc<Mutex<BTreeMap<(OrgId, PaymentId), Row>>>;

/// What to do with the next call.
pub(crate) enum Does {
    /// As it should, which is also what it does when nothing is said.
    Takes,
    Answers(OrgsError),
    /// Commits, and breaks the connection instead of answering.
    HangsUp,
    /// Commits nothing and never answers.
    Sleeps,
    /// Commits and never answers.
    FallsSilent,
    /// Commits once it is woken.
    Waits,
    /// Commits and breaks off.
    Panics,
}

/// Tells when it is dropped.
struct Left<'a>(&'a Notify);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

pub(crate) struct Engine {
    committed: Committed,
    told: Mutex<VecDeque<Does>>,
    /// Every call that came in, in words.
    asked: Mutex<Vec<String>>,
    /// Until when the newest send was to be begun.
    pub(crate) begin: Mutex<Option<Duration>>,
    pub(crate) nodes: Mutex<Vec<NodeState>>,
    pub(crate) refuses_nodes: Mutex<Option<RegisterError>>,
    pub(crate) cut: Notify,
    pub(crate) asleep: Notify,
    pub(crate) awake: Notify,
    /// Somebody has gone whose call it never answered.
    pub(crate) left: Notify,
    /// Streams that were asked for of one who has none.
    pub(crate) streams: AtomicUsize,
}

impl Engine {
    pub(crate) fn new(committed: Committed) -> Arc<Engine> {
        Arc::new(Engine {
            committed,
            told: Mutex::default(),
            asked: Mutex::default(),
            begin: Mutex::default(),
            nodes: Mutex::default(),
            refuses_nodes: Mutex::default(),
            cut: Notify::new(),
            asleep: Notify::new(),
            awake: Notify::new(),
            left: Notify::new(),
            streams: AtomicUsize::new(0),
        })
    }

    pub(crate) fn next(&self, does: impl IntoIterator<Item = Does>) {
        self.told.lock().unwrap().extend(does);
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn note(&self, call: String) {
        self.asked.lock().unwrap().push(call);
    }

    async fn sleep(&self) {
        let _left = Left(&self.left);
        self.asleep.notify_one();
        std::future::pending::<()>().await;
    }

    fn shown(&self, org: OrgId, payment: PaymentId) -> Result<Row, OrgsError> {
        let row = self.committed.lock().unwrap().get(&(org, payment)).cloned();
        row.ok_or_else(|| Rejection::PaymentNotFound(payment).into())
    }

    /// The first one under an id stands. Answers whether this was another.
    async fn take(
        &self,
        call: &str,
        org: OrgId,
        payment: PaymentId,
        row: Row,
    ) -> Result<bool, OrgsError> {
        let repeat = self.shown(org, payment).is_ok();
        let commit = || {
            self.committed.lock().unwrap().entry((org, payment)).or_insert(row);
        };
        self.act(format!("{call} {}", number(payment)), commit).await?;
        Ok(repeat)
    }

    async fn act(&self, call: String, commit: impl FnOnce()) -> Result<(), OrgsError> {
        self.note(call);
        let does = self.told.lock().unwrap().pop_front().unwrap_or(Does::Takes);
        match does {
            Does::Takes => commit(),
            Does::Answers(error) => return Err(error),
            Does::HangsUp => {
                commit();
                self.cut.notify_one();
                std::future::pending::<()>().await;
            }
            Does::Sleeps => self.sleep().await,
            Does::FallsSilent => {
                commit();
                self.sleep().await;
            }
            Does::Waits => {
                self.asleep.notify_one();
                self.awake.notified().await;
                commit();
            }
            Does::Panics => {
                commit();
                panic!("as it was told");
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Orgs for Engine {
    async fn send(
        &self,
        org: OrgId,
        payment: PaymentId,
        terms: SendTerms,
        within: Within,
    ) -> Result<Answered<Arc<Outgoing>>, OrgsError> {
        assert!(within.end <= Duration::from_secs(60), "{within:?}");
        *self.begin.lock().unwrap() = within.begin;
        let row = Row::Outgoing(Arc::new(outgoing(payment, terms)));
        let repeat = self.take("send", org, payment, row).await?;
        let Row::Outgoing(payment) = self.shown(org, payment)? else {
            return Err(Rejection::IdReused.into());
        };
        Ok(Answered { payment, repeat })
    }

    async fn receive(
        &self,
        org: OrgId,
        payment: PaymentId,
        terms: ReceiveTerms,
        _: Within,
    ) -> Result<Answered<Arc<Incoming>>, OrgsError> {
        let row = Row::Incoming(Arc::new(incoming(payment, terms)));
        let repeat = self.take("receive", org, payment, row).await?;
        let Row::Incoming(payment) = self.shown(org, payment)? else {
            return Err(Rejection::IdReused.into());
        };
        Ok(Answered { payment, repeat })
    }

    async fn cancel(&self, org: OrgId, payment: PaymentId, _: Duration) -> Result<Row, OrgsError> {
        self.act(format!("cancel {}", number(payment)), || ()).await?;
        self.shown(org, payment)
    }

    async fn administer(&self, _: OrgId, command: Command) -> Result<(), OrgsError> {
        self.act(format!("{command:?}"), || ()).await
    }

    async fn wait(&self, org: OrgId, payment: PaymentId, _: Duration) -> Result<Row, OrgsError> {
        self.act(format!("wait {}", number(payment)), || ()).await?;
        self.shown(org, payment)
    }
}

#[async_trait]
impl Peers for Engine {
    async fn claim(&self, _: OrgId, request: ClaimRequest, text: String) -> Result<(), OrgsError> {
        self.act(format!("claim {request:?} {text}"), || ()).await
    }

    async fn answer_claim(
        &self,
        _: OrgId,
        payment: PaymentId,
        answer: ClaimAnswer,
    ) -> Result<(), OrgsError> {
        self.act(format!("{answer:?} {}", number(payment)), || ()).await
    }

    async fn book_receipt(&self, receipt: OpenReceipt) -> Result<(), OrgsError> {
        self.act(format!("{receipt:?}"), || ()).await
    }
}

#[async_trait]
impl Operations for Engine {
    async fn register_node(&self, node: NewNode) -> Result<NodeRecord, RegisterError> {
        self.note(format!("register {} {:?}", node.name, node.macaroon));
        match self.refuses_nodes.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => Ok(NodeRecord {
                id: node.id,
                owner: node.owner,
                name: node.name,
                address: node.address,
                certificate: node.certificate,
                macaroon: node.macaroon,
                identity: node.identity.unwrap(),
                network: domain::Network::Regtest,
                stopped: None,
            }),
        }
    }

    async fn nodes(&self) -> Result<Vec<NodeState>, StoreError> {
        Ok(self.nodes.lock().unwrap().clone())
    }

    async fn stop_node(&self, id: NodeId, why: Option<&str>) -> Result<bool, StoreError> {
        self.note(format!("stop {} {why:?}", id.uuid().as_u128()));
        Ok(true)
    }

    async fn is_ready(&self) -> bool {
        true
    }

    async fn frozen(&self) -> Result<Option<String>, StoreError> {
        Ok(Some("a restored node".to_owned()))
    }

    async fn thaw(&self, how: Thawing) -> Result<Option<String>, ThawError> {
        self.note(format!("thaw {how:?}"));
        Ok(Some("a restored node".to_owned()))
    }

    async fn pods(&self) -> Result<Pods, StoreError> {
        unreachable!("whoever forwards knows it by itself")
    }

    async fn restore(&self, how: Restoring) -> Result<RestoreReport, StoreError> {
        self.note(format!("restore {how:?}"));
        Ok(RestoreReport { in_flight: 8, ..RestoreReport::default() })
    }

    async fn audit(&self) -> Result<AuditReport, StoreError> {
        self.note("audit".to_owned());
        Ok(AuditReport { organisations: 7, ..AuditReport::default() })
    }
}

/// Of everybody here. It turns every bit around.
pub(crate) struct OneKey;

impl Seal for OneKey {
    fn seal_macaroon(&self, _: NodeId, macaroon: &[u8]) -> Result<Sealed, SealFailure> {
        let bytes = macaroon.iter().map(|byte| !byte).collect();
        Ok(Sealed { key_id: "one".to_owned(), bytes })
    }

    fn open_macaroon(&self, _: NodeId, sealed: &Sealed) -> Result<Vec<u8>, SealFailure> {
        match sealed.key_id.as_str() {
            "one" => Ok(sealed.bytes.iter().map(|byte| !byte).collect()),
            other => Err(SealFailure(format!("nobody here has the key {other}"))),
        }
    }
}

fn number(payment: PaymentId) -> u128 {
    payment.uuid().as_u128()
}

fn outgoing(id: PaymentId, terms: SendTerms) -> Outgoing {
    Outgoing {
        id,
        environment: EnvironmentId::new(Uuid::from_u128(3)),
        amount_msat: Msat::ZERO,
        fee_limit_msat: Msat::ZERO,
        rail: Rail::CreditPool,
        state: OutgoingState::Refused(PaymentFailure::NoUsableNode),
        plan: Vec::new(),
        attempts: Vec::new(),
        older_failures: Vec::new(),
        contradicted: false,
        resolved: None,
        cancelled: false,
        created_at: Timestamp::from_millis(1),
        updated_at: Timestamp::from_millis(1),
        terms: Arc::new(terms),
    }
}

fn incoming(id: PaymentId, terms: ReceiveTerms) -> Incoming {
    Incoming {
        id,
        environment: EnvironmentId::new(Uuid::from_u128(3)),
        hash: PaymentHash([7; 32]),
        node: NodeId::new(Uuid::from_u128(4)),
        state: IncomingState::Generating,
        invoice: None,
        credited_msat: Msat::ZERO,
        created_at: Timestamp::from_millis(1),
        updated_at: Timestamp::from_millis(1),
        expires_at: Timestamp::from_millis(2),
        terms,
    }
}
