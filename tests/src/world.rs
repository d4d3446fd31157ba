//! A whole world on this machine: a simulated network, the platform, and customers of it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt};
use lightning_sim::control_proto::{self as sim, control_client::ControlClient};
use proto::admin::v1::{
    self as admin,
    create_wallet_request::Backing,
    installation_client::InstallationClient,
    keys_client::KeysClient,
    nodes_client::NodesClient,
    organisations_client::OrganisationsClient,
    register_node_request::{Owner, Trust},
};
use serde_json::Value;
use tempfile::TempDir;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use uuid::Uuid;

pub use crate::customer::Customer;
use crate::{
    process::{Process, STOPS_WITHIN, switchyard},
    reach::{channel, secret_in},
    way::Way,
};

const USABLE_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Calls under way when many things are set up.
const AT_ONCE: usize = 64;

/// What a customer gets unless the test says otherwise.
pub const LIMIT_MSAT: u64 = 1_000_000_000_000;

/// Puts a secret into each call.
#[derive(Clone)]
pub struct Secret(pub(crate) &'static str, pub(crate) MetadataValue<Ascii>);

impl Interceptor for Secret {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(self.0, self.1.clone());
        Ok(request)
    }
}

pub type Wire = InterceptedService<Channel, Secret>;

/// How a world is set up.
#[derive(Clone, Default)]
pub struct Setup {
    /// `postgres://…`; `None`: SQLite in the world's folder.
    pub postgres: Option<String>,
    /// The chain of the simulated nodes; `None`: regtest, as the platform's own.
    pub chain: Option<&'static str>,
    /// Channels that millions of payments do not exhaust.
    pub huge_liquidity: bool,
    /// Where to stop the process, as the crate `fail` reads it; needs a binary built for it.
    pub failpoints: Option<String>,
    /// What the platform is; `None`: the binary under test.
    pub binary: Option<PathBuf>,
    /// More flags for the platform.
    pub flags: Vec<String>,
    /// What customers and the operator call is a gateway of the cluster with this secret.
    pub gateway_of: Option<String>,
    /// Nodes of the network, by their names, that are registered where these ways begin.
    pub ways_to_nodes: Vec<(&'static str, Way)>,
}

pub struct World {
    setup: Setup,
    folder: TempDir,
    sim: Option<Process>,
    platform: Option<Process>,
    admin: Option<Wire>,
    outside: Option<Wire>,
    pub network: Value,
    pub ready: Value,
}

impl World {
    /// Starts the network and the platform, and registers both nodes of the pool.
    ///
    /// # Errors
    ///
    /// What a process said before it ended.
    pub async fn start(setup: Setup) -> Result<World, String> {
        let mut world = World::nowhere(setup)?;
        world.start_network().await?;
        world.start_platform().await?;
        for name in ["pool-1", "pool-2"] {
            world.register(name, Owner::CreditPool(admin::CreditPool {})).await;
        }
        world.usable(2).await;
        Ok(world)
    }

    /// Starts the platform alone: the caller has nodes of another network.
    ///
    /// # Errors
    ///
    /// What it said before it ended.
    pub async fn without_network(setup: Setup) -> Result<World, String> {
        let mut world = World::nowhere(setup)?;
        world.start_platform().await?;
        Ok(world)
    }

    fn nowhere(setup: Setup) -> Result<World, String> {
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        Ok(World {
            setup,
            folder,
            sim: None,
            platform: None,
            admin: None,
            outside: None,
            network: Value::Null,
            ready: Value::Null,
        })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    async fn start_network(&mut self) -> Result<(), String> {
        let data = self.folder.path().join("network");
        let ready_file = data.join("ready.json");
        let mut command = Command::new(switchyard());
        command.args(["sim", "run", "--data"]).arg(&data);
        if let Some(chain) = self.setup.chain {
            command.args(["--network", chain]);
        }
        if self.setup.huge_liquidity {
            command.arg("--huge-liquidity");
        }
        let started = Process::start("network", command, self.folder.path(), &ready_file).await?;
        (self.sim, self.network) = (Some(started.0), started.1);
        let token = secret_in(&text(&self.network, "control_token_file"));
        let channel = channel(&text(&self.network, "control_address"));
        self.outside = Some(InterceptedService::new(channel, Secret("token", token)));
        Ok(())
    }

    /// Starts the platform on what it has left behind.
    ///
    /// # Errors
    ///
    /// What it said before it ended.
    pub async fn start_platform(&mut self) -> Result<(), String> {
        let data = self.folder.path().join("platform");
        let ready_file = data.join("ready.json");
        let mut command = Command::new(self.setup.binary.clone().unwrap_or_else(switchyard));
        let role = self.setup.gateway_of.as_ref().map_or("standalone", |_| "gateway");
        command.args([role, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        command.arg("--data").arg(&data).args(&self.setup.flags);
        // One caller may be the whole load; the end of the log must say where it died, not how.
        command.env("SWITCHYARD_CALLS_PER_SECOND", "1000000").env("RUST_BACKTRACE", "0");
        if let Some(url) = &self.setup.postgres {
            command.args(["--store", url]);
            command.env("SWITCHYARD_SEAL_KEYS", format!("test:{}", "5a".repeat(32)));
        }
        if let Some(secret) = &self.setup.gateway_of {
            command.env("SWITCHYARD_CLUSTER_SECRET", secret);
        }
        if let Some(failpoints) = &self.setup.failpoints {
            command.env("FAILPOINTS", failpoints);
        }
        let started = Process::start("platform", command, self.folder.path(), &ready_file).await?;
        (self.platform, self.ready) = (Some(started.0), started.1);
        let token = secret_in(&text(&self.ready, "admin_token_file"));
        let token = format!("Bearer {}", token.to_str().expect("a token is ASCII"));
        let secret = Secret("authorization", token.parse().expect("a token is ASCII"));
        let channel = channel(&text(&self.ready, "admin_address"));
        self.admin = Some(InterceptedService::new(channel, secret));
        Ok(())
    }

    /// kill -9 of the platform.
    pub fn kill_platform(&mut self) {
        self.platform = None;
    }

    /// Asks the platform to stop, waits until it has, and answers with its whole log.
    ///
    /// # Errors
    ///
    /// It does not stop, or not well.
    pub async fn stop_platform(&mut self) -> Result<String, String> {
        let mut platform = self.platform.take().expect("the platform was started");
        platform.stop(STOPS_WITHIN).await?;
        Ok(platform.log())
    }

    /// Asks the network to stop, and waits until it has.
    ///
    /// # Errors
    ///
    /// It does not stop, or not well.
    pub async fn stop_network(&mut self) -> Result<(), String> {
        let mut network = self.sim.take().expect("the network was started");
        network.stop(STOPS_WITHIN).await
    }

    /// kill -9 of the network, and its start on what it has left behind.
    ///
    /// # Errors
    ///
    /// What it said before it ended.
    pub async fn restart_network(&mut self) -> Result<(), String> {
        self.sim = None;
        self.start_network().await
    }

    /// Arms other failpoints for the next start.
    pub fn arm(&mut self, failpoints: Option<String>) {
        self.setup.failpoints = failpoints;
    }

    /// Gives the platform other flags for the next start.
    pub fn give_flags(&mut self, flags: &[&str]) {
        self.setup.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
    }

    /// Makes another binary the platform from the next start on.
    pub fn becomes(&mut self, binary: Option<PathBuf>) {
        self.setup.binary = binary;
    }

    pub fn platform(&mut self) -> &mut Process {
        self.platform.as_mut().expect("the platform was started")
    }

    pub fn network_pid(&self) -> u32 {
        self.sim.as_ref().expect("the network was started").pid()
    }

    fn admin(&self) -> Wire {
        self.admin.clone().expect("the platform was started")
    }

    /// A connection of its own for customers' calls.
    pub fn connect(&self) -> Channel {
        channel(&text(&self.ready, "address"))
    }

    pub fn organisations(&self) -> OrganisationsClient<Wire> {
        OrganisationsClient::new(self.admin())
    }

    pub fn nodes(&self) -> NodesClient<Wire> {
        NodesClient::new(self.admin())
    }

    pub fn installation(&self) -> InstallationClient<Wire> {
        InstallationClient::new(self.admin()).max_decoding_message_size(64 << 20)
    }

    pub fn keys(&self) -> KeysClient<Wire> {
        KeysClient::new(self.admin())
    }

    /// The network from outside.
    pub fn outside(&self) -> ControlClient<Wire> {
        ControlClient::new(self.outside.clone().expect("the network was started"))
    }

    /// How long a node of the network takes for a payment, from now on.
    ///
    /// # Errors
    ///
    /// Whatever the network answered.
    pub async fn set_latency(&self, node: &str, latency_ms: u64) -> Result<(), Status> {
        let request = sim::SetLatencyRequest { node: node.to_owned(), latency_ms };
        self.outside().set_latency(request).await.map(|_| ())
    }

    /// A node of the network as its ready file tells of it.
    pub fn node(&self, name: &str) -> &Value {
        let nodes = self.network["nodes"].as_array().expect("a network has nodes");
        nodes.iter().find(|node| node["name"] == name).expect("the network has this node")
    }

    /// Registers a node of the network and answers with its id.
    pub async fn register(&self, name: &str, owner: Owner) -> String {
        let mut papers = papers(self.node(name), owner);
        let ways = &self.setup.ways_to_nodes;
        if let Some((_, way)) = ways.iter().find(|(to, _)| *to == name) {
            let (_, port) = papers.address.rsplit_once(':').expect("a node is at a port");
            way.leads_to(port.parse().expect("a port is a number"));
            papers.address = way.address();
        }
        let id = papers.id.clone();
        self.nodes().register(papers).await.expect("the node is as it should be");
        id
    }

    /// Waits until so many nodes can be sent to.
    pub async fn usable(&self, wanted: usize) {
        let waiting = async {
            loop {
                let listed = self.nodes().list(admin::ListNodesRequest {}).await;
                let nodes = listed.map(|listed| listed.into_inner().nodes).unwrap_or_default();
                if nodes.iter().filter(|node| node.not_usable.is_empty()).count() >= wanted {
                    return;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(USABLE_WITHIN, waiting).await.expect("nodes become usable");
    }

    /// An organisation with an environment, a line of credit, a wallet on it and a key.
    ///
    /// # Errors
    ///
    /// Whatever the operator's call answered.
    pub async fn customer(&self, name: &str, limit_msat: u64) -> Result<Customer, Status> {
        let (org, environment) = self.organisation(name).await?;
        let line = new_id();
        let request = admin::OpenLineRequest {
            organisation_id: org.clone(),
            id: line.clone(),
            environment_id: environment.clone(),
            limit_msat,
        };
        self.organisations().open_line(request).await?;
        let wallet =
            self.wallet(&org, &environment, Backing::LineId(line.clone()), limit_msat).await?;
        let key = self.key(&org, &environment).await?;
        Ok(Customer { org, environment, line, wallet, key })
    }

    /// An organisation with one environment; answers with both ids.
    ///
    /// # Errors
    ///
    /// Whatever the operator's call answered.
    pub async fn organisation(&self, name: &str) -> Result<(String, String), Status> {
        let (org, environment) = (new_id(), new_id());
        let request = admin::CreateOrganisationRequest { id: org.clone(), name: name.to_owned() };
        self.organisations().create(request).await?;
        let request = admin::CreateEnvironmentRequest {
            organisation_id: org.clone(),
            id: environment.clone(),
            name: "live".to_owned(),
        };
        self.organisations().create_environment(request).await?;
        Ok((org, environment))
    }

    /// A wallet on a line, or on a node whose funds are declared; answers with its id.
    ///
    /// # Errors
    ///
    /// Whatever the operator's call answered.
    pub async fn wallet(
        &self,
        org: &str,
        environment: &str,
        backing: Backing,
        limit_msat: u64,
    ) -> Result<String, Status> {
        let wallet = new_id();
        let request = admin::CreateWalletRequest {
            organisation_id: org.to_owned(),
            id: wallet.clone(),
            environment_id: environment.to_owned(),
            name: format!("wallet {wallet}"),
            backing: Some(backing),
            limit_msat,
        };
        self.organisations().create_wallet(request).await?;
        Ok(wallet)
    }

    /// So many customers with the usual limit, set up a few at a time.
    ///
    /// # Errors
    ///
    /// Whatever the operator's call answered.
    pub async fn customers(&self, name: &str, count: usize) -> Result<Vec<Customer>, Status> {
        let made = (0..count)
            .map(async |number| self.customer(&format!("{name} {number}"), LIMIT_MSAT).await);
        futures_util::stream::iter(made).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// # Errors
    ///
    /// Whatever the operator's call answered.
    pub async fn key(&self, org: &str, environment: &str) -> Result<String, Status> {
        let request = admin::CreateKeyRequest {
            id: new_id(),
            organisation_id: org.to_owned(),
            environment_id: environment.to_owned(),
            name: "test".to_owned(),
            ..Default::default()
        };
        Ok(self.keys().create(request).await?.into_inner().secret)
    }

    /// An invoice of a node outside.
    pub async fn invoice(&self, node: &str, amount_msat: u64, description: &str) -> String {
        let request = sim::CreateInvoiceRequest {
            node: node.to_owned(),
            amount_msat,
            description: description.to_owned(),
            expiry_seconds: 0,
            hold: false,
        };
        let made =
            self.outside().create_invoice(request).await.expect("the network makes invoices");
        made.into_inner().payment_request
    }

    /// So many invoices of a node outside.
    pub async fn invoices(&self, node: &str, amount_msat: u64, count: usize) -> Vec<String> {
        let made = (0..count).map(|_| self.invoice(node, amount_msat, ""));
        futures_util::stream::iter(made).buffer_unordered(AT_ONCE).collect().await
    }

    /// Every payment that the nodes of the pool have made or tried.
    pub async fn payments_of_pool(&self) -> Vec<sim::PaymentRecord> {
        let mut made = Vec::new();
        for node in ["pool-1", "pool-2"] {
            let request = sim::AuditRequest { node: node.to_owned() };
            let told = self.outside().audit_payments(request).await;
            let mut payments = told.expect("a node tells what it knows").into_inner();
            while let Some(payment) = payments.message().await.expect("it goes on") {
                made.push(payment);
            }
        }
        made
    }

    /// Everything compared with everything.
    pub async fn audit(&self) -> admin::AuditResponse {
        let answer = self.installation().audit(admin::AuditRequest {}).await;
        answer.expect("the audit can be made").into_inner()
    }
}

/// What registers a node that a ready file tells of, with all that can be known of it.
pub fn papers(node: &Value, owner: Owner) -> admin::RegisterNodeRequest {
    let certificate = std::fs::read_to_string(text(node, "certificate_file"));
    let macaroon = std::fs::read(text(node, "macaroon_file"));
    admin::RegisterNodeRequest {
        id: new_id(),
        name: text(node, "name"),
        owner: Some(owner),
        address: text(node, "address"),
        trust: Some(Trust::CertificatePem(certificate.expect("a node has a certificate"))),
        macaroon: macaroon.expect("a node has a macaroon"),
        expected_identity: text(node, "identity"),
    }
}

fn text(of: &Value, field: &str) -> String {
    of[field].as_str().expect("the ready file has this field").to_owned()
}

/// An id that no other of this process has, ordered by time like the product's own.
pub fn new_id() -> String {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(0));
    let pid = u64::from(std::process::id());
    Uuid::from_u64_pair(millis << 16 | 0x7000, 1 << 63 | (pid & 0xff_ffff) << 32 | number)
        .to_string()
}
