//! `switchyard gateway`: the door of a cluster. It keeps nothing and owns nothing; any number of them may run.

use std::sync::Arc;

use async_trait::async_trait;
use bootstrap::{
    Config, Exit, Settings, Signals, SystemClock, Telemetry,
    files::FolderLock,
    random,
    watch::{Check, Watched},
};
use codec::READS;
use domain::SessionId;
use gateway::{Gateway, RateLimit};
use placement::{Announced, Forward, Owners};
use ports::{Directory as _, StoreError, placement::Reader};
use serde_json::Value;
use store::Postgres;

use super::{
    hints::{self, Hints},
    secret,
};
use crate::{
    door::{self, AdminSecret, Door},
    failure::Failure,
    listeners::Listeners,
    output::Output,
    presence::Presence,
    process::{self, Process},
    ready,
    standalone::Flags,
    stores,
};

pub(crate) async fn run(flags: Flags, out: &Output) -> Result<Exit, Failure> {
    let leash = flags.leash();
    let (config, telemetry) = flags.load(Settings::default())?;
    let signals = Signals::catch().map_err(Failure::bug)?;
    let lock = FolderLock::take(&config.data)?;
    let listeners = Listeners::bind(&config).await?;
    process::run(Front::start(&config, lock, listeners, telemetry), signals, leash, out).await
}

struct Front {
    door: Door,
    announced: Announced,
    presence: Presence,
    ready: ready::Platform,
}

impl Front {
    async fn start(
        config: &Config,
        lock: FolderLock,
        listeners: Listeners,
        telemetry: Telemetry,
    ) -> Result<Front, Failure> {
        let Listeners { public, admin, metrics } = listeners;
        let cluster_secret = secret()?;
        let admin_secret = AdminSecret::find(config)?;
        let token_file = admin_secret.file.clone();
        let ready = ready::Platform::of(config, &public, &admin, metrics.as_ref(), token_file)?;
        let presence = Presence::begin(config, lock, metrics, telemetry)?;
        door::warn_if_exposed(ready.admin_address);
        let store = stores::shared(config).await?;
        same_network(config, &store).await?;
        let session = SessionId::new(random::uuid()?);
        let announced = announce(&ready, session, &store).await?;
        let owners = Owners::begin(store.clone());
        owners.are_known().await;
        let forward = Forward::new(owners.clone(), cluster_secret, store.clone(), store.clone());
        let forward = Arc::new(forward);
        let Hints { wakes, counts } = hints::of_gateway(config)?;
        let gateway = Gateway {
            orgs: forward.clone(),
            reads: store.clone(),
            directory: store.clone(),
            idempotency: store,
            operations: forward,
            clock: Arc::new(SystemClock),
            network: config.network,
            rate_limit: RateLimit::per_second(config.calls_per_second),
            wakes,
            counts,
            session,
        };
        let admin_token = admin_secret.text.clone();
        let door = Door::open(public, admin, gateway, admin_secret);
        let with_token = ready::WithToken { platform: &ready, admin_token: &admin_token };
        presence.serves(&with_token, Arc::new(Ways(owners)))?;
        Ok(Front { door, announced, presence, ready })
    }
}

/// It shows events to customers, so none may be written that it cannot read.
async fn announce(
    ready: &ready::Platform,
    session: SessionId,
    store: &Arc<Postgres>,
) -> Result<Announced, Failure> {
    let name = format!("gateway {}", ready.address);
    let announced = Announced::begin(store.clone(), Reader { session, name, reads: READS }).await;
    announced.map_err(store_unusable)
}

fn store_unusable(error: StoreError) -> Failure {
    Failure::new(error.class().into(), "store_unusable", error.to_string())
}

/// What would be refused by every engine is refused at the door.
async fn same_network(config: &Config, store: &Postgres) -> Result<(), Failure> {
    let nodes = store.nodes().await.map_err(store_unusable)?;
    match nodes.iter().find(|node| node.network != config.network) {
        None => Ok(()),
        Some(node) => {
            let (found, wanted) = (node.network.name(), config.network.name());
            let message =
                format!("node {} is on {found}, and this was started for {wanted}", node.name);
            Err(Failure::new(Exit::Invalid, "other_network", message))
        }
    }
}

impl Process for Front {
    fn told(&self) -> Result<(Value, String), Failure> {
        let ready = &self.ready;
        tracing::info!(address = %ready.address, admin = %ready.admin_address, "serving");
        let document = serde_json::to_value(ready).map_err(Failure::bug)?;
        Ok((document, format!("a gateway of switchyard serves at {}", ready.address)))
    }

    async fn failed(&mut self) -> Failure {
        self.door.failed().await
    }

    async fn stop(self) -> Result<(), Failure> {
        self.presence.is_stopping()?;
        self.door.close().await;
        self.announced.end().await;
        self.presence.end().await;
        Ok(())
    }
}

/// Whether a gateway knows where to go.
struct Ways(Arc<Owners>);

#[async_trait]
impl Watched for Ways {
    async fn observe(&self) {}

    async fn checks(&self) -> Vec<Check> {
        let nobody = self.0.map().pods.is_empty().then(|| "none is known".to_owned());
        vec![
            Check { name: "store", failure: self.0.failure().map(str::to_owned) },
            Check { name: "engines", failure: nobody },
        ]
    }
}
