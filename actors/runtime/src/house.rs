//! What every actor of this process shares: the sockets, the lanes, and where everyone is.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use domain::{Msat, Network, NodeId, OrgId, PaymentId, Preimage, Timestamp, org::Command};
use ports::{
    Clock, Directory, Guard, Journal, LightningNode, Placement, Reads, Receipts, StoreError, Wakes,
    directory::NodeRecord,
    journal::{self, Question},
    lightning::NodeError,
    orgs::OrgsError,
};
use ractor::{ActorCell, ActorId};
use tokio::sync::Semaphore;

use crate::{
    freeze::Freeze,
    health::Health,
    journal_lane::LaneHandle,
    kinds::Kinds,
    lease::Lease,
    limits,
    lookup::LookUps,
    meters::Meters,
    node::NodeHandle,
    open_payments::OpenPayments,
    org::Order,
    orgs::Backings,
    place::Place,
    registry::{Registry, Seated},
    router::Router,
    sighting::Sightings,
    tree::Post,
    turns::Turns,
    waiters::Waiters,
};

/// Makes the connection of a registered node. It connects when it is first needed.
pub type Connect =
    Arc<dyn Fn(&NodeRecord) -> Result<Arc<dyn LightningNode>, NodeError> + Send + Sync>;

/// The adapters that a house stands on. One store usually is all but the last three.
#[derive(Clone)]
pub struct Sockets {
    pub journal: Arc<dyn Journal>,
    pub receipts: Arc<dyn Receipts>,
    pub reads: Arc<dyn Reads>,
    pub directory: Arc<dyn Directory>,
    pub guard: Arc<dyn Guard>,
    pub placement: Arc<dyn Placement>,
    pub wakes: Arc<dyn Wakes>,
    pub clock: Arc<dyn Clock>,
    pub connect: Connect,
    /// Draws a secret that nobody can guess.
    pub draw_preimage: Arc<dyn Fn() -> Preimage + Send + Sync>,
}

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub network: Network,
    /// Fee cap when the caller names none, in millionths of the amount.
    pub default_fee_ppm: u32,
    pub default_fee_min_msat: Msat,
    /// Beyond so many, those that nobody asks for are put to rest after seconds instead of minutes.
    pub organisations_in_memory: usize,
}

pub(crate) struct House {
    pub(crate) sockets: Sockets,
    pub(crate) settings: Settings,
    pub(crate) lease: Arc<Lease>,
    pub(crate) place: Place,
    pub(crate) lanes: Vec<LaneHandle>,
    pub(crate) kinds: Kinds,
    pub(crate) turns: Turns,
    pub(crate) lookups: LookUps,
    pub(crate) registry: Registry,
    pub(crate) waiters: Waiters,
    pub(crate) health: Health,
    pub(crate) sightings: Sightings,
    pub(crate) backings: Backings,
    /// Failures that nodes may still be asked about once more.
    pub(crate) second_looks: Arc<Semaphore>,
    pub(crate) open_payments: OpenPayments,
    pub(crate) meters: Meters,
    nodes: RwLock<HashMap<NodeId, NodeHandle>>,
    pub(crate) freeze: Freeze,
    /// When this life began: every life before it was over by then.
    pub(crate) began: Timestamp,
    root: OnceLock<(ActorCell, Router)>,
    posts: Mutex<HashMap<ActorId, Post>>,
    closed: AtomicBool,
}

impl House {
    pub(crate) fn new(
        sockets: Sockets,
        settings: Settings,
        lease: Arc<Lease>,
        place: Place,
        frozen: Option<String>,
    ) -> House {
        let turns = Turns::default();
        let began = sockets.clock.now();
        let lanes = sockets.journal.lanes();
        House {
            lookups: LookUps::start(&sockets.journal, turns.clone()),
            turns,
            lanes: (0..lanes).map(|_| LaneHandle::new()).collect(),
            kinds: Kinds::default(),
            sockets,
            settings,
            lease,
            place,
            registry: Registry::default(),
            waiters: Waiters::default(),
            health: Health::default(),
            sightings: Sightings::default(),
            backings: Backings::default(),
            second_looks: Arc::new(Semaphore::new(limits::SECOND_LOOKS_MAX)),
            open_payments: OpenPayments::default(),
            meters: Meters::new(lanes),
            nodes: RwLock::default(),
            freeze: Freeze::new(frozen),
            began,
            root: OnceLock::new(),
            posts: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.sockets.clock.now()
    }

    /// An organisation is always on the same lane.
    pub(crate) fn lane(&self, org: OrgId) -> &LaneHandle {
        self.lanes.get(self.lane_of(org)).expect("the remainder is below the count")
    }

    pub(crate) fn lane_of(&self, org: OrgId) -> usize {
        journal::lane_of(org, self.lanes.len())
    }

    /// An order together with what the store knows of its payment, which memory may have forgotten, and
    /// the organisation that it is for.
    pub(crate) async fn recalled(
        self: &Arc<Self>,
        org: OrgId,
        payment: PaymentId,
        command: Command,
    ) -> Result<(Seated, Order), OrgsError> {
        let seated = self.seated(org).await?;
        let question = Question { org, payment, hash: None, claim: None };
        let known = self.lookups.ask(question).await.map_err(unavailable)?;
        Ok((seated, Order { remember: known.payment, ..command.into() }))
    }

    pub(crate) fn node(&self, id: NodeId) -> Option<NodeHandle> {
        self.nodes.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Every node, in the order of their ids.
    pub(crate) fn nodes(&self) -> Vec<NodeHandle> {
        let nodes = self.nodes.read().unwrap_or_else(PoisonError::into_inner);
        let mut nodes: Vec<_> = nodes.values().cloned().collect();
        nodes.sort_by_key(|node| node.record.id);
        nodes
    }

    pub(crate) fn put_node(&self, node: NodeHandle) {
        self.nodes.write().unwrap_or_else(PoisonError::into_inner).insert(node.record.id, node);
    }

    /// Why every outgoing send is frozen, if it is.
    pub(crate) fn frozen(&self) -> Option<String> {
        self.freeze.why()
    }

    /// Freezes in memory at once and then on record. What the store does not take now, or what is dropped
    /// before it has, it is asked to take again.
    pub(crate) async fn freeze(&self, why: String) {
        tracing::error!(%why, "every outgoing send is frozen");
        self.freeze.begins(why);
        if let Err(error) = self.record_freeze().await {
            tracing::error!(%error, "the freeze could not be recorded, and will be later");
        }
    }

    /// What is not on record yet: a thaw goes by what is.
    pub(crate) async fn record_freeze(&self) -> Result<(), StoreError> {
        let Some((why, found)) = self.freeze.unrecorded() else { return Ok(()) };
        self.sockets.guard.freeze(&why).await?;
        self.freeze.recorded(found);
        Ok(())
    }

    /// The root of the tree and its router pool take their places. Called once.
    pub(crate) fn seat_root(&self, root: ActorCell, router: Router) {
        let _ = self.root.set((root, router));
    }

    pub(crate) fn root(&self) -> ActorCell {
        self.root.get().expect("the tree has started").0.clone()
    }

    pub(crate) fn router(&self) -> &Router {
        &self.root.get().expect("the tree has started").1
    }

    pub(crate) fn takes_post(&self, actor: ActorId, post: Post) {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner).insert(actor, post);
    }

    pub(crate) fn leaves_post(&self, actor: ActorId) -> Option<Post> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner).remove(&actor)
    }

    /// Nothing new is started from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// What was asked of the store was certainly not done.
pub(crate) fn unavailable(error: StoreError) -> OrgsError {
    OrgsError::Unavailable(error.to_string())
}
