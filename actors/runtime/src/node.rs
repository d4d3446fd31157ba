//! One Lightning node: its connection, its health, and the followers that bring its news.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::{OrgId, PaymentId, org::Command};
use ports::{
    LightningNode, StoreError,
    directory::NodeRecord,
    journal::Taken,
    lightning::{NodeError, NodeStatus, PayError, Settlement},
    orgs::OrgsError,
    receipts::{OpenReceipt, Unknown},
};
use ractor::{Actor, ActorProcessingErr, ActorRef, ActorStatus};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tracing::Instrument as _;

use crate::{effect, house::House, limits, reconcile, spans, tree::Post};

/// A node as the rest of the house sees it.
#[derive(Clone)]
pub(crate) struct NodeHandle {
    pub(crate) record: Arc<NodeRecord>,
    pub(crate) lightning: Arc<dyn LightningNode>,
    following: Arc<Mutex<BTreeSet<(OrgId, PaymentId)>>>,
    standing: Arc<watch::Sender<Standing>>,
}

/// Whether a node may be sent to: it must prove itself again and again.
struct Standing {
    /// Until a person lets it go on.
    stopped: Option<String>,
    /// As last seen: away, not serving, another node, or its clock is off.
    unfit: Option<String>,
    /// It has what it has shown, and its payments newer than our cursor are accounted for.
    matched: bool,
    /// Counts how often it may have been away since: what was matched before counts no more, as it may
    /// have come back as an older copy.
    doubts: u64,
    /// How many connections to it had been made when it was last looked at.
    connections: u64,
    /// It has been asked at least once, whatever came of it.
    looked_at: bool,
}

impl Standing {
    fn may_send(&self) -> bool {
        self.is_fit() && self.matched
    }

    fn is_fit(&self) -> bool {
        self.stopped.is_none() && self.unfit.is_none()
    }

    fn doubt(&mut self) {
        self.matched = false;
        self.doubts += 1;
    }
}

impl NodeHandle {
    pub(crate) fn new(record: NodeRecord, lightning: Arc<dyn LightningNode>) -> NodeHandle {
        let standing = Standing {
            stopped: record.stopped.clone(),
            unfit: Some("it has not answered yet".to_owned()),
            matched: false,
            doubts: 0,
            connections: 0,
            looked_at: false,
        };
        NodeHandle {
            record: Arc::new(record),
            lightning,
            following: Arc::default(),
            standing: Arc::new(watch::Sender::new(standing)),
        }
    }

    /// `false`: the payment is being followed on this node already.
    pub(crate) fn begin(&self, org: OrgId, payment: PaymentId) -> bool {
        self.following.lock().unwrap_or_else(PoisonError::into_inner).insert((org, payment))
    }

    pub(crate) fn end(&self, org: OrgId, payment: PaymentId) {
        self.following.lock().unwrap_or_else(PoisonError::into_inner).remove(&(org, payment));
    }

    fn looked_at_again_after(&self) -> Duration {
        match self.standing.borrow().unfit {
            None => limits::HEALTH_POLL,
            Some(_) => limits::UNFIT_POLL,
        }
    }

    /// Waits until the node may be sent to. For how long is the caller's to say.
    pub(crate) async fn may_send(&self) {
        let mut standing = self.standing.subscribe();
        // The sender lives in this handle, so the wait does not fail.
        let _ = standing.wait_for(Standing::may_send).await;
    }

    /// Waits until it is known whether the node may be sent to.
    pub(crate) async fn looked_at(&self) {
        let _ = self.standing.subscribe().wait_for(|standing| standing.looked_at).await;
    }

    /// It is being looked at or matched: whether it may be sent to is known in a moment.
    pub(crate) fn is_in_doubt(&self) -> bool {
        let standing = self.standing.borrow();
        !standing.looked_at || (standing.is_fit() && !standing.matched)
    }

    /// Why the node is not sent to, if it is not.
    pub(crate) fn not_usable(&self) -> Option<String> {
        let standing = self.standing.borrow();
        let waiting = || "its payments are not matched yet".to_owned();
        match (&standing.stopped, &standing.unfit) {
            (Some(why), _) | (None, Some(why)) => Some(why.clone()),
            (None, None) => (!standing.matched).then(waiting),
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.standing.borrow().stopped.is_some()
    }

    pub(crate) fn stop(&self, why: String) {
        self.standing.send_modify(|standing| standing.stopped = Some(why));
    }

    pub(crate) fn resume(&self) {
        self.standing.send_modify(|standing| standing.stopped = None);
    }

    fn now_is(&self, unfit: Option<String>) {
        self.standing.send_modify(|standing| standing.unfit = unfit);
    }

    fn has_been_looked_at(&self) {
        self.standing.send_modify(|standing| standing.looked_at = true);
    }

    /// It may have been away: it has to be matched again.
    pub(crate) fn doubt(&self) {
        self.standing.send_modify(Standing::doubt);
    }

    fn doubts(&self) -> u64 {
        self.standing.borrow().doubts
    }

    /// A doubt if it is spoken to over another connection than at the last look; answers whether it is.
    fn doubt_another_connection(&self) -> bool {
        let now = self.lightning.connections();
        self.standing.send_if_modified(|standing| {
            let is_another = standing.connections != now;
            standing.connections = now;
            if is_another {
                standing.doubt();
            }
            is_another
        })
    }

    /// What was begun when there were so many doubts has found nothing amiss. `false`: there are more by now.
    fn now_matches(&self, doubts: u64) -> bool {
        self.standing.send_modify(|standing| standing.matched |= standing.doubts == doubts);
        self.is_matched()
    }

    /// Before that, what it does not find proves nothing.
    pub(crate) fn is_matched(&self) -> bool {
        self.standing.borrow().matched
    }
}

pub(crate) enum NodeMessage {
    /// Looks at the node, now and again and again.
    Watch,
    /// Looks once more: something has happened to it.
    Look,
}

/// The way to have a node looked at once more.
#[derive(Clone)]
pub(crate) struct Looks {
    actor: ActorRef<NodeMessage>,
    /// One is asked for that has not begun: it sees every doubt of until then, so no other is needed.
    asked: Arc<AtomicBool>,
}

impl Looks {
    /// The node may have gone, and be back as an older copy before it is looked at the next time.
    fn again(&self, node: &NodeHandle) {
        node.doubt();
        if !self.asked.swap(true, Ordering::AcqRel) {
            // The actor may be gone.
            let _ = self.actor.cast(NodeMessage::Look);
        }
    }

    fn begins(&self) {
        // Read as well, so that the doubt of whoever asked for this one is seen.
        self.asked.swap(false, Ordering::AcqRel);
    }
}

/// Watches one node: gates its sends and follows its settled invoices into the inbox.
pub(crate) struct NodeActor {
    pub(crate) house: Arc<House>,
    pub(crate) node: NodeHandle,
}

#[async_trait]
impl Actor for NodeActor {
    type Msg = NodeMessage;
    type State = Looks;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<NodeMessage>,
        (): (),
    ) -> Result<Looks, ActorProcessingErr> {
        self.house.takes_post(myself.get_id(), Post::Node(self.node.record.id));
        let looks = Looks { actor: myself.clone(), asked: Arc::default() };
        tokio::spawn(follow_settlements(self.house.clone(), self.node.clone(), looks.clone()));
        myself.cast(NodeMessage::Watch)?;
        Ok(looks)
    }

    async fn handle(
        &self,
        myself: ActorRef<NodeMessage>,
        message: NodeMessage,
        looks: &mut Looks,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            NodeMessage::Watch => {
                self.watch().await;
                myself.send_after(self.node.looked_at_again_after(), || NodeMessage::Watch);
            }
            NodeMessage::Look => {
                looks.begins();
                self.watch().await;
            }
        }
        Ok(())
    }
}

impl NodeActor {
    async fn watch(&self) {
        let id = self.node.record.id;
        let mut doubts = self.node.doubts();
        let within = limits::LOOK_WITHIN.min(self.house.lease.length.duration());
        let seen = timeout(within, self.look()).await;
        let seen = seen.unwrap_or_else(|_| Err("it does not answer in time".to_owned()));
        // Pods that do not follow its settlements see only by this that it was away between two looks.
        if self.node.doubt_another_connection() {
            doubts += 1;
        }
        self.node.now_is(seen.as_ref().err().cloned());
        match &seen {
            Ok(_) if self.node.is_matched() => {}
            // What is seen counts no more, and it is looked at again soon.
            Ok(_) if self.node.doubts() != doubts => return,
            Ok(_) => match reconcile::whole(&self.house, &self.node).await {
                Ok(()) if !self.node.now_matches(doubts) => return,
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(node = %id, %error, "its payments could not be matched");
                }
            },
            Err(_) => self.node.doubt(),
        }
        if let Err(why) = &seen {
            tracing::debug!(node = %id, %why, "the node cannot be used now");
        }
        match (seen, self.node.not_usable()) {
            (Ok(status), None) => {
                self.house.health.usable(id, &status, self.house.place.engines());
            }
            (Ok(_) | Err(_), _) => self.house.health.unusable(id),
        }
        self.node.has_been_looked_at();
    }

    /// What the node says of itself, if it may be used.
    async fn look(&self) -> Result<NodeStatus, String> {
        let status = self.node.lightning.status().await.map_err(|error| error.to_string())?;
        self.check(&status).await?;
        Ok(status)
    }

    /// Whether the node is itself, serves, and agrees with us on the time.
    async fn check(&self, status: &NodeStatus) -> Result<(), String> {
        let record = &self.node.record;
        // A node whose identity or network differs from what was registered gets nothing (rule 17).
        if status.identity != record.identity || status.network != Some(record.network.chain()) {
            let why = format!("it now answers as {} on {:?}", status.identity, status.network);
            if !self.node.is_stopped() {
                effect::stop_node(self.house.clone(), record.id, why.clone()).await;
            }
            return Err(why);
        }
        if !status.serving {
            return Err("it is not serving: it starts, or does not follow the chain".to_owned());
        }
        self.check_clock().await
    }

    /// Permissions end by the node's own clock, so it must agree with ours.
    async fn check_clock(&self) -> Result<(), String> {
        let tolerance = limits::CLOCK_TOLERANCE_MS;
        let lightning = &self.node.lightning;
        let text = |error: NodeError| error.to_string();
        let ahead = lightning.has_lapsed(self.house.now().plus_millis(tolerance)).await;
        let behind = lightning.has_lapsed(self.house.now().plus_millis(-tolerance)).await;
        match (ahead.map_err(text)?, behind.map_err(text)?) {
            (false, true) => Ok(()),
            (true, _) => Err(format!("its clock is more than {tolerance} ms ahead of ours")),
            (false, false) => Err(format!("its clock is more than {tolerance} ms behind ours")),
        }
    }
}

/// Brings settled invoices into the inbox, from a durable cursor, for as long as the actor lives. A
/// second follower does no harm.
async fn follow_settlements(house: Arc<House>, node: NodeHandle, looks: Looks) {
    let mut pause = limits::RETRY_FIRST;
    while looks.actor.get_status() < ActorStatus::Draining && !house.is_closed() {
        if !house.place.follows(node.record.id) {
            sleep(limits::PLACE_EVERY).await;
            continue;
        }
        let began = Instant::now();
        if let Err(why) = follow_once(&house, &node, &looks).await {
            tracing::debug!(node = %node.record.id, %why, "settlements will be followed again");
        }
        // A stream ends with an error as a rule; one that has lived is no reason to wait for the next.
        if began.elapsed() > limits::RETRY_LONGEST {
            pause = limits::RETRY_FIRST;
        }
        sleep(pause).await;
        pause = (pause * 2).min(limits::RETRY_LONGEST);
    }
}

#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Stream(#[from] PayError),
}

async fn follow_once(
    house: &Arc<House>,
    node: &NodeHandle,
    looks: &Looks,
) -> Result<(), FollowError> {
    let cursor = house.sockets.receipts.settle_cursor(node.record.id).await?;
    let after = cursor.saturating_sub(limits::SETTLE_WINDOW);
    let mut stream = node.lightning.settlements(after).await?;
    // While nothing was open to it, nothing showed that it was away.
    looks.again(node);
    let (found, mut settlements) = mpsc::channel(limits::SETTLE_BATCH_MAX);
    let reader = async move {
        loop {
            let next = tokio::select! {
                next = stream.next() => next,
                () = found.closed() => None,
            };
            let Some(settlement) = next else { break };
            if found.send(settlement?).await.is_err() {
                break;
            }
        }
        Ok::<(), FollowError>(())
    };
    // What has gathered while one transaction ran goes into the next. Its end closes the channel, and so ends
    // the reader.
    let taker = async move {
        let mut batch = Vec::new();
        while settlements.recv_many(&mut batch, limits::SETTLE_BATCH_MAX).await > 0 {
            take_in(house, node, &batch).await?;
            batch.clear();
            if !house.place.follows(node.record.id) {
                break;
            }
        }
        Ok::<(), FollowError>(())
    };
    let ended = tokio::try_join!(reader, taker).map(|_| ());
    looks.again(node);
    ended
}

async fn take_in(
    house: &Arc<House>,
    node: &NodeHandle,
    settlements: &[Settlement],
) -> Result<(), StoreError> {
    let unknown = match node.record.owner {
        None => Unknown::Kept,
        Some(_) => Unknown::Counted,
    };
    let taken = house.sockets.receipts.take_in(node.record.id, settlements, unknown).await?;
    for receipt in taken.open {
        tokio::spawn(book(house.clone(), receipt).instrument(spans::work("receipt")));
    }
    reconcile::freeze_for(house, taken.unknown.first()).await;
    Ok(())
}

/// Has the organisation book a receipt, wherever it lives. One that is not taken stays in the inbox.
pub(crate) async fn book(house: Arc<House>, receipt: OpenReceipt) {
    fail::fail_point!("node::before_book");
    let here = house.book_receipt(receipt).await;
    let booked = match house.place.elsewhere(&here) {
        Some(peers) => peers.book_receipt(receipt).await,
        None => here,
    };
    if let Err(error) = booked {
        let OpenReceipt { org, payment, .. } = receipt;
        tracing::warn!(%org, %payment, %error, "a receipt stays in the inbox for now");
    }
}

impl House {
    /// Of an organisation that lives here.
    pub(crate) async fn book_receipt(
        self: &Arc<Self>,
        receipt: OpenReceipt,
    ) -> Result<(), OrgsError> {
        let OpenReceipt { org, payment, node, hash, paid_msat } = receipt;
        let command = Command::Receipt { payment, paid_msat };
        let (seated, mut order) = self.recalled(org, payment, command).await?;
        order.taken = Some(Taken { node, hash, paid_msat });
        self.execute_on(&seated, order).await.map(|_| ())
    }
}
