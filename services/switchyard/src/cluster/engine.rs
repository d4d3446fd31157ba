//! `switchyard engine`: owns organisations, calls their nodes, and answers the other pods of its cluster.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use bootstrap::{
    Advertised, AgreedClock, Config, Exit, PodName, Settings, Signals, Telemetry,
    files::FolderLock,
    watch::{Check, Watched},
};
use clap::Args;
use engine::{Engine, Membership};
use placement::{ClusterSecret, Forward, Owners, ServeError, Served};
use ports::Wakes;
use serde_json::Value;
use store::Postgres;
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::sleep};

use super::{hints, secret};
use crate::{
    door::{listener_failed, told},
    failure::{Failure, chain},
    listeners,
    output::Output,
    presence::Presence,
    process::{self, Process},
    ready,
    settings::Common,
    stores,
};

/// A life that does not begin is tried again so long after.
const NEXT_LIFE_AFTER: Duration = Duration::from_secs(1);

/// Every setting is also a key of the configuration file (`engine_listen`) and a variable of the
/// environment (`SWITCHYARD_ENGINE_LISTEN`). `SWITCHYARD_CLUSTER_SECRET` and `SWITCHYARD_SEAL_KEYS` are in the
/// environment only.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    common: Common,
    /// Where the other pods call; port 0: a free one [default: 127.0.0.1:7402].
    #[arg(long, value_name = "ADDRESS")]
    engine_listen: Option<SocketAddr>,
    /// Where the other pods reach this one [default: where it listens].
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<Advertised>,
    /// The same in this pod's next life, and of no other pod [default: where the others reach it].
    #[arg(long, value_name = "POD")]
    name: Option<PodName>,
}

pub(crate) async fn run(flags: Flags, out: &Output) -> Result<Exit, Failure> {
    let leash = flags.common.leash();
    let own = Settings {
        engine_listen: flags.engine_listen,
        advertise: flags.advertise,
        name: flags.name,
        ..Settings::default()
    };
    let (config, telemetry) = flags.common.load(own, Settings::default())?;
    let signals = Signals::catch().map_err(Failure::bug)?;
    let lock = FolderLock::take(&config.data)?;
    let listener = listeners::bind(config.engine_listen.address()).await?;
    process::run(Pod::start(&config, lock, listener, telemetry), signals, leash, out).await
}

/// A running engine, life after life.
struct Pod {
    store: Arc<Postgres>,
    wakes: Arc<dyn Wakes>,
    network: domain::Network,
    membership: Membership,
    life: Option<Engine>,
    served: watch::Sender<Option<Served>>,
    watched: Arc<Lives>,
    servers: JoinSet<Result<(), ServeError>>,
    stop: watch::Sender<bool>,
    presence: Presence,
    ready: ready::Engine,
}

impl Pod {
    async fn start(
        config: &Config,
        lock: FolderLock,
        listener: TcpListener,
        telemetry: Telemetry,
    ) -> Result<Pod, Failure> {
        let secret = secret()?;
        let metrics = listeners::bind_metrics(config).await?;
        let ready = describe(config, &listener, metrics.as_ref())?;
        let presence = Presence::begin(config, lock, metrics, telemetry)?;
        let store = stores::shared(config).await?;
        let membership = membership(&ready, &store, secret.clone());
        let (served, stop) = (watch::Sender::new(None), watch::Sender::new(false));
        let mut servers = JoinSet::new();
        servers.spawn(placement::serve(listener, served.subscribe(), secret, told(&stop)));
        let wakes = hints::of_engine(config)?;
        let mut pod = Pod {
            store,
            wakes,
            network: config.network,
            membership,
            life: None,
            served,
            watched: Arc::default(),
            servers,
            stop,
            presence,
            ready,
        };
        let engine = pod.begin().await?;
        pod.lives(engine);
        pod.presence.serves(&pod.ready, pod.watched.clone())?;
        Ok(pod)
    }

    async fn begin(&self) -> Result<Engine, engine::StartError> {
        let settings = engine::Config {
            network: self.network,
            clock: Arc::<AgreedClock>::default(),
            membership: Some(self.membership.clone()),
            wakes: self.wakes.clone(),
        };
        Engine::start(self.store.clone(), settings).await
    }

    fn lives(&mut self, engine: Engine) {
        self.served.send_replace(Some(Served {
            orgs: engine.orgs(),
            peers: engine.peers(),
            operations: engine.operations(),
            seal: self.store.clone(),
        }));
        self.watched.set(Some(engine.watched()));
        self.life = Some(engine);
    }

    /// Others have taken over what it owned, as it was paused or cut off for longer than its lease. Whatever
    /// it still has in memory counts for nothing: it begins again with nothing.
    async fn begin_again(&mut self) {
        self.served.send_replace(None);
        self.watched.set(None);
        if let Some(over) = self.life.take() {
            over.stop().await;
        }
        loop {
            match self.begin().await {
                Ok(engine) => return self.lives(engine),
                Err(error) => tracing::error!(error = chain(&error), "no new life yet"),
            }
            sleep(NEXT_LIFE_AFTER).await;
        }
    }
}

fn membership(ready: &ready::Engine, store: &Arc<Postgres>, secret: ClusterSecret) -> Membership {
    let owners = Owners::begin(store.clone());
    Membership {
        cluster: store.clone(),
        name: ready.name.clone(),
        address: ready.advertised.clone(),
        peers: Arc::new(Forward::new(owners, secret, store.clone(), store.clone())),
    }
}

fn describe(
    config: &Config,
    listener: &TcpListener,
    metrics: Option<&TcpListener>,
) -> Result<ready::Engine, Failure> {
    let address = listeners::local_address(listener)?;
    let advertised = match &config.advertise {
        Some(advertised) => advertised.address().to_owned(),
        None if address.ip().is_unspecified() => {
            let message = format!(
                "{address} is no address to call: say with --advertise host:port \
                                   where other pods reach this one"
            );
            return Err(Failure::invalid(message));
        }
        None => address.to_string(),
    };
    Ok(ready::Engine {
        engine_address: address,
        name: config.name.as_ref().map_or(advertised.clone(), |name| name.text().to_owned()),
        advertised,
        process: ready::Process::of(config, metrics)?,
    })
}

impl Process for Pod {
    fn told(&self) -> Result<(Value, String), Failure> {
        let ready::Engine { name, engine_address, advertised, .. } = &self.ready;
        tracing::info!(name, %engine_address, advertised, "serving");
        let document = serde_json::to_value(&self.ready).map_err(Failure::bug)?;
        Ok((document, format!("engine {name} serves the other pods at {engine_address}")))
    }

    async fn failed(&mut self) -> Failure {
        loop {
            let over = async {
                if let Some(engine) = &self.life {
                    engine.taken_over().await;
                }
            };
            tokio::select! {
                ended = self.servers.join_next() => return listener_failed(ended),
                () = over => {}
            }
            tracing::error!("this pod's lease was over; it begins a new life");
            self.begin_again().await;
        }
    }

    /// What it owns goes to the others first, and whoever still asks here is told where it has gone.
    async fn stop(mut self) -> Result<(), Failure> {
        self.presence.is_stopping()?;
        if let Some(engine) = self.life.take() {
            engine.stop().await;
        }
        self.stop.send_replace(true);
        while let Some(ended) = self.servers.join_next().await {
            if let Ok(Err(error)) = ended {
                tracing::warn!(error = chain(&error), "a listener did not end well");
            }
        }
        self.presence.end().await;
        Ok(())
    }
}

/// Whichever life it is.
#[derive(Default)]
struct Lives(RwLock<Option<Arc<dyn Watched>>>);

impl Lives {
    fn set(&self, watched: Option<Arc<dyn Watched>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = watched;
    }

    fn now(&self) -> Option<Arc<dyn Watched>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Watched for Lives {
    async fn observe(&self) {
        if let Some(life) = self.now() {
            life.observe().await;
        }
    }

    async fn checks(&self) -> Vec<Check> {
        match self.now() {
            Some(life) => life.checks().await,
            None => {
                let failure = Some("it was over, and a new one is not granted yet".to_owned());
                vec![Check { name: "lease", failure }]
            }
        }
    }
}
