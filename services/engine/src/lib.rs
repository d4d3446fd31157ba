//! Hosts the actor tree: one store, every registered node, and what an operator may ask of them.

mod operations;
mod watched;

use std::sync::Arc;

use bootstrap::{random, watch::Watched};
use domain::{
    Network, Preimage, SessionId,
    payment::{FEE_LIMIT_DEFAULT_MIN_MSAT, FEE_LIMIT_DEFAULT_PPM},
};
use lightning_node::{Lnd, Settings as LndSettings};
use ports::{
    Clock, Directory, Guard, Idempotency, Journal, Operations, Orgs, Peers, Placement, Reads,
    Receipts, Wakes, lightning::NodeError,
};
pub use runtime::Membership;
use runtime::{Connect, Platform, Settings, Sockets};
use tokio::sync::Mutex;

/// One store, seen through every socket that it fills.
pub trait Store: Journal + Receipts + Reads + Directory + Guard + Placement + Idempotency {}

impl<S: Journal + Receipts + Reads + Directory + Guard + Placement + Idempotency> Store for S {}

/// Half a gigabyte of them (`make bench`, memory for a live organisation).
const ORGANISATIONS_IN_MEMORY: usize = 50_000;

pub struct Config {
    pub network: Network,
    pub clock: Arc<dyn Clock>,
    /// `None`: it is the only process of the installation.
    pub membership: Option<Membership>,
    /// Told of what is committed.
    pub wakes: Arc<dyn Wakes>,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Platform(#[from] runtime::StartError),
    #[error(transparent)]
    NoRandomness(#[from] random::NoRandomness),
}

/// A running engine.
pub struct Engine {
    session: SessionId,
    platform: Platform,
    operations: Arc<operations::Operator>,
    watched: Arc<dyn Watched>,
}

impl Engine {
    /// Starts every actor and carries on whatever is open in the store.
    pub async fn start<S: Store + 'static>(
        store: Arc<S>,
        config: Config,
    ) -> Result<Engine, StartError> {
        let sockets = Sockets {
            journal: store.clone(),
            receipts: store.clone(),
            reads: store.clone(),
            directory: store.clone(),
            guard: store.clone(),
            placement: store.clone(),
            wakes: config.wakes,
            clock: config.clock.clone(),
            connect: connect(config.clock.clone()),
            draw_preimage: Arc::new(draw_preimage),
        };
        let settings = Settings {
            network: config.network,
            default_fee_ppm: FEE_LIMIT_DEFAULT_PPM,
            default_fee_min_msat: FEE_LIMIT_DEFAULT_MIN_MSAT,
            organisations_in_memory: ORGANISATIONS_IN_MEMORY,
        };
        let session = SessionId::new(random::uuid()?);
        let platform = Platform::start(sockets, settings, session, config.membership).await?;
        let watched: Arc<dyn Watched> = Arc::new(watched::Gauges {
            platform: platform.clone(),
            guard: store.clone(),
            asked: Mutex::default(),
        });
        let operations = Arc::new(operations::Operator {
            platform: platform.clone(),
            directory: store.clone(),
            guard: store.clone(),
            placement: store,
            network: config.network,
            clock: config.clock,
            watched: watched.clone(),
        });
        Ok(Engine { session, platform, operations, watched })
    }

    /// As what this life of it is known to the store.
    pub fn session(&self) -> SessionId {
        self.session
    }

    pub fn orgs(&self) -> Arc<dyn Orgs> {
        Arc::new(self.platform.clone())
    }

    /// What other pods ask of the organisations that live here.
    pub fn peers(&self) -> Arc<dyn Peers> {
        Arc::new(self.platform.clone())
    }

    pub fn operations(&self) -> Arc<dyn Operations> {
        self.operations.clone()
    }

    /// Its gauges, and whether it is ready.
    pub fn watched(&self) -> Arc<dyn Watched> {
        self.watched.clone()
    }

    /// Returns when another process has taken over, and this one is of no more use.
    pub async fn taken_over(&self) {
        self.platform.taken_over().await;
    }

    /// Takes nothing new and finishes what is on its way to the store.
    pub async fn stop(&self) {
        self.platform.stop().await;
    }
}

fn connect(clock: Arc<dyn Clock>) -> Connect {
    Arc::new(move |record| match Lnd::connect(&LndSettings::from(record)) {
        Ok(lnd) => Ok(Arc::new(lnd.by(clock.clone()))),
        Err(error) => Err(NodeError::Unreachable(error.to_string())),
    })
}

/// A guessable preimage would let anyone claim to have paid: without randomness there is no invoice.
fn draw_preimage() -> Preimage {
    Preimage(random::bytes().expect("the system gives randomness once it has started"))
}
