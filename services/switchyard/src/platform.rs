//! The whole platform in one process: store, engine and both listeners.

use std::sync::Arc;

use bootstrap::{
    AgreedClock, Config, Exit, StoreChoice, SystemClock, Telemetry, files::FolderLock,
};
use engine::{Engine, StartError, Store};
use gateway::{Gateway, RateLimit};
use placement::Bell;
use ports::{Clock, Wakes};
use store::Sqlite;

use crate::{
    door::{self, AdminSecret, Door},
    failure::{Failure, chain},
    listeners::Listeners,
    presence::Presence,
    ready, stores,
};

/// A running platform. Stop it with `stop`; killed, it loses nothing that was acknowledged.
pub(crate) struct Platform {
    engine: Engine,
    door: Door,
    presence: Presence,
    ready: ready::Platform,
}

impl Platform {
    /// Starts everything and, once it serves, says where in the ready file.
    pub(crate) async fn start(
        config: &Config,
        lock: FolderLock,
        listeners: Listeners,
        telemetry: Telemetry,
    ) -> Result<Platform, Failure> {
        let Listeners { public, admin, metrics } = listeners;
        let secret = AdminSecret::find(config)?;
        let token_file = secret.file.clone();
        let ready = ready::Platform::of(config, &public, &admin, metrics.as_ref(), token_file)?;
        let presence = Presence::begin(config, lock, metrics, telemetry)?;
        door::warn_if_exposed(ready.admin_address);
        let (engine, gateway) = open_store(config).await?;
        let admin_token = secret.text.clone();
        let door = Door::open(public, admin, gateway, secret);
        let with_token = ready::WithToken { platform: &ready, admin_token: &admin_token };
        presence.serves(&with_token, engine.watched())?;
        Ok(Platform { engine, door, presence, ready })
    }

    pub(crate) fn ready(&self) -> &ready::Platform {
        &self.ready
    }

    /// Returns when a listener has ended that was not told to, or another process has taken over.
    pub(crate) async fn failed(&mut self) -> Failure {
        tokio::select! {
            failure = self.door.failed() => failure,
            () = self.engine.taken_over() => {
                let why = "another process has taken over the database; this one is of no more use";
                Failure::new(Exit::AlreadyRunning, "taken_over", why.to_owned())
            }
        }
    }

    /// Takes no more calls, lets those under way end, and puts everything down in order.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.presence.is_stopping()?;
        self.door.close().await;
        self.engine.stop().await;
        self.presence.end().await;
        Ok(())
    }
}

async fn open_store(config: &Config) -> Result<(Engine, Gateway), Failure> {
    match &config.store {
        StoreChoice::Sqlite => {
            let keys = stores::given_keys();
            let store = Sqlite::open(
                &config.data,
                keys.as_deref(),
                Arc::new(SystemClock),
                config.lease_ms,
            )?;
            start_engine(config, store).await
        }
        StoreChoice::Postgres(url) => {
            let store = stores::connect(config, url).await?;
            start_engine(config, store).await
        }
    }
}

async fn start_engine<S: Store + 'static>(
    config: &Config,
    store: Arc<S>,
) -> Result<(Engine, Gateway), Failure> {
    let clock: Arc<dyn Clock> = Arc::<AgreedClock>::default();
    let wakes: Arc<dyn Wakes> = Arc::new(Bell::default());
    let settings = engine::Config {
        network: config.network,
        clock: clock.clone(),
        membership: None,
        wakes: wakes.clone(),
    };
    let engine = Engine::start(store.clone(), settings).await?;
    let gateway = Gateway {
        orgs: engine.orgs(),
        reads: store.clone(),
        directory: store.clone(),
        idempotency: store,
        operations: engine.operations(),
        session: engine.session(),
        clock,
        network: config.network,
        rate_limit: RateLimit::per_second(config.calls_per_second),
        wakes,
        counts: None,
    };
    Ok((engine, gateway))
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        let message = format!("the engine cannot start: {}", chain(&error));
        match error {
            StartError::Platform(runtime::StartError::OtherNetwork { .. }) => {
                Failure::new(Exit::Invalid, "other_network", message)
            }
            StartError::Platform(runtime::StartError::NameTaken(_)) => {
                Failure::new(Exit::AlreadyRunning, "name_taken", message)
            }
            StartError::Platform(runtime::StartError::Store(error)) => {
                Failure::new(error.class().into(), "store_unusable", message)
            }
            StartError::Platform(_) => Failure::new(Exit::Unavailable, "unavailable", message),
            StartError::NoRandomness(_) => Failure::new(Exit::Bug, "internal", message),
        }
    }
}
