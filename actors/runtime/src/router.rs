//! The router pool: a factory of workers that score nodes and call `domain::routing`.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    NodeId,
    routing::{self, Candidate, Wanted},
};
use ractor::{
    Actor, ActorCell, ActorProcessingErr, ActorRef, RpcReplyPort, SpawnErr,
    factory::{
        DiscardSettings, Factory, FactoryArguments, FactoryMessage, Job, JobOptions, Worker,
        WorkerBuilder, WorkerId, queues::DefaultQueue, routing::QueuerRouting,
    },
};

use crate::limits;

/// One payment to find nodes for.
pub(crate) struct Choice {
    candidates: Arc<[Candidate]>,
    wanted: Wanted,
    reply: RpcReplyPort<Vec<NodeId>>,
}

type Messages = FactoryMessage<(), Choice>;

/// The way into the pool.
pub(crate) struct Router {
    factory: ActorRef<Messages>,
}

impl Router {
    pub(crate) async fn start(root: ActorCell) -> Result<Router, SpawnErr> {
        let pool = Factory::<
            (),
            Choice,
            (),
            RouterWorker,
            QueuerRouting<(), Choice>,
            DefaultQueue<(), Choice>,
        >::default();
        let arguments = FactoryArguments {
            worker_builder: Box::new(Builder),
            num_initial_workers: limits::ROUTER_WORKERS,
            router: QueuerRouting::default(),
            queue: DefaultQueue::default(),
            discard_handler: None,
            // Admission is at the lane; what has been let in is routed.
            discard_settings: DiscardSettings::None,
            dead_mans_switch: None,
            capacity_controller: None,
            lifecycle_hooks: None,
            stats: None,
        };
        let (factory, _) = Actor::spawn_linked(None, pool, arguments, root).await?;
        Ok(Router { factory })
    }

    /// Usable nodes, best first. Empty when the pool is gone: no node, no payment.
    pub(crate) async fn choose(&self, candidates: Arc<[Candidate]>, wanted: Wanted) -> Vec<NodeId> {
        let (reply, plan) = ractor::concurrency::oneshot();
        let choice = Choice { candidates, wanted, reply: reply.into() };
        let job = Job { key: (), msg: choice, options: JobOptions::default(), accepted: None };
        if self.factory.cast(FactoryMessage::Dispatch(job)).is_err() {
            return Vec::new();
        }
        plan.await.unwrap_or_default()
    }
}

pub(crate) struct RouterWorker;

struct Builder;

impl WorkerBuilder<RouterWorker, ()> for Builder {
    fn build(&mut self, _: WorkerId) -> (RouterWorker, ()) {
        (RouterWorker, ())
    }
}

#[async_trait]
impl Worker for RouterWorker {
    type Key = ();
    type Message = Choice;
    type State = ();
    type Arguments = ();

    async fn pre_start(
        &self,
        _: WorkerId,
        _: &ActorRef<Messages>,
        (): (),
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(
        &self,
        _: WorkerId,
        _: &ActorRef<Messages>,
        job: Job<(), Choice>,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let Choice { candidates, wanted, reply } = job.msg;
        // The caller may have given up.
        let _ = reply.send(routing::choose(&candidates, wanted));
        Ok(())
    }
}
