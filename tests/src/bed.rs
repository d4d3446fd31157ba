//! A cluster on this machine.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use lightning_sim::control_proto::ClearFaultsRequest;
use proto::admin::v1::{PodsRequest, PodsResponse};
use tempfile::TempDir;
use tokio::time::{Duration, sleep, timeout};
use tonic::transport::Channel;

use crate::{
    postgres::{Backup, Postgres, Recovery},
    process::{Process, switchyard},
    reach::channel,
    way::Way,
    world::{Customer, Setup, World},
};

pub const SECRET: &str = "the-secret-of-the-cluster-that-is-tested";

/// How a process ends that may be started again.
const NOT_NOW: &str = "exit status: 4";

const SETTLES_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What a pod is started with beside the usual.
#[derive(Clone, Default)]
pub struct How {
    /// `None`: the binary under test.
    pub binary: Option<PathBuf>,
    pub flags: Vec<String>,
    pub environment: Vec<(&'static str, String)>,
    /// Over which alone it reaches the database.
    pub to_database: Option<Way>,
    /// Over which alone the other pods reach it.
    pub from_pods: Option<Way>,
}

pub struct Bed {
    pub world: World,
    engines: BTreeMap<String, Process>,
    gateways: Vec<Process>,
    folder: TempDir,
    postgres: Postgres,
}

impl Bed {
    /// One gateway and so many engines, among which all shards are divided.
    pub async fn start(engines: usize) -> Bed {
        Bed::start_with(engines, &[]).await
    }

    /// The same, each process with more flags.
    pub async fn start_with(engines: usize, flags: &[String]) -> Bed {
        Bed::start_each(engines, flags, flags).await
    }

    /// The same, with flags of their own for engines and gateways.
    pub async fn start_each(engines: usize, flags: &[String], gateway: &[String]) -> Bed {
        let setup = Setup { flags: gateway.to_vec(), ..Setup::default() };
        let how = How { flags: flags.to_vec(), ..How::default() };
        Bed::start_on(Postgres::start(), vec![how; engines], setup).await
    }

    /// The same, where these nodes are reached over ways.
    pub async fn start_over(engines: usize, ways_to_nodes: Vec<(&'static str, Way)>) -> Bed {
        let setup = Setup { ways_to_nodes, ..Setup::default() };
        Bed::start_on(Postgres::start(), vec![How::default(); engines], setup).await
    }

    /// The same on a database that is there already.
    pub async fn start_on(postgres: Postgres, engines: Vec<How>, setup: Setup) -> Bed {
        let folder = TempDir::new().expect("there is room");
        let mut running = BTreeMap::new();
        for (before, how) in engines.into_iter().enumerate() {
            let name = format!("engine-{}", before + 1);
            let engine = start_engine(place(&postgres, &folder), &name, &name, how).await;
            running.insert(name, engine.expect("it starts"));
        }
        let setup = Setup {
            postgres: Some(postgres.url()),
            huge_liquidity: true,
            gateway_of: Some(SECRET.to_owned()),
            ..setup
        };
        let world = World::start(setup).await.expect("it starts");
        let bed = Bed { world, engines: running, gateways: Vec::new(), folder, postgres };
        bed.settled().await;
        bed
    }

    pub fn url(&self) -> String {
        self.postgres.url()
    }

    pub fn database_port(&self) -> u16 {
        self.postgres.port()
    }

    pub fn back_up(&self) -> Backup {
        self.postgres.back_up()
    }

    /// Every process dies and begins again over the copy.
    pub async fn put_back(&mut self, backup: Backup, how: Recovery) {
        self.world.kill_platform();
        let names: Vec<_> = std::mem::take(&mut self.engines).into_keys().collect();
        self.postgres.put_back(backup, how);
        for name in names {
            self.start_engine(&name).await;
        }
        self.world.start_platform().await.expect("it starts");
        self.settled().await;
        self.world.usable(2).await;
    }

    pub fn database(&self) -> &Postgres {
        &self.postgres
    }

    pub fn restart_database(&self) {
        self.postgres.restart();
    }

    /// An engine that reaches the database only over this way.
    pub async fn start_engine_over(&mut self, name: &str, way: &Way) {
        self.start_engine_as(name, How { to_database: Some(way.clone()), ..How::default() }).await;
    }

    /// An engine that the other pods reach only over this way.
    pub async fn start_engine_behind(&mut self, name: &str, way: &Way) {
        self.start_engine_as(name, How { from_pods: Some(way.clone()), ..How::default() }).await;
    }

    pub async fn start_engine_as(&mut self, name: &str, how: How) {
        let started = self.engine_as(name, how).await.expect("it starts");
        self.is_running(name, started);
    }

    async fn engine_as(&self, name: &str, how: How) -> Result<Process, String> {
        start_engine(place(&self.postgres, &self.folder), name, name, how).await
    }

    /// An engine that is started while other things happen, and again if the database was not there, as whoever
    /// runs pods does.
    pub fn engine_aside(
        &self,
        name: &str,
        how: How,
    ) -> impl Future<Output = Result<Process, String>> + use<> {
        let (place, name) = (place(&self.postgres, &self.folder), name.to_owned());
        async move {
            loop {
                match start_engine(place.clone(), &name, &name, how.clone()).await {
                    Err(said) if said.contains(NOT_NOW) => {}
                    started => return started,
                }
            }
        }
    }

    pub fn is_running(&mut self, name: &str, engine: Process) {
        self.engines.insert(name.to_owned(), engine);
    }

    /// A life of an engine in a data folder of its own, whatever its name.
    pub async fn engine(&self, name: &str, folder: &str) -> Result<Process, String> {
        start_engine(place(&self.postgres, &self.folder), name, folder, How::default()).await
    }

    pub async fn start_engine(&mut self, name: &str) {
        let engine = self.engine(name, name).await.expect("it starts");
        self.engines.insert(name.to_owned(), engine);
    }

    /// Another gateway, and a connection to it for customers.
    pub async fn another_gateway(&mut self) -> Channel {
        self.another_gateway_with(&[]).await
    }

    pub async fn another_gateway_with(&mut self, flags: &[String]) -> Channel {
        self.another_gateway_as(&How { flags: flags.to_vec(), ..How::default() }).await
    }

    pub async fn another_gateway_as(&mut self, how: &How) -> Channel {
        let name = format!("gateway-{}", self.gateways.len() + 2);
        let (process, address) = self.gateway(&name, how).await;
        self.gateways.push(process);
        channel(&address)
    }

    /// A life of a gateway, and where customers reach it.
    pub async fn gateway(&self, name: &str, how: &How) -> (Process, String) {
        let data = self.data_of(name);
        let mut command = pod("gateway", how, &self.postgres.url(), &data);
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).args(&how.flags);
        let ready_file = data.join("ready.json");
        let started = Process::start(name, command, self.folder.path(), &ready_file).await;
        let (process, ready) = started.expect("it starts");
        (process, ready["address"].as_str().expect("it says where it is").to_owned())
    }

    /// Of a gateway.
    pub fn data_of(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn process(&mut self, name: &str) -> &mut Process {
        self.engines.get_mut(name).expect("it was started")
    }

    /// The name of the engine that owns the organisation, and of its life; waits until there is one.
    pub async fn owner(&self, org: &str) -> (String, String) {
        let owner = async {
            loop {
                let placed = pods(&self.world, org).await;
                let session = placed.owner_session_id;
                let owner = placed.pods.into_iter().find(|pod| pod.session_id == session);
                if let Some(owner) = owner {
                    return (owner.name, owner.session_id);
                }
                sleep(LOOK_AGAIN).await;
            }
        };
        timeout(SETTLES_WITHIN, owner).await.expect("somebody takes it")
    }

    /// Which of them the engine owns.
    pub async fn owned_by(&self, name: &str, customers: &[Customer]) -> Vec<Customer> {
        let mut owned = Vec::new();
        for customer in customers {
            if self.owner(&customer.org).await.0 == name {
                owned.push(customer.clone());
            }
        }
        owned
    }

    /// Waits until every shard has an owner and every engine that runs has some.
    pub async fn settled(&self) {
        settled(&self.world, self.engines.len()).await;
    }

    /// The nodes' faults have an end, and their ways are open.
    pub async fn nodes_are_well(&self) {
        for node in ["pool-1", "pool-2"] {
            let request = ClearFaultsRequest { node: node.to_owned(), fault: String::new() };
            self.world.outside().clear_faults(request).await.expect("it can be cleared");
        }
        self.world.usable(2).await;
    }

    pub fn signal(&mut self, name: &str, signal: &str) {
        let pid = self.process(name).pid().to_string();
        let told = Command::new("kill").args([signal, &pid]).status();
        assert!(told.expect("there is a kill").success());
    }

    /// The books agree with every node, and nothing was paid twice.
    pub async fn is_sound(&self) {
        let audit = self.world.audit().await;
        assert_eq!((audit.findings_total, audit.frozen.as_str()), (0, ""), "{audit:?}");
        let request = lightning_sim::control_proto::AuditSettlementsRequest::default();
        let told = self.world.outside().audit_settlements(request).await;
        let mut settlements = told.expect("the network tells what was paid").into_inner();
        while let Some(settlement) = settlements.message().await.expect("it goes on") {
            assert_eq!(settlement.times, 1, "paid more than once: {settlement:?}");
        }
    }
}

fn pod(role: &str, how: &How, url: &str, data: &PathBuf) -> Command {
    let mut command = Command::new(how.binary.clone().unwrap_or_else(switchyard));
    command.arg(role).arg("--data").arg(data);
    command.env("SWITCHYARD_STORE", url).env("SWITCHYARD_CLUSTER_SECRET", SECRET);
    command.env("SWITCHYARD_SEAL_KEYS", format!("test:{}", "5a".repeat(32)));
    command.env("SWITCHYARD_CALLS_PER_SECOND", "1000000").env("RUST_BACKTRACE", "0");
    command.envs(how.environment.clone());
    command
}

/// Waits until every shard has an owner and each of so many engines has some.
pub async fn settled(world: &World, engines: usize) {
    let settled = async {
        loop {
            let placed = pods(world, "").await;
            let owning = placed.pods.iter().filter(|pod| pod.shards > 0).count();
            if placed.shards_without_owner == 0 && owning == engines {
                return;
            }
            sleep(LOOK_AGAIN).await;
        }
    };
    timeout(SETTLES_WITHIN, settled).await.expect("the shards are divided");
}

async fn pods(world: &World, org: &str) -> PodsResponse {
    let request = PodsRequest { organisation_id: org.to_owned() };
    let asked = world.installation().pods(request).await;
    asked.map(tonic::Response::into_inner).unwrap_or_default()
}

/// An engine over the database at this address, its data folder and its log in this folder.
///
/// # Errors
///
/// What it said before it ended.
pub async fn engine_on(url: &str, folder: &Path, name: &str) -> Result<Process, String> {
    let place = (url.to_owned(), folder.to_owned());
    start_engine(place, name, name, How::default()).await
}

/// The address of the database, and the folder for all data folders.
fn place(postgres: &Postgres, folder: &TempDir) -> (String, PathBuf) {
    (postgres.url(), folder.path().to_owned())
}

/// The same database where this way begins.
fn over(url: &str, way: &Way) -> String {
    let (server, port_and_name) = url.rsplit_once(':').expect("the server is at a port");
    let (_, name) = port_and_name.split_once('/').expect("the database has a name");
    format!("{server}:{}/{name}", way.port())
}

async fn start_engine(
    (url, folder): (String, PathBuf),
    name: &str,
    data: &str,
    how: How,
) -> Result<Process, String> {
    let data_folder = folder.join(data);
    let url = how.to_database.as_ref().map(|way| over(&url, way)).unwrap_or(url);
    let mut command = pod("engine", &how, &url, &data_folder);
    command.args(["--engine-listen", "127.0.0.1:0", "--name", name]);
    command.args(["--metrics-listen", "127.0.0.1:0"]).args(&how.flags);
    if let Some(way) = &how.from_pods {
        command.args(["--advertise", &way.address()]);
    }
    let ready_file = data_folder.join("ready.json");
    let (process, ready) = Process::start(data, command, &folder, &ready_file).await?;
    if let Some(way) = how.from_pods {
        let address = ready["engine_address"].as_str().expect("it says where it is");
        let (_, port) = address.rsplit_once(':').expect("it is at a port");
        way.leads_to(port.parse().expect("a port is a number"));
    }
    Ok(process)
}
