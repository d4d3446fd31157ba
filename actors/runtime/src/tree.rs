//! Supervision: what happens when an actor ends.
//!
//! | actor | when it stops or fails |
//! |---|---|
//! | organisation | loaded again at once; three failures in a minute and it waits for a person; put to rest: when it is asked for |
//! | journal lane | replaced, and every organisation on it loaded again |
//! | node | started again |
//! | worker of the router pool | replaced by the pool |

use std::sync::Arc;

use async_trait::async_trait;
use domain::{NodeId, OrgId};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};

use crate::{house::House, journal_lane::JournalLane, node::NodeActor, org::RESTS, router::Router};

/// What an actor of the tree is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Post {
    Org(OrgId),
    Lane(usize),
    Node(NodeId),
}

/// The root: every other actor is linked to it and ends with it.
pub(crate) struct Tree {
    pub(crate) house: Arc<House>,
}

/// The root is told nothing; it only sees its children end.
pub(crate) enum Nothing {}

#[async_trait]
impl Actor for Tree {
    type Msg = Nothing;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<Nothing>, (): ()) -> Result<(), ActorProcessingErr> {
        let root = myself.get_cell();
        for index in 0..self.house.lanes.len() {
            start_lane(&self.house, &root, index).await?;
        }
        let router = Router::start(root.clone()).await?;
        self.house.seat_root(root, router);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<Nothing>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(who, _, reason)
                if reason.as_deref() == Some(RESTS) =>
            {
                if let Some(Post::Org(org)) = self.house.leaves_post(who.get_id()) {
                    self.house.registry.clear(org);
                }
            }
            SupervisionEvent::ActorTerminated(who, _, _) => self.ended(&who, None),
            SupervisionEvent::ActorFailed(who, error) => self.ended(&who, Some(error)),
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

impl Tree {
    fn ended(&self, who: &ActorCell, error: Option<ActorProcessingErr>) {
        let Some(post) = self.house.leaves_post(who.get_id()) else { return };
        if let Some(error) = &error {
            tracing::error!(?post, %error, "an actor failed");
        }
        if self.house.is_closed() {
            return;
        }
        self.house.meters.restarts(post, error.is_some());
        let house = self.house.clone();
        match post {
            Post::Org(org) => {
                if error.is_some() {
                    house.registry.note_failure(org, house.now());
                }
                tokio::spawn(async move { house.revive(org).await });
            }
            Post::Lane(index) => {
                let root = house.root();
                tokio::spawn(async move {
                    if let Err(error) = start_lane(&house, &root, index).await {
                        tracing::error!(%error, "a journal lane could not be replaced");
                    }
                    let of_lane = |org| house.lane_of(org) == index;
                    house.registry.stop_where(of_lane, "its journal lane is gone");
                });
            }
            Post::Node(node) => {
                tokio::spawn(async move { start_node(&house, node).await });
            }
        }
    }
}

async fn start_lane(house: &Arc<House>, root: &ActorCell, index: usize) -> Result<(), SpawnErr> {
    let lane = house.lanes.get(index).expect("lanes are counted from their list");
    let actor = JournalLane {
        journal: house.sockets.journal.clone(),
        lease: house.lease.clone(),
        turns: house.turns.clone(),
        waiting: lane.reset(),
        pace: lane.pace.clone(),
        moved: lane.moved(),
        meters: house.meters.lane(index),
    };
    let (actor, _) = Actor::spawn_linked(None, actor, (), root.clone()).await?;
    house.takes_post(actor.get_id(), Post::Lane(index));
    lane.seat(actor);
    Ok(())
}

/// Starts watching a node that is in the house.
pub(crate) async fn start_node(house: &Arc<House>, id: NodeId) {
    let Some(node) = house.node(id) else { return };
    let actor = NodeActor { house: house.clone(), node };
    if let Err(error) = Actor::spawn_linked(None, actor, (), house.root()).await {
        tracing::error!(node = %id, %error, "a node's actor could not be started");
    }
}
