//! One running house: started, kept, stopped.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use domain::{Network, NodeId, OrgId, SessionId};
use ports::{
    StoreError,
    directory::NodeRecord,
    guard::Generation,
    lightning::NodeError,
    operations::NodeState,
    placement::{JoinError, Pod},
};
use ractor::{Actor, SpawnErr};
use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument as _;

use crate::{
    house::{House, Settings, Sockets},
    journal_lane::LaneHandle,
    lease::{End, Lease},
    limits,
    node::{self, NodeHandle},
    org::OrgMessage,
    place::{self, Membership, Place},
    reconcile::{self, Pace, ReconcileError},
    sighting, spans,
    tree::{self, Tree},
};

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("an actor could not be started: {0}")]
    Actor(#[from] SpawnErr),
    #[error("a pod named {0} is alive; each needs a name of its own")]
    NameTaken(String),
    /// Started with another network than the one that the installation is on.
    #[error("node {node} is on {}, and this was started for {}", found.name(), wanted.name())]
    OtherNetwork { node: String, found: Network, wanted: Network },
}

/// All actors of one process. Cheap to clone.
#[derive(Clone)]
pub struct Platform {
    pub(crate) house: Arc<House>,
}

impl Platform {
    /// Begins a life: compares the store with the one that was left, takes a lease, connects every
    /// registered node and carries on whatever is open. Without a `membership` it is the only process,
    /// and every other life is over.
    pub async fn start(
        sockets: Sockets,
        settings: Settings,
        session: SessionId,
        membership: Option<Membership>,
    ) -> Result<Platform, StartError> {
        let records = sockets.directory.nodes().await?;
        if let Some(other) = records.iter().find(|record| record.network != settings.network) {
            let (node, found) = (other.name.clone(), other.network);
            return Err(StartError::OtherNetwork { node, found, wanted: settings.network });
        }
        if let Generation::Changed { recorded, found } = sockets.guard.generation().await? {
            let why = format!("the store was restored or replaced: {recorded} before, {found} now");
            sockets.guard.freeze(&why).await?;
        }
        let frozen = sockets.guard.frozen().await?;
        if let Some(why) = &frozen {
            tracing::error!(%why, "every outgoing send is frozen");
        }
        let lease = Arc::new(begin(&sockets, session, membership.as_ref()).await?);
        let place = Place::new(session, membership);
        let house = Arc::new(House::new(sockets, settings, lease, place, frozen));
        tokio::spawn(keep_lease(house.clone()));
        Actor::spawn(None, Tree { house: house.clone() }, ()).await?;
        let platform = Platform { house };
        for record in records {
            adopt(&platform.house, record).await;
        }
        platform.look_at_nodes().await;
        tokio::spawn(place::keep(platform.house.clone()));
        carry_on(&platform.house).await?;
        tokio::spawn(keep_driving(platform.house.clone()));
        tokio::spawn(keep_comparing(platform.house.clone()));
        tokio::spawn(sighting::keep(platform.house.clone()));
        Ok(platform)
    }

    /// Waits a while for every node, so that the first sends do not find all of them unusable.
    async fn look_at_nodes(&self) {
        let nodes = self.house.nodes();
        let all = async {
            for node in &nodes {
                node.looked_at().await;
            }
        };
        if timeout(limits::FIRST_LOOK, all).await.is_err() {
            tracing::warn!("not every node has answered yet; starting without waiting longer");
        }
    }

    /// Begins the books of a node that is about to be registered: what it has paid, and was paid, before
    /// is not ours.
    pub async fn begin_books(&self, record: &NodeRecord) -> Result<(), ReconcileError> {
        let lightning = (self.house.sockets.connect)(record)?;
        let sockets = &self.house.sockets;
        reconcile::accept(sockets, record, lightning.as_ref()).await?;
        let settled = lightning.last_settle_index().await?;
        Ok(sockets.receipts.begin_receipts(record.id, settled).await?)
    }

    /// Begins to use a registered node.
    pub async fn adopt(&self, record: NodeRecord) -> Result<(), NodeError> {
        use_node(&self.house, record).await
    }

    /// Stops a node's sends with a reason, or lets them go on. `false`: there is no such node.
    pub async fn stop_node(&self, id: NodeId, why: Option<&str>) -> Result<bool, StoreError> {
        let known = self.house.sockets.directory.stop_node(id, why).await?;
        if let Some(node) = self.house.node(id) {
            match why {
                Some(why) => {
                    node.stop(why.to_owned());
                    self.house.health.unusable(id);
                }
                None => node.resume(),
            }
        }
        Ok(known)
    }

    /// Whether a registered node may be used now, and how much is in flight there.
    pub fn state_of(&self, record: NodeRecord) -> NodeState {
        let seen = self.house.health.of(record.id);
        // The router goes by the last look; one that was resumed since has to wait for the next.
        let waiting = || "it has not been looked at since it may go on".to_owned();
        let not_usable = match self.house.node(record.id) {
            Some(node) => node.not_usable().or_else(|| (!seen.usable).then(waiting)),
            None => Some("its connection could not be set up".to_owned()),
        };
        NodeState {
            record,
            not_usable,
            in_flight: seen.in_flight,
            outbound_msat: seen.outbound_msat,
            inbound_msat: seen.inbound_msat,
        }
    }

    /// Returns when another process has taken over: this one answers no more.
    pub async fn taken_over(&self) {
        self.house.lease.taken_over().await;
    }

    pub fn frozen(&self) -> Option<String> {
        self.house.frozen()
    }

    /// Takes nothing new, finishes what is on its way to the journal, and ends every actor. What it ran
    /// goes to the other pods, if there are any.
    pub async fn stop(&self) {
        if !self.house.lease.is_over() {
            self.house.lease.give_up();
            place::leave(&self.house).await;
        }
        self.house.close();
        for _ in 0..limits::STOP_POLLS {
            if self.house.lanes.iter().all(|lane| lane.is_idle()) {
                break;
            }
            sleep(limits::STOP_POLL).await;
        }
        let root = self.house.root();
        root.stop_children(None);
        let _ = root.stop_and_wait(None, Some(Duration::from_secs(1))).await;
    }
}

async fn keep_lease(house: Arc<House>) {
    let makes_progress = || !house.lanes.iter().any(LaneHandle::stands_still);
    let (placement, clock) = (house.sockets.placement.clone(), house.sockets.clock.clone());
    match house.lease.clone().keep(placement, clock, makes_progress).await {
        End::GivenUp => tracing::debug!("the lease was given up"),
        End::TakenOver => {
            tracing::error!("another process has taken over; this one answers no more");
        }
    }
}

async fn begin(
    sockets: &Sockets,
    session: SessionId,
    membership: Option<&Membership>,
) -> Result<Lease, StartError> {
    let length = sockets.placement.lease_length();
    let Some(Membership { cluster, name, address, .. }) = membership else {
        let granted = async { Ok(sockets.placement.begin(session).await?) };
        return Lease::begin(session, length, &*sockets.clock, granted).await.map_err(start_error);
    };
    let pod = Pod { session, name: name.clone(), address: address.clone() };
    // A life before this one, whose end was not seen, has the name until its lease is over.
    let patience = length.duration() + length.renewal();
    let began = Instant::now();
    loop {
        match Lease::begin(session, length, &*sockets.clock, cluster.join(&pod)).await {
            Err(JoinError::NameTaken(_)) if began.elapsed() < patience => {
                sleep(limits::JOIN_POLL).await;
            }
            joined => return joined.map_err(start_error),
        }
    }
}

fn start_error(error: JoinError) -> StartError {
    match error {
        JoinError::NameTaken(name) => StartError::NameTaken(name),
        JoinError::Store(error) => StartError::Store(error),
    }
}

impl House {
    /// A node that may have been registered a moment ago through another process.
    pub(crate) async fn registered(
        self: &Arc<Self>,
        id: NodeId,
    ) -> Result<Option<NodeHandle>, StoreError> {
        if self.node(id).is_none() {
            let on_record = self.sockets.directory.nodes().await?;
            if let Some(record) = on_record.into_iter().find(|record| record.id == id) {
                adopt(self, record).await;
            }
        }
        Ok(self.node(id))
    }
}

/// Begins to use a node that is on record. One that cannot be used is tried again at the next start.
pub(crate) async fn adopt(house: &Arc<House>, record: NodeRecord) {
    let name = record.name.clone();
    if let Err(error) = use_node(house, record).await {
        tracing::error!(node = %name, %error, "a registered node cannot be used");
    }
}

async fn use_node(house: &Arc<House>, record: NodeRecord) -> Result<(), NodeError> {
    let id = record.id;
    if house.node(id).is_some() {
        return Ok(());
    }
    let lightning = (house.sockets.connect)(&record)?;
    house.put_node(NodeHandle::new(record, lightning));
    tree::start_node(house, id).await;
    Ok(())
}

/// Everything of ours that is open is carried on without waiting for a request: at the start, and again
/// and again, as the life before this one may have written until its organisations were loaded here.
pub(crate) async fn carry_on(house: &Arc<House>) -> Result<(), StoreError> {
    let living: BTreeSet<OrgId> = house.registry.living().iter().map(|(org, _)| *org).collect();
    for org in house.sockets.reads.orgs_with_open_work().await? {
        if !living.contains(&org) && house.place.owns(org) {
            let house = house.clone();
            tokio::spawn(async move { house.revive(org).await });
        }
    }
    for receipt in house.sockets.receipts.open_receipts().await? {
        if house.place.owns(receipt.org) {
            let booking = node::book(house.clone(), receipt);
            tokio::spawn(booking.instrument(spans::work("receipt")));
        }
    }
    Ok(())
}

/// Wakes what has had no news, and forgets what ended long ago.
async fn keep_driving(house: Arc<House>) {
    while !house.is_closed() {
        sleep(limits::DRIVE_EVERY).await;
        if let Err(error) = house.record_freeze().await {
            tracing::error!(%error, "the freeze is not on record yet");
        }
        for (_, actor) in house.registry.living() {
            // One that has just stopped is being loaded again.
            let _ = actor.cast(OrgMessage::Tick);
        }
    }
}

/// Compares with the nodes on a schedule: streams have gaps (rules 22, 24).
async fn keep_comparing(house: Arc<House>) {
    while !house.is_closed() {
        sleep(limits::RECONCILE_EVERY).await;
        for node in house.nodes() {
            if let Err(error) = reconcile::newer_payments(&house, &node, Pace::Gentle).await {
                tracing::warn!(node = %node.record.id, %error, "its payments could not be compared");
            }
        }
        if let Err(error) = carry_on(&house).await {
            tracing::warn!(%error, "what is open could not be read");
        }
    }
}
