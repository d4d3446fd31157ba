//! Which organisations this process runs, among several engines over one store.
//!
//! Every pod looks at the same map twice a second, computes the same wish from it (rendezvous hashing), and
//! takes what is wished on it and has no living owner. What is wished on another is handed over. A pod
//! that believes too much or too little is only slow: loading asks the store, and moves the epoch.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use domain::{NodeId, OrgId, SessionId};
use ports::{
    Cluster, Peers, StoreError,
    orgs::OrgsError,
    placement::{PlacementMap, Pod, Shard},
};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    house::{House, unavailable},
    limits,
    org::OrgMessage,
    platform,
    records::Records,
    wish,
};

/// What an engine among others needs beside the sockets.
#[derive(Clone)]
pub struct Membership {
    pub cluster: Arc<dyn Cluster>,
    /// The same in the pod's next life, and of no other pod.
    pub name: String,
    /// `host:port` at which the other pods reach this one.
    pub address: String,
    pub peers: Arc<dyn Peers>,
}

/// Where this process stands.
pub(crate) struct Place {
    session: SessionId,
    /// `None`: it is the only one, and owns everything.
    membership: Option<Membership>,
    seen: RwLock<Seen>,
    /// When the map was asked for last; held while it is asked for.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Seen {
    map: Arc<PlacementMap>,
    /// On their way to another pod, for as long as that takes.
    leaving: BTreeMap<Shard, SessionId>,
}

impl Place {
    pub(crate) fn new(session: SessionId, membership: Option<Membership>) -> Place {
        Place { session, membership, seen: RwLock::default(), asked: tokio::sync::Mutex::default() }
    }

    fn seen(&self) -> RwLockReadGuard<'_, Seen> {
        self.seen.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is to be asked instead, where the answer from here is that another pod runs the organisation.
    pub(crate) fn elsewhere<T>(&self, here: &Result<T, OrgsError>) -> Option<&Arc<dyn Peers>> {
        match here {
            Err(OrgsError::NotOwner { .. }) => self.membership.as_ref().map(|it| &it.peers),
            Ok(_)
            | Err(
                OrgsError::Rejected(_)
                | OrgsError::NotFound(_)
                | OrgsError::Unavailable(_)
                | OrgsError::Busy { .. }
                | OrgsError::Uncertain(_)
                | OrgsError::Frozen(_)
                | OrgsError::OlderPods(_),
            ) => None,
        }
    }

    /// Who runs the organisation, as far as is known here.
    fn owner(&self, org: OrgId) -> Option<SessionId> {
        if self.membership.is_none() {
            return Some(self.session);
        }
        let (shard, seen) = (Shard::of(org), self.seen());
        seen.leaving.get(&shard).copied().or_else(|| seen.map.owner(shard))
    }

    pub(crate) fn owns(&self, org: OrgId) -> bool {
        self.owner(org) == Some(self.session)
    }

    /// Whether this process brings the settled invoices of the node into the inbox. Of several that
    /// believe so none does harm.
    pub(crate) fn follows(&self, node: NodeId) -> bool {
        let seen = self.seen();
        let wished = wish::of_node(node, &seen.map.pods).next();
        wished.is_none_or(|pod| pod.session == self.session)
    }

    /// How many engines send over the same nodes.
    pub(crate) fn engines(&self) -> u32 {
        let seen = self.seen();
        u32::try_from(seen.map.pods.len()).unwrap_or(u32::MAX).max(1)
    }

    pub(crate) fn not_owner(&self, org: OrgId) -> OrgsError {
        OrgsError::NotOwner { owner: self.owner(org).filter(|owner| *owner != self.session) }
    }

    /// What certainly was not done, as the organisation is being loaded: among several processes perhaps in
    /// another one, where whoever asked finds it in a moment.
    pub(crate) fn on_the_move(&self, org: OrgId, why: String) -> OrgsError {
        match self.membership {
            Some(_) => self.not_owner(org),
            None => OrgsError::Unavailable(why),
        }
    }

    fn owned(&self) -> BTreeSet<Shard> {
        let seen = self.seen();
        let owner = |shard: &Shard| {
            seen.map.owner(*shard) == Some(self.session) && !seen.leaving.contains_key(shard)
        };
        Shard::all().filter(owner).collect()
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn map(&self) -> Arc<PlacementMap> {
        self.seen().map.clone()
    }
}

impl House {
    /// Refuses an organisation that another pod runs. One that this pod does not know to be its own yet
    /// is looked for in the store, but not for each of a thousand calls.
    pub(crate) async fn must_own(self: &Arc<Self>, org: OrgId) -> Result<(), OrgsError> {
        if self.place.owns(org) {
            return Ok(());
        }
        let mut asked = self.place.asked.lock().await;
        let recently = asked.is_some_and(|at| at.elapsed() < limits::MAP_FRESH);
        if !recently && !self.place.owns(org) {
            let map = self.sockets.placement.map().await.map_err(unavailable)?;
            *asked = Some(Instant::now());
            learn(self, map);
        }
        match self.place.owns(org) {
            true => Ok(()),
            false => Err(self.place.not_owner(org)),
        }
    }
}

/// Takes in who owns what: drops what this process no longer runs, and carries on what it runs now.
fn learn(house: &Arc<House>, map: PlacementMap) {
    if *house.place.map() == map {
        return;
    }
    let before = house.place.owned();
    house.place.change(|seen| seen.map = Arc::new(map));
    let now = house.place.owned();
    let lost: BTreeSet<Shard> = before.difference(&now).copied().collect();
    if !lost.is_empty() {
        let orgs = |org: OrgId| lost.contains(&Shard::of(org));
        house.registry.stop_where(orgs, "another process runs it");
        let_go(house, orgs);
    }
    if now.difference(&before).next().is_some() {
        carry_on_soon(house);
    }
}

fn carry_on_soon(house: &Arc<House>) {
    let house = house.clone();
    tokio::spawn(async move {
        if let Err(error) = platform::carry_on(&house).await {
            tracing::warn!(%error, "what is open in new shards could not be read");
        }
    });
}

/// Forgets what memory holds of organisations that another process runs.
fn let_go(house: &House, orgs: impl Fn(OrgId) -> bool) {
    house.waiters.send_away(&orgs);
    house.open_payments.forget(&orgs);
    house.sightings.forget(&orgs);
}

/// Takes this process's place among the others, again and again, until it is over.
pub(crate) async fn keep(house: Arc<House>) {
    let Some(membership) = house.place.membership.clone() else { return };
    let mut records = Records::default();
    let mut course = Course::default();
    while !house.is_closed() && !house.lease.is_over() {
        let stepped = step(&house, &membership, &mut course).await;
        let followed = records.follow(&house).await;
        if let Err(error) = stepped.and(followed) {
            tracing::warn!(%error, "the pod's place could not be looked at");
        }
        sleep(limits::PLACE_EVERY).await;
    }
}

/// What one step leaves for the next.
#[derive(Default)]
struct Course {
    free_since: BTreeMap<Shard, Instant>,
    /// In this map every shard of ours is where it is wished.
    settled: Option<Arc<PlacementMap>>,
}

async fn step(
    house: &Arc<House>,
    membership: &Membership,
    course: &mut Course,
) -> Result<(), StoreError> {
    let cluster = &membership.cluster;
    for session in cluster.bury().await? {
        tracing::warn!(%session, "a pod's lease is over; its organisations are taken over");
    }
    learn(house, cluster.map().await?);
    let map = house.place.map();
    if course.settled.as_ref().is_some_and(|settled| Arc::ptr_eq(settled, &map)) {
        return Ok(());
    }
    let wanted = wanted(house.place.session, &map, &mut course.free_since);
    if !wanted.is_empty() && !cluster.claim(house.place.session, &wanted).await?.is_empty() {
        learn(house, cluster.map().await?);
    }
    let map = house.place.map();
    let moves = misplaced(house, &map);
    if moves.is_empty() && course.free_since.is_empty() {
        course.settled = Some(map);
    }
    for (to, shards) in moves {
        hand_over(house, cluster.as_ref(), &shards, to).await?;
    }
    Ok(())
}

/// Free shards that are wished on this pod, or that the pods before it have not taken for a while.
fn wanted(
    session: SessionId,
    map: &PlacementMap,
    free_since: &mut BTreeMap<Shard, Instant>,
) -> Vec<Shard> {
    let free: BTreeSet<Shard> = Shard::all().filter(|shard| map.owner(*shard).is_none()).collect();
    free_since.retain(|shard, _| free.contains(shard));
    let mine = |shard: &Shard| {
        let since = free_since.entry(*shard).or_insert_with(Instant::now);
        let late = since.elapsed().as_millis() / limits::TAKEN_WITHIN.as_millis();
        let asked = 1 + usize::try_from(late).unwrap_or(usize::MAX - 1);
        wish::of_shard(*shard, &map.pods).take(asked).any(|pod| pod.session == session)
    };
    free.into_iter().filter(mine).collect()
}

/// Shards by who is to have them.
type Moves = BTreeMap<SessionId, Vec<Shard>>;

/// A few of its own shards that are wished on another. Those with nobody at home cost nothing to move.
fn misplaced(house: &House, map: &PlacementMap) -> Moves {
    let home: BTreeSet<Shard> =
        house.registry.living().iter().map(|(org, _)| Shard::of(*org)).collect();
    let (mut moves, mut loaded) = (Moves::new(), 0);
    for shard in house.place.owned() {
        let wished = wish::of_shard(shard, &map.pods).next();
        let Some(to) = wished.filter(|pod| pod.session != house.place.session) else { continue };
        if home.contains(&shard) {
            loaded += 1;
            if loaded > limits::MOVES_AT_ONCE {
                continue;
            }
        }
        moves.entry(to.session).or_default().push(shard);
    }
    moves
}

/// Gives everything to the others. What is asked meanwhile is told where it has gone.
pub(crate) async fn leave(house: &Arc<House>) {
    let Some(membership) = &house.place.membership else { return };
    let map = house.place.map();
    let others = map.pods.iter().filter(|pod| pod.session != house.place.session);
    let others: Vec<Pod> = others.cloned().collect();
    let mut moves = Moves::new();
    for shard in house.place.owned() {
        if let Some(to) = wish::of_shard(shard, &others).next() {
            moves.entry(to.session).or_default().push(shard);
        }
    }
    for (to, shards) in moves {
        if let Err(error) = hand_over(house, membership.cluster.as_ref(), &shards, to).await {
            tracing::warn!(%error, "shards could not be handed over; the others will take them");
        }
    }
    if let Err(error) = membership.cluster.leave(house.place.session).await {
        tracing::warn!(%error, "the others will wait until this pod's lease is over");
    }
}

/// Stops the organisations of the shards once what they have decided is committed, and gives the shards
/// to another pod.
async fn hand_over(
    house: &Arc<House>,
    cluster: &dyn Cluster,
    shards: &[Shard],
    to: SessionId,
) -> Result<(), StoreError> {
    let leaving: BTreeSet<Shard> = shards.iter().copied().collect();
    house.place.change(|seen| seen.leaving.extend(shards.iter().map(|shard| (*shard, to))));
    let orgs = |org: OrgId| leaving.contains(&Shard::of(org));
    let drained: Vec<_> = house
        .registry
        .living()
        .into_iter()
        .filter(|(org, _)| orgs(*org))
        .filter_map(|(_, actor)| {
            let (reply, drained) = ractor::concurrency::oneshot();
            actor.cast(OrgMessage::Drain(reply.into())).ok().map(|()| drained)
        })
        .collect();
    let all = async {
        for drained in drained {
            // One that has stopped has nothing left.
            let _ = drained.await;
        }
    };
    if timeout(limits::DRAIN_WITHIN, all).await.is_err() {
        tracing::warn!("some organisations were moved before their last commit was known");
    }
    house.registry.stop_where(orgs, "it moves to another process");
    let moved = cluster.hand_over(house.place.session, shards, to).await;
    let_go(house, orgs);
    house.place.change(|seen| {
        shards.iter().for_each(|shard| _ = seen.leaving.remove(shard));
        if moved.is_ok() {
            Arc::make_mut(&mut seen.map).give(shards, to);
        }
    });
    if moved.is_err() {
        // Perhaps they are still ours, with nobody in them.
        carry_on_soon(house);
    }
    learn(house, cluster.map().await?);
    moved
}
