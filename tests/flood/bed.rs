//! A platform of its own for each test, on a paused clock.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    EnvironmentId, InvoiceTerms, LineId, Msat, Network, OrgId, PaymentId, PublicKey, Timestamp,
    WalletId,
    org::{
        Backing, ClaimAnswer, ClaimRequest, Command, Event, Metadata, Outgoing, Revision, Row,
        SendTerms,
    },
};
use placement::Bell;
use ports::{
    Clock, Cluster as _, Directory, Journal as _, Orgs, Peers, Placement as _, Reads,
    directory::OrgRecord,
    journal::Seq,
    orgs::{Answered, OrgsError, Within},
    placement::{Pod, Reader},
    receipts::OpenReceipt,
};
use runtime::{Membership, Platform, Settings, Sockets};
use store::Memory;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::{
    node::{self, Node},
    store::{Cost, Slow},
};

const START_MS: i64 = 1_750_000_000_000;
pub(crate) const AT_ONCE: Within = Within { end: Duration::ZERO, begin: None };

struct TestClock(Instant);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(START_MS + i64::try_from(self.0.elapsed().as_millis()).unwrap())
    }
}

/// How a test's platform is made.
#[derive(Clone, Copy)]
pub(crate) struct How {
    pub(crate) orgs: u64,
    pub(crate) lanes: usize,
    pub(crate) commit: Cost,
    pub(crate) look_up: Cost,
    /// Of the one node.
    pub(crate) slots: u32,
    /// Its name, where other pods may join. `None`: it is the only process.
    pub(crate) pod: Option<&'static str>,
}

impl Default for How {
    /// About what PostgreSQL takes on two cores.
    fn default() -> How {
        let us = Duration::from_micros;
        How {
            orgs: 10,
            lanes: 1,
            commit: Cost { once: us(2_000), each: us(150) },
            look_up: Cost { once: us(1_000), each: us(20) },
            slots: 1_000_000,
            pod: None,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Bed {
    pub(crate) platform: Platform,
    pub(crate) store: Arc<Slow>,
    pub(crate) node: Arc<Node>,
    memory: Arc<Memory>,
    sockets: Sockets,
}

pub(crate) type Sent = Result<Answered<Arc<Outgoing>>, OrgsError>;

fn id<Kind>(number: u64) -> domain::id::Id<Kind> {
    domain::id::Id::new(Uuid::from_u128(number.into()))
}

impl Bed {
    pub(crate) async fn start(how: How) -> Bed {
        let clock: Arc<dyn Clock> = Arc::new(TestClock(Instant::now()));
        let memory = Arc::new(Memory::new(clock.clone()));
        let store = Slow::new(memory.clone(), how.lanes, how.commit, how.look_up);
        let node = Node::new(clock.clone(), how.slots);
        memory.add_node(&node.record()).await.unwrap();
        let connected = node.clone();
        let sockets = Sockets {
            journal: store.clone(),
            receipts: memory.clone(),
            reads: memory.clone(),
            directory: memory.clone(),
            guard: memory.clone(),
            placement: memory.clone(),
            wakes: Arc::new(Bell::default()),
            clock,
            connect: Arc::new(move |_| Ok(connected.clone())),
            draw_preimage: Arc::new(|| node::preimage("nobody asks for an invoice")),
        };
        let platform = begin(&sockets, &memory, 1, how.pod).await;
        let bed = Bed { platform, store, node, memory, sockets };
        for org in 1..=how.orgs {
            // A pod that others may join takes what is its own a moment after it has begun.
            bed.is_run_by(how.pod.unwrap_or_default(), org).await;
            bed.settle(org).await;
        }
        bed
    }

    /// Another engine over the same store and node.
    pub(crate) async fn another(&self, pod: &'static str) -> Bed {
        Bed { platform: begin(&self.sockets, &self.memory, 2, Some(pod)).await, ..self.clone() }
    }

    /// A pod joins that does nothing, and is gone when its lease is over.
    pub(crate) async fn is_joined_by(&self, pod: &str) {
        let pod = Pod { session: id(2), name: pod.to_owned(), address: String::new() };
        self.memory.join(&pod).await.unwrap();
    }

    /// Waits until the pod owns the organisation.
    pub(crate) async fn is_run_by(&self, pod: &str, org: u64) {
        let owned = async {
            let is_owner = |owner: &Pod| owner.name == pod;
            while !self.memory.map().await.unwrap().owner_of(id(org)).is_some_and(is_owner) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(30), owned).await.expect("it is wished there");
    }

    /// The organisation's next commit finds that another payment has what it claims.
    pub(crate) fn loses_a_claim(&self, org: u64) {
        self.store.loses_a_claim(id(org));
    }

    /// Past the platform: what its own copy decides from now on is fenced.
    pub(crate) async fn is_loaded_elsewhere(&self, org: u64) {
        self.memory.load(id(org), id(1)).await.unwrap();
    }

    /// Gives an organisation all that it needs to pay.
    async fn settle(&self, number: u64) {
        let (org, environment, line): (OrgId, EnvironmentId, LineId) =
            (id(number), id(number), id(number));
        let record = OrgRecord {
            id: org,
            name: format!("org {number}"),
            created_at: Timestamp::from_millis(0),
        };
        self.memory.add_org(&record).await.unwrap();
        let limit_msat = Msat::new(1_000_000_000_000).unwrap();
        for command in [
            Command::CreateEnvironment { environment, name: "live".to_owned() },
            Command::OpenLine { line, environment, limit_msat },
            Command::CreateWallet {
                wallet: id(number),
                environment,
                name: "main".to_owned(),
                backing: Backing::Line(line),
                limit_msat,
                metadata: Metadata::new(),
            },
        ] {
            self.platform.administer(org, command).await.unwrap();
        }
    }

    /// A process that knows nothing newer than the first kinds of events, and lives for a lease from now.
    pub(crate) async fn old_reader_lives(&self, name: &str) {
        let (session, name) = (id(2), name.to_owned());
        let reader = Reader { session, name, reads: Revision::FIRST };
        self.memory.announce(&reader).await.unwrap();
    }

    /// Gives the organisation's environment another name.
    pub(crate) async fn rename(&self, org: u64, name: &str) -> Result<(), OrgsError> {
        let (environment, name) = (id(org), name.to_owned());
        let command = Command::RenameEnvironment { environment, name };
        self.platform.administer(id(org), command).await
    }

    /// Everything that has happened to the organisation.
    pub(crate) async fn journal(&self, org: u64) -> Vec<Event> {
        let recorded = self.memory.journal(id(org), Seq(0), u32::MAX).await.unwrap();
        recorded.into_iter().map(|recorded| recorded.event).collect()
    }

    /// The organisation's payment of that number; its invoice is nobody else's.
    pub(crate) async fn send(&self, org: u64, number: u64, within: Within) -> Sent {
        let text = format!("{org}/{number}");
        let wallet: WalletId = id(org);
        let terms = SendTerms {
            wallet,
            invoice: InvoiceTerms {
                hash: node::preimage(&text).hash(),
                text,
                network: Network::Regtest,
                amount_msat: Msat::new(node::AMOUNT_MSAT),
                payee: PublicKey([2; 33]),
                description: String::new(),
                expires_at: Timestamp::from_millis(START_MS + 3_600_000),
            },
            amount_msat: None,
            fee_limit_msat: None,
            description: None,
            metadata: Metadata::new(),
        };
        self.platform.send(id(org), payment(org, number), terms, within).await
    }

    /// As it is committed.
    pub(crate) async fn stored(&self, org: u64, number: u64) -> Option<Row> {
        self.memory.payment(id(org), payment(org, number)).await.unwrap()
    }
}

/// The only process, or a pod.
async fn begin(
    sockets: &Sockets,
    memory: &Arc<Memory>,
    session: u64,
    pod: Option<&str>,
) -> Platform {
    let settings = Settings {
        network: Network::Regtest,
        default_fee_ppm: 5_000,
        default_fee_min_msat: Msat::ZERO,
        organisations_in_memory: 1_000,
    };
    let membership = pod.map(|name| Membership {
        cluster: memory.clone(),
        name: name.to_owned(),
        address: String::new(),
        peers: Arc::new(Unasked),
    });
    let platform = Platform::start(sockets.clone(), settings, id(session), membership);
    platform.await.unwrap()
}

/// The way to other pods, on which nothing goes: everything is paid outside.
struct Unasked;

#[async_trait]
impl Peers for Unasked {
    async fn claim(&self, _: OrgId, _: ClaimRequest, _: String) -> Result<(), OrgsError> {
        unreachable!("everything is paid outside")
    }

    async fn answer_claim(&self, _: OrgId, _: PaymentId, _: ClaimAnswer) -> Result<(), OrgsError> {
        unreachable!("everything is paid outside")
    }

    async fn book_receipt(&self, _: OpenReceipt) -> Result<(), OrgsError> {
        unreachable!("nobody is paid an invoice")
    }
}

fn payment(org: u64, number: u64) -> PaymentId {
    id(org * 1_000_000 + number)
}
