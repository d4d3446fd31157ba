//! Engines on ports of their own, a store that says who owns what, and a gateway's way to them.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use domain::{
    EnvironmentId, InvoiceTerms, Network, OrgId, PaymentHash, PaymentId, PublicKey, SessionId,
    Timestamp, WalletId,
    org::{Metadata, ReceiveTerms, Revision, Row, SendTerms},
};
use placement::{ClusterSecret, Forward, Owners, Served, serve_with_places};
use ports::{
    Placement, Reads, StoreError,
    journal::Seq,
    placement::{Granted, LeaseLength, PlacementMap, Pod, SHARDS},
    reads::{
        FeedEvent, LedgerFilter, Listed, PaymentCount, PaymentFilter, PaymentOrder, PaymentPlace,
        Recorded,
    },
};
use prost::bytes::Bytes;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc, watch},
    task::JoinSet,
};
use uuid::Uuid;

use crate::{
    fake::{Committed, Engine, OneKey},
    older::{ByHand, Older},
};

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The one organisation of these tests.
pub(crate) const ORG: OrgId = OrgId::new(Uuid::from_u128(0x0a));

pub(crate) fn payment(number: u128) -> PaymentId {
    PaymentId::new(Uuid::from_u128(number))
}

pub(crate) struct Cluster {
    store: Arc<Store>,
    owners: Arc<Owners>,
    pub(crate) forward: Forward,
    committed: Committed,
    servers: JoinSet<()>,
}

/// An engine, and where it is.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) engine: Arc<Engine>,
    pub(crate) pod: Pod,
    pub(crate) life: watch::Sender<Option<Served>>,
    /// Where it takes connections itself, behind its address.
    pub(crate) listens: SocketAddr,
    pub(crate) door: Arc<Door>,
}

/// Told to stop, and has.
#[derive(Default)]
pub(crate) struct Door {
    pub(crate) closes: Notify,
    pub(crate) closed: Notify,
}

impl Member {
    /// The same pod, as the store has it, at another address.
    pub(crate) fn at(&self, address: String) -> Member {
        let pod = Pod { address, ..self.pod.clone() };
        Member { pod, ..self.clone() }
    }

    /// The same pod, where nobody listens any more.
    pub(crate) async fn gone(&self) -> Member {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.at(nobody.local_addr().unwrap().to_string())
    }
}

impl Cluster {
    /// Two engines; the first owns everything.
    pub(crate) async fn start() -> (Cluster, Member, Member) {
        let mut cluster = Cluster::empty(SECRET);
        let (one, two) = (cluster.join(1).await, cluster.join(2).await);
        cluster.owned_by(&[&one, &two], Some(&one)).await;
        (cluster, one, two)
    }

    /// No engine yet, and a gateway that shows this secret.
    pub(crate) fn empty(secret: &str) -> Cluster {
        let committed = Committed::default();
        let store = Arc::new(Store {
            map: Mutex::default(),
            committed: committed.clone(),
            away: Mutex::default(),
            reads: AtomicUsize::new(0),
        });
        let secret = ClusterSecret::new(secret).unwrap();
        let owners = Owners::begin(store.clone());
        let forward = Forward::new(owners.clone(), secret, store.clone(), Arc::new(OneKey));
        Cluster { store, owners, forward, committed, servers: JoinSet::new() }
    }

    pub(crate) async fn join(&mut self, number: u128) -> Member {
        self.join_with_places(50_000, number).await
    }

    /// With so many places for calls on each stream.
    pub(crate) async fn join_with_places(&mut self, places: usize, number: u128) -> Member {
        let engine = Engine::new(self.committed.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let behind = listener.local_addr().unwrap();
        let served = Served {
            orgs: engine.clone(),
            peers: engine.clone(),
            operations: engine.clone(),
            seal: Arc::new(OneKey),
        };
        let (life, lives) = watch::channel(Some(served));
        let secret = ClusterSecret::new(SECRET).unwrap();
        let door = Arc::<Door>::default();
        let doors = door.clone();
        self.servers.spawn(async move {
            let closes = doors.closes.notified();
            serve_with_places(places, listener, lives, secret, closes).await.unwrap();
            doors.closed.notify_one();
        });
        self.is_before(number, behind, engine, life, door).await
    }

    /// Of another version.
    pub(crate) async fn join_older(&mut self, number: u128, row: Option<Bytes>) -> Member {
        self.join_other(number, row, None).await
    }

    /// Whose streams are answered by hand.
    pub(crate) async fn join_by_hand(
        &mut self,
        number: u128,
    ) -> (Member, mpsc::UnboundedReceiver<ByHand>) {
        let (streams, taken) = mpsc::unbounded_channel();
        (self.join_other(number, None, Some(streams)).await, taken)
    }

    async fn join_other(
        &mut self,
        number: u128,
        row: Option<Bytes>,
        streams: Option<mpsc::UnboundedSender<ByHand>>,
    ) -> Member {
        let engine = Engine::new(self.committed.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let behind = listener.local_addr().unwrap();
        self.servers.spawn(Older { engine: engine.clone(), row, streams }.serve(listener));
        self.is_before(number, behind, engine, watch::Sender::new(None), Arc::default()).await
    }

    /// Everybody goes through a place where the way can be broken.
    async fn is_before(
        &mut self,
        number: u128,
        behind: SocketAddr,
        engine: Arc<Engine>,
        life: watch::Sender<Option<Served>>,
        door: Arc<Door>,
    ) -> Member {
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = front.local_addr().unwrap().to_string();
        self.servers.spawn(carry(front, behind, engine.clone()));
        let session = SessionId::new(Uuid::from_u128(number));
        let pod = Pod { session, name: format!("engine-{number}"), address };
        Member { engine, pod, life, listens: behind, door }
    }

    /// Who is alive and owns every shard, as the store says and the gateway knows.
    pub(crate) async fn owned_by(&self, alive: &[&Member], owner: Option<&Member>) {
        self.store_says(alive, owner);
        let wanted = self.store.map.lock().unwrap().clone();
        while *self.owners.map() != wanted {
            tokio::task::yield_now().await;
        }
    }

    /// The store knows; the gateway will learn it.
    pub(crate) fn store_says(&self, alive: &[&Member], owner: Option<&Member>) {
        let pods = alive.iter().map(|member| member.pod.clone()).collect();
        let owners = vec![owner.map(|owner| owner.pod.session); usize::from(SHARDS)];
        *self.store.map.lock().unwrap() = PlacementMap { pods, owners: Arc::new(owners) };
    }

    pub(crate) fn store_is_away(&self, away: bool) {
        *self.store.away.lock().unwrap() = away;
    }

    /// Payments that were read from the store.
    pub(crate) fn reads(&self) -> usize {
        self.store.reads.load(Ordering::Relaxed)
    }

    pub(crate) fn payments(&self) -> usize {
        self.committed.lock().unwrap().len()
    }
}

/// Everything there and back, until the engine breaks it.
async fn carry(front: TcpListener, behind: SocketAddr, engine: Arc<Engine>) {
    loop {
        let (mut near, _) = front.accept().await.unwrap();
        let mut far = TcpStream::connect(behind).await.unwrap();
        tokio::select! {
            _ = copy_bidirectional(&mut near, &mut far) => {}
            () = engine.cut.notified() => {}
        }
    }
}

struct Store {
    map: Mutex<PlacementMap>,
    committed: Committed,
    away: Mutex<bool>,
    reads: AtomicUsize,
}

impl Store {
    fn is_there(&self) -> Result<(), StoreError> {
        match *self.away.lock().unwrap() {
            true => Err(StoreError::Unavailable("away".to_owned())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Placement for Store {
    fn lease_length(&self) -> LeaseLength {
        LeaseLength::USUAL
    }

    async fn begin(&self, _: SessionId) -> Result<Timestamp, StoreError> {
        unreachable!("a gateway has no life of its own")
    }

    async fn renew(&self, _: SessionId) -> Result<Option<Timestamp>, StoreError> {
        unreachable!("a gateway has no life of its own")
    }

    async fn map(&self) -> Result<PlacementMap, StoreError> {
        self.is_there()?;
        Ok(self.map.lock().unwrap().clone())
    }

    /// Each has a second.
    async fn leases(&self) -> Result<BTreeMap<SessionId, Granted>, StoreError> {
        self.is_there()?;
        let granted = Granted { until: Timestamp::from_millis(1_000), left_ms: 1_000 };
        let map = self.map.lock().unwrap();
        Ok(map.pods.iter().map(|pod| (pod.session, granted)).collect())
    }

    async fn allow(&self, _: Revision) -> Result<Vec<String>, StoreError> {
        unreachable!("only owners write")
    }
}

#[async_trait]
impl Reads for Store {
    async fn payment(&self, org: OrgId, id: PaymentId) -> Result<Option<Row>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.is_there()?;
        Ok(self.committed.lock().unwrap().get(&(org, id)).cloned())
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
        unreachable!("only payments are read")
    }

    async fn count_payments(
        &self,
        _: OrgId,
        _: &PaymentFilter,
    ) -> Result<Vec<PaymentCount>, StoreError> {
        unreachable!("only payments are read")
    }

    async fn history(&self, _: OrgId, _: PaymentId) -> Result<Vec<Recorded>, StoreError> {
        unreachable!("only payments are read")
    }

    async fn standing(&self, _: OrgId) -> Result<Vec<Row>, StoreError> {
        unreachable!("only payments are read")
    }

    async fn journal(&self, _: OrgId, _: Seq, _: u32) -> Result<Vec<Recorded>, StoreError> {
        unreachable!("only payments are read")
    }

    async fn feed(
        &self,
        _: OrgId,
        _: EnvironmentId,
        _: Seq,
        _: u32,
    ) -> Result<(Vec<FeedEvent>, Seq), StoreError> {
        unreachable!("only payments are read")
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
        unreachable!("only payments are read")
    }

    async fn count_ledger(
        &self,
        _: OrgId,
        _: WalletId,
        _: &LedgerFilter,
    ) -> Result<u64, StoreError> {
        unreachable!("only payments are read")
    }

    async fn orgs_with_open_work(&self) -> Result<Vec<OrgId>, StoreError> {
        unreachable!("only payments are read")
    }

    async fn open_payments(&self, _: OrgId) -> Result<Vec<PaymentId>, StoreError> {
        unreachable!("only payments are read")
    }
}

pub(crate) fn send_terms() -> SendTerms {
    SendTerms {
        wallet: WalletId::new(Uuid::from_u128(2)),
        invoice: InvoiceTerms {
            text: "lnbcrt1".to_owned(),
            network: Network::Regtest,
            hash: PaymentHash([7; 32]),
            amount_msat: None,
            payee: PublicKey([2; 33]),
            description: "a book".to_owned(),
            expires_at: Timestamp::from_millis(9_000),
        },
        amount_msat: Some(1_000),
        fee_limit_msat: None,
        description: Some("for Ann".to_owned()),
        metadata: Metadata::from([("order".to_owned(), "7".to_owned())]),
    }
}

pub(crate) fn receive_terms() -> ReceiveTerms {
    ReceiveTerms {
        wallet: WalletId::new(Uuid::from_u128(2)),
        amount_msat: None,
        description: "a book".to_owned(),
        expiry_seconds: 60,
        metadata: Metadata::new(),
    }
}
