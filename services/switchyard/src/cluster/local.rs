//! `switchyard cluster`: a whole cluster on this machine, onboarded and ready to pay, and to be broken.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use bootstrap::{
    Exit, Signals,
    files::{self, FolderLock},
    log, random,
};
use clap::Args;
use proto::admin::v1::PodsResponse;
use tokio::{
    net::TcpListener,
    time::{Instant, sleep},
};

use super::{CLUSTER_SECRET, guide, postgres};
use crate::{
    children::{Child, Spec},
    client::{Connection, Operator},
    demo::{network, onboard},
    door::ADMIN_TOKEN,
    failure::Failure,
    leash::Leash,
    names,
    output::Output,
    pods, ready,
    stores::SEAL_KEYS,
};

/// Beside the sources, and ignored by git.
const DATA: &str = "data/cluster";
/// What a person at a terminal wants to know; the guide says the rest.
const LOG: &str = "warn,h2=error,hyper=error,tonic=error,ractor=error";

const ENGINES: usize = 3;
const GATEWAYS: usize = 2;

/// Where customers and the operator call the first gateway, if nobody else is there.
const USUAL: [u16; 2] = [7_400, 7_401];

/// Every shard has its last owner by then.
const SPREADS_WITHIN: Duration = Duration::from_secs(30);
/// Engines look twice a second which shards they are to own.
const STANDS_STILL_FOR: Duration = Duration::from_millis(1_500);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Long enough to see that the others have taken over what a pod owned that was killed.
const START_AGAIN_AFTER: Duration = Duration::from_secs(15);

#[derive(Args)]
pub(crate) struct Flags {
    /// Everything that the cluster keeps is in here.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    data: PathBuf,
    /// Stop when stdin closes: a child does not outlive whoever started it.
    #[arg(long, hide = true)]
    while_stdin: bool,
}

pub(crate) async fn run(flags: Flags, out: &Output) -> Result<Exit, Failure> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| LOG.to_owned());
    log::start(&filter, log::Format::Text)?;
    files::private_folder(&flags.data)?;
    let unusable = |error| files::FileError::Io { path: flags.data.clone(), source: error };
    let data = flags.data.canonicalize().map_err(unusable)?;
    let mut signals = Signals::catch().map_err(Failure::bug)?;
    let mut leash = Leash::new(flags.while_stdin);
    let _lock = FolderLock::take(&data)?;

    let mut all = Cluster::nothing(data)?;
    let began = tokio::select! {
        began = all.begin(out) => began,
        _ = signals.asked() => Ok(false),
        () = leash.let_go() => Ok(false),
    };
    let mut outcome = Ok(Exit::Done);
    match began {
        Ok(true) => tokio::select! {
            _ = signals.asked() => {}
            () = leash.let_go() => {}
            failure = all.keep(out) => outcome = Err(failure),
        },
        Ok(false) => {}
        Err(failure) => outcome = Err(failure),
    }
    out.say("stopping; everything is kept");
    tokio::select! {
        () = all.stop() => outcome,
        _ = signals.asked() => Ok(Exit::Interrupted),
    }
}

/// Whatever of it runs.
struct Cluster {
    data: PathBuf,
    secrets: Secrets,
    database: Option<postgres::Server>,
    network: Option<network::Child>,
    pods: Vec<Child>,
}

/// Drawn once, so that what is stored can be read again.
struct Secrets {
    cluster: String,
    seal_keys: String,
    admin_token: String,
}

impl Secrets {
    fn find(data: &Path) -> Result<Secrets, Failure> {
        let secret = |name: &str, prefix: &str| -> Result<String, Failure> {
            let file = data.join(name);
            if !file.exists() {
                files::write_secret(&file, &format!("{prefix}{}", random::token()?))?;
            }
            Ok(files::read_secret(&file)?)
        };
        Ok(Secrets {
            cluster: secret("cluster.secret", "")?,
            seal_keys: secret("seal.keys", "first:")?,
            admin_token: secret(ready::ADMIN_TOKEN_FILE, "")?,
        })
    }
}

impl Cluster {
    fn nothing(data: PathBuf) -> Result<Cluster, Failure> {
        let secrets = Secrets::find(&data)?;
        Ok(Cluster { data, secrets, database: None, network: None, pods: Vec::new() })
    }

    async fn begin(&mut self, out: &Output) -> Result<bool, Failure> {
        out.say("starting PostgreSQL");
        let database = postgres::Server::start(&self.data).await?;
        let url = database.url();
        self.database = Some(database);
        out.say("starting the simulated Lightning network");
        let network = network::Child::start(&self.data).await?;
        let lightning = network.ready()?;
        self.network = Some(network);
        for number in 1..=ENGINES {
            out.say(&format!("starting engine-{number}"));
            let spec = self.engine(&format!("engine-{number}"), &url);
            self.pods.push(Child::start(spec).await?);
        }
        for number in 1..=GATEWAYS {
            out.say(&format!("starting gateway-{number}"));
            let ports = if number == 1 { usual_or_free().await } else { [0, 0] };
            let spec = self.gateway(&format!("gateway-{number}"), &url, ports);
            self.pods.push(Child::start(spec).await?);
        }
        self.invite(&lightning, out).await?;
        Ok(true)
    }

    /// Makes everything that a first payment needs, and shows how to make it and whom to kill.
    async fn invite(&self, lightning: &ready::Network, out: &Output) -> Result<(), Failure> {
        let first = self.folder("gateway-1");
        let to = Connection::of(first.clone());
        let house = onboard::onboard(&to, &first, lightning, out).await?;
        let mut operator = to.operator().await?;
        let placed = spread(&mut operator, &house.organisation_id).await?;
        let Some(network) = &self.network else { return Ok(()) };
        let (id, invoice) = (names::id_or_new(None)?, network.invoice().await?);
        let gateways = self.pods.iter().filter(|pod| pod.what().starts_with("gateway"));
        let gateways: Result<Vec<ready::Platform>, Failure> =
            gateways.map(|pod| ready::read(&pod.ready_file(), pod.what())).collect();
        let pids: Vec<guide::Process> = self
            .pods
            .iter()
            .filter_map(|pod| Some(guide::Process { name: pod.what().to_owned(), pid: pod.pid()? }))
            .collect();
        let pay = crate::demo::guide::FirstPayment { id, invoice };
        guide::show(&self.data, &gateways?, &pids, &placed, &house, &pay, out);
        Ok(())
    }

    /// Starts pods again that somebody has killed; returns when that does not work.
    async fn keep(&mut self, out: &Output) -> Failure {
        let (Some(database), Some(network)) = (&mut self.database, &mut self.network) else {
            return Failure::new(Exit::Bug, "internal", "the cluster has not begun");
        };
        let pods = self.pods.iter_mut().map(|pod| Box::pin(keep_pod(pod, out)));
        tokio::select! {
            failure = database.failed() => failure,
            failure = network.keep(out) => failure,
            (failure, ..) = futures_util::future::select_all(pods) => failure,
        }
    }

    /// Those in front first, so that nothing is asked of what has gone.
    async fn stop(self) {
        for pod in self.pods.into_iter().rev() {
            pod.stop().await;
        }
        if let Some(network) = self.network {
            network.stop().await;
        }
        if let Some(database) = self.database {
            database.stop().await;
        }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    fn engine(&self, name: &str, url: &str) -> Spec {
        let arguments = ["engine", "--engine-listen", "127.0.0.1:0", "--name", name];
        self.pod(name, url, &arguments.map(str::to_owned))
    }

    fn gateway(&self, name: &str, url: &str, [public, admin]: [u16; 2]) -> Spec {
        let (public, admin) = (format!("127.0.0.1:{public}"), format!("127.0.0.1:{admin}"));
        let arguments = ["gateway", "--listen", public.as_str(), "--admin-listen", admin.as_str()];
        self.pod(name, url, &arguments.map(str::to_owned))
    }

    fn pod(&self, name: &str, url: &str, arguments: &[String]) -> Spec {
        let watched = ["--metrics-listen".to_owned(), "127.0.0.1:0".to_owned()];
        Spec {
            what: name.to_owned(),
            data: self.folder(name),
            log: self.data.join(format!("{name}.log")),
            arguments: arguments.iter().chain(&watched).map(Into::into).collect(),
            environment: vec![
                ("SWITCHYARD_STORE", url.to_owned()),
                (CLUSTER_SECRET, self.secrets.cluster.clone()),
                (SEAL_KEYS, self.secrets.seal_keys.clone()),
                (ADMIN_TOKEN, self.secrets.admin_token.clone()),
            ],
        }
    }
}

async fn keep_pod(pod: &mut Child, out: &Output) -> Failure {
    loop {
        let (how, what) = (pod.ended().await, pod.what().to_owned());
        let seconds = START_AGAIN_AFTER.as_secs();
        out.say(&format!("{what} ended ({how}); starting it again in {seconds} s"));
        sleep(START_AGAIN_AFTER).await;
        if let Err(failure) = pod.start_again().await {
            return failure;
        }
        let pid = pod.pid().map(|pid| pid.to_string()).unwrap_or_default();
        out.say(&format!("{what} is back, with pid {pid}"));
    }
}

/// Waits until every shard has an owner and none has moved for a while, so that what is printed stays so.
async fn spread(operator: &mut Operator, organisation_id: &str) -> Result<PodsResponse, Failure> {
    let began = Instant::now();
    let (mut since, mut before) = (began, None);
    loop {
        let placed = pods::ask(operator, organisation_id.to_owned()).await?;
        let now = Some(places(&placed));
        if now != before {
            (since, before) = (Instant::now(), now);
        }
        let owned = placed.shards_without_owner == 0 && !placed.owner_session_id.is_empty();
        let settled = owned && since.elapsed() > STANDS_STILL_FOR;
        if settled || began.elapsed() > SPREADS_WITHIN {
            return Ok(placed);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// How many shards each pod owns, and who owns the organisation asked for.
fn places(placed: &PodsResponse) -> (String, Vec<(String, u32)>) {
    let shares = placed.pods.iter().map(|pod| (pod.name.clone(), pod.shards));
    (placed.owner_session_id.clone(), shares.collect())
}

/// The usual ports, where both are free.
async fn usual_or_free() -> [u16; 2] {
    for port in USUAL {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).await.is_err() {
            return [0, 0];
        }
    }
    USUAL
}
