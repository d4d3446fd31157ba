//! The whole platform in one process: store, engine and both listeners.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use bootstrap::{
    Config, Exit, Listen, StoreChoice, SystemClock, Telemetry,
    files::{self, FolderLock},
    random,
    watch::Watching,
};
use engine::{Engine, StartError, Store};
use gateway::{AdminToken, Gateway, RateLimit, ServeError};
use ports::{Clock, StoreError};
use store::{Postgres, SealKeys, Sqlite, postgres, sqlite};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{
    failure::{Failure, chain},
    ready,
};

const SEAL_KEYS: &str = "SWITCHYARD_SEAL_KEYS";

/// Ports that are ours from now on: for customers, for the operator, for whoever watches.
pub(crate) struct Listeners {
    public: TcpListener,
    admin: TcpListener,
    metrics: Option<TcpListener>,
}

/// A running platform. Stop it with `stop`; killed, it loses nothing that was acknowledged.
pub(crate) struct Platform {
    engine: Engine,
    servers: JoinSet<Result<(), ServeError>>,
    stop: watch::Sender<bool>,
    ready: ready::Platform,
    ready_files: Vec<PathBuf>,
    /// Until everything else has stopped.
    watching: Option<Watching>,
    telemetry: Telemetry,
    _lock: FolderLock,
}

impl Listeners {
    pub(crate) async fn bind(config: &Config) -> Result<Listeners, Failure> {
        Ok(Listeners {
            public: bind(config.listen.address()).await?,
            admin: bind(config.admin_listen.address()).await?,
            metrics: bind_metrics(config).await?,
        })
    }

    /// The ports asked for; where nobody asked and the usual ones are taken, others.
    pub(crate) async fn bind_near(config: &Config) -> Result<Listeners, Failure> {
        Ok(Listeners {
            public: bind_near(config.listen).await?,
            admin: bind_near(config.admin_listen).await?,
            metrics: bind_metrics(config).await?,
        })
    }

    fn metrics_address(&self) -> Result<Option<SocketAddr>, Failure> {
        self.metrics.as_ref().map(TcpListener::local_addr).transpose().map_err(Failure::bug)
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new(Exit::Unavailable, "address_unusable", format!("{address}: {error}"))
    })
}

async fn bind_metrics(config: &Config) -> Result<Option<TcpListener>, Failure> {
    match config.metrics_listen {
        Some(address) => bind(address).await.map(Some),
        None => Ok(None),
    }
}

async fn bind_near(listen: Listen) -> Result<TcpListener, Failure> {
    match (listen, bind(listen.address()).await) {
        (Listen::Usual(address), Err(_)) => bind(SocketAddr::new(address.ip(), 0)).await,
        (Listen::Usual(_) | Listen::Asked(_), bound) => bound,
    }
}

impl Platform {
    /// Starts everything and, once it serves, says where in the ready file.
    pub(crate) async fn start(
        config: &Config,
        lock: FolderLock,
        listeners: Listeners,
        telemetry: Telemetry,
    ) -> Result<Platform, Failure> {
        // The lock is ours: a ready file can only be of an earlier life.
        let ready_files = ready_files(config);
        ready_files.iter().try_for_each(|file| files::remove(file))?;
        let token_file = config.data.join(ready::ADMIN_TOKEN_FILE);
        let secret = admin_secret(&token_file)?;
        let token = AdminToken::new(&secret)
            .map_err(|error| Failure::invalid(format!("{}: {error}", token_file.display())))?;
        let ready = ready::Platform {
            address: listeners.public.local_addr().map_err(Failure::bug)?,
            admin_address: listeners.admin.local_addr().map_err(Failure::bug)?,
            admin_token_file: token_file,
            metrics_address: listeners.metrics_address()?,
            data: config.data.clone(),
            pid: std::process::id(),
            network: config.network.name().to_owned(),
            store: store_name(&config.store).to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        if !ready.admin_address.ip().is_loopback() {
            let address = ready.admin_address;
            tracing::warn!(%address, "the operator's token travels unencrypted");
        }
        let watching = match (listeners.metrics, telemetry.metrics.clone()) {
            (Some(listener), Some(metrics)) => Some(Watching::begin(listener, metrics)),
            (None, _) | (_, None) => None,
        };
        let (engine, gateway) = open_store(config).await?;
        let stop = watch::Sender::new(false);
        let mut servers = JoinSet::new();
        let public = gateway::serve_public(listeners.public, gateway.clone(), told(&stop));
        servers.spawn(public);
        servers.spawn(gateway::serve_admin(listeners.admin, gateway, token, told(&stop)));
        let with_token = ready::WithToken { platform: &ready, admin_token: &secret };
        ready_files.iter().try_for_each(|file| ready::write(file, &with_token))?;
        if let Some(watching) = &watching {
            watching.of(engine.watched());
        }
        Ok(Platform { engine, servers, stop, ready, ready_files, watching, telemetry, _lock: lock })
    }

    pub(crate) fn ready(&self) -> &ready::Platform {
        &self.ready
    }

    /// Returns when a listener has ended that was not told to, or another process has taken over.
    pub(crate) async fn failed(&mut self) -> Failure {
        let ended = tokio::select! {
            ended = self.servers.join_next() => ended,
            () = self.engine.taken_over() => {
                let why = "another process has taken over the database; this one is of no more use";
                return Failure::new(Exit::AlreadyRunning, "taken_over", why.to_owned());
            }
        };
        let why = match ended {
            Some(Ok(Err(error))) => chain(&error),
            Some(Err(error)) => chain(&error),
            Some(Ok(Ok(()))) | None => "it ended".to_owned(),
        };
        Failure::new(Exit::Bug, "internal", format!("a listener failed: {why}"))
    }

    /// Takes no more calls, lets those under way end, and puts everything down in order.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        self.ready_files.iter().try_for_each(|file| files::remove(file))?;
        if let Some(watching) = &self.watching {
            watching.is_stopping();
        }
        self.stop.send_replace(true);
        while let Some(ended) = self.servers.join_next().await {
            if let Ok(Err(error)) = ended {
                tracing::warn!(error = chain(&error), "a listener did not end well");
            }
        }
        self.engine.stop().await;
        if let Some(watching) = self.watching {
            watching.end().await;
        }
        self.telemetry.end().await;
        Ok(())
    }
}

fn told(stop: &watch::Sender<bool>) -> impl Future<Output = ()> + use<> {
    let mut stop = stop.subscribe();
    async move {
        // The sender lives as long as the platform; gone, it is time to stop as well.
        drop(stop.wait_for(|stop| *stop).await);
    }
}

/// In the data folder, where every command looks, and where else it was asked for.
fn ready_files(config: &Config) -> Vec<PathBuf> {
    let own = config.data.join(ready::FILE);
    let asked = std::path::absolute(&config.ready_file).unwrap_or(config.ready_file.clone());
    if asked == own { vec![own] } else { vec![own, asked] }
}

fn admin_secret(file: &Path) -> Result<String, Failure> {
    if !file.exists() {
        files::write_secret(file, &random::token()?)?;
    }
    Ok(files::read_secret(file)?)
}

fn store_name(choice: &StoreChoice) -> &'static str {
    match choice {
        StoreChoice::Sqlite => "sqlite",
        StoreChoice::Postgres(_) => "postgres",
    }
}

async fn open_store(config: &Config) -> Result<(Engine, Gateway), Failure> {
    let keys = std::env::var(SEAL_KEYS).ok();
    match &config.store {
        StoreChoice::Sqlite => {
            let store = Sqlite::open(&config.data, keys.as_deref(), Arc::new(SystemClock))?;
            start_engine(config, store).await
        }
        StoreChoice::Postgres(url) => {
            let store = connect(url, keys, &config.data).await?;
            start_engine(config, store).await
        }
    }
}

/// A database elsewhere is sealed with the keys given, or with those of the data folder, which are
/// made for a database that has none yet.
async fn connect(url: &str, given: Option<String>, data: &Path) -> Result<Arc<Postgres>, Failure> {
    if let Some(keys) = given {
        return Ok(Postgres::connect(url, Some(&keys)).await?);
    }
    let file = data.join(store::seal::KEYS_FILE);
    let made = !file.exists();
    SealKeys::find(None, data, made).map_err(|error| sealed(&error))?;
    let keys = files::read_secret(&file)?;
    let connected = Postgres::connect(url, Some(&keys)).await;
    if made && matches!(connected, Err(postgres::OpenError::Seal(_))) {
        // The database was sealed with another key: one that never sealed must not lie about.
        files::remove(&file)?;
    }
    Ok(connected?)
}

async fn start_engine<S: Store + 'static>(
    config: &Config,
    store: Arc<S>,
) -> Result<(Engine, Gateway), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let settings =
        engine::Config { network: config.network, clock: clock.clone(), membership: None };
    let engine = Engine::start(store.clone(), settings).await?;
    let gateway = Gateway {
        orgs: engine.orgs(),
        reads: store.clone(),
        directory: store.clone(),
        idempotency: store,
        operations: engine.operations(),
        clock,
        network: config.network,
        rate_limit: RateLimit::per_second(config.calls_per_second),
    };
    Ok((engine, gateway))
}

fn sealed(error: &store::SealError) -> Failure {
    let message = format!("{}; the keys are in {SEAL_KEYS}, or in seal.keys", chain(error));
    Failure::new(Exit::Invalid, "seal_keys_invalid", message)
}

impl From<sqlite::OpenError> for Failure {
    fn from(error: sqlite::OpenError) -> Failure {
        let message = chain(&error);
        match error {
            sqlite::OpenError::InUse(_) => {
                Failure::new(Exit::AlreadyRunning, "already_running", message)
            }
            sqlite::OpenError::Seal(error) => sealed(&error),
            sqlite::OpenError::NewerSchema { .. } => {
                Failure::new(Exit::Invalid, "store_newer", message)
            }
            sqlite::OpenError::Store(StoreError::Corrupt(_)) => {
                let message = format!("{message}; put a copy of the data folder back");
                Failure::new(Exit::Bug, "store_corrupt", message)
            }
            sqlite::OpenError::Store(error) => {
                Failure::new(error.class().into(), "store_unusable", message)
            }
            sqlite::OpenError::Folder(_)
            | sqlite::OpenError::NoWriteAheadLog(_)
            | sqlite::OpenError::Sql(_) => {
                Failure::new(Exit::Unavailable, "store_unusable", message)
            }
        }
    }
}

impl From<postgres::OpenError> for Failure {
    fn from(error: postgres::OpenError) -> Failure {
        let message = chain(&error);
        match error {
            postgres::OpenError::BadUrl(_) => Failure::invalid(message),
            postgres::OpenError::Seal(error) => sealed(&error),
            postgres::OpenError::NewerSchema { .. } => {
                Failure::new(Exit::Invalid, "store_newer", message)
            }
            postgres::OpenError::Store(error) => {
                Failure::new(error.class().into(), "store_unusable", message)
            }
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        let message = format!("the engine cannot start: {}", chain(&error));
        match error {
            StartError::Platform(runtime::StartError::OtherNetwork { .. }) => {
                Failure::new(Exit::Invalid, "other_network", message)
            }
            StartError::Platform(runtime::StartError::Store(error)) => {
                Failure::new(error.class().into(), "store_unusable", message)
            }
            StartError::Platform(_) => Failure::new(Exit::Unavailable, "unavailable", message),
            StartError::NoRandomness(_) => Failure::new(Exit::Bug, "internal", message),
        }
    }
}
