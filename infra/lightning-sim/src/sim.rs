//! The network as a process: doors, identities, the log, the control face.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use bitcoin::secp256k1::SecretKey;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tonic::transport::{Identity as TlsIdentity, Server, ServerTlsConfig};

use crate::{
    clock,
    config::{ChannelSpec, Config, NodeSpec},
    control::{self, Control, ControlClient},
    host::Host,
    identity::{self, Identity, IdentityError},
    journal::{Journal, JournalError},
    lnd::{Face, view::Directory},
    macaroon::Keyring,
    model::{Network, NodeId, Refusal, Role, Time, to_hex},
    net::Door,
};

#[derive(Debug, thiserror::Error)]
pub enum SimError {
    #[error("the data folder or a port cannot be used")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("the configuration does not make a network: {0}")]
    Config(String),
    #[error(transparent)]
    Tls(#[from] tonic::transport::Error),
}

impl From<Refusal> for SimError {
    fn from(refusal: Refusal) -> SimError {
        SimError::Config(refusal.text.into_owned())
    }
}

/// Where and how a node is called.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub name: String,
    pub role: Role,
    pub address: SocketAddr,
    /// 33 bytes in hex.
    pub identity_pubkey: String,
    pub tls_cert_pem: String,
    pub tls_cert_path: PathBuf,
    pub admin: MacaroonFile,
    /// The roles pay, receive and observe.
    pub switchyard: MacaroonFile,
    /// Too weak to pay or to receive.
    pub observe: MacaroonFile,
}

#[derive(Clone)]
pub struct MacaroonFile {
    pub path: PathBuf,
    pub hex: String,
}

impl std::fmt::Debug for MacaroonFile {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "MacaroonFile({})", self.path.display())
    }
}

/// One node's door and where it stands.
pub(crate) struct NodeServer {
    pub(crate) id: NodeId,
    pub(crate) door: Door,
    pub(crate) endpoint: Endpoint,
}

/// What the control face and the process share.
pub(crate) struct Running {
    pub(crate) host: Arc<Host>,
    pub(crate) nodes: Vec<NodeServer>,
    /// Doors are opened and closed one at a time.
    pub(crate) doors: tokio::sync::Mutex<()>,
}

/// A running network. Stop it with `stop`; dropped, it goes down as if killed.
pub struct Sim {
    running: Arc<Running>,
    writer: Option<JoinHandle<()>>,
    control_door: Door,
    control_address: SocketAddr,
    token: String,
    watch: JoinHandle<()>,
}

impl Sim {
    /// Starts a network, or starts it again from its data folder: same identities, same ports.
    ///
    /// What the configuration says of nodes and channels counts when they are first seen; after
    /// that the
    /// data folder knows better.
    pub async fn start(config: Config) -> Result<Sim, SimError> {
        if !config.control_listen.ip().is_loopback() {
            return Err(SimError::Config("the control face listens on loopback only".to_owned()));
        }
        fs::create_dir_all(&config.data)?;
        keep_chain(&config)?;
        let mut network = Network::new(config.network);
        let journal =
            Journal::open(&config.data.join("network.log"), |event| network.replay(event))?;
        let now = clock::now();
        build(&mut network, &config, now)?;
        network.start(now);
        let directory = Arc::new(Directory::of(&network, now));
        let (host, writer) = Host::start(network, journal);
        // The network's first events are in the log before anyone can call.
        host.answer(|_, _| ()).await.map_err(|error| io::Error::other(error.to_string()))?;

        let mut nodes = Vec::new();
        for spec in &config.nodes {
            nodes.push(open_node(&config.data, spec, &host, &directory).await?);
        }
        let running =
            Arc::new(Running { host: host.clone(), nodes, doors: tokio::sync::Mutex::new(()) });
        let token = token(&config.data)?;
        let control_door = control_door(running.clone(), token.clone());
        let port_file = config.data.join("control.port");
        let asked = identity::kept_address(&port_file, config.control_listen);
        let control_address = control_door.open(asked).await?;
        identity::keep_address(&port_file, control_address)?;
        let watch = tokio::spawn(shut_when_failed(running.clone()));
        Ok(Sim { running, writer: Some(writer), control_door, control_address, token, watch })
    }

    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.running.nodes.iter().map(|node| &node.endpoint)
    }

    pub fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints().find(|endpoint| endpoint.name == name)
    }

    pub fn control_address(&self) -> SocketAddr {
        self.control_address
    }

    pub fn control_token(&self) -> &str {
        &self.token
    }

    /// A client of the control face.
    pub fn control(&self) -> Result<ControlClient, SimError> {
        Ok(control::connect(self.control_address, &self.token)?)
    }

    /// Closes every door, writes what is left and lets go of the data folder.
    pub async fn stop(mut self) {
        self.control_door.close().await;
        let nodes = &self.running.nodes;
        for node in nodes {
            self.running.host.act(|network, now| network.restart(now, node.id));
        }
        futures_util::future::join_all(nodes.iter().map(|node| node.door.close())).await;
        self.running.host.stop();
        if let Some(writer) = self.writer.take() {
            drop(writer.await);
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.watch.abort();
        self.running.host.stop();
    }
}

/// Answers that cannot be kept are not given: without a log the doors are slammed.
async fn shut_when_failed(running: Arc<Running>) {
    let mut failure = running.host.failure();
    if failure.wait_for(|failed| *failed).await.is_ok() {
        for node in &running.nodes {
            node.door.slam().await;
        }
    }
}

/// A data folder lives on one chain.
fn keep_chain(config: &Config) -> Result<(), SimError> {
    let path = config.data.join("chain");
    match fs::read_to_string(&path) {
        Ok(kept) if kept == config.network.name() => Ok(()),
        Ok(kept) => Err(SimError::Config(format!("this data folder belongs to {kept}"))),
        Err(_) => Ok(identity::write(&path, config.network.name().as_bytes())?),
    }
}

/// Adds what the configuration has and the data folder has not.
fn build(network: &mut Network, config: &Config, now: Time) -> Result<(), SimError> {
    for spec in &config.nodes {
        let name_ok = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if spec.name.is_empty() || !spec.name.bytes().all(name_ok) {
            return Err(SimError::Config(format!("{:?} cannot name a node", spec.name)));
        }
        if network.node(&spec.name).is_none() {
            let secret = secret(config.seed, &spec.name)?;
            network.add_node(now, &spec.name, secret, spec.options.clone())?;
        }
    }
    for (index, spec) in config.channels.iter().enumerate() {
        let [first, second] = node_ids(network, spec)?;
        let same_before = config.channels[..index]
            .iter()
            .filter(|before| node_ids(network, before).is_ok_and(|ids| same(ids, [first, second])))
            .count();
        let there = network
            .state()
            .channels
            .iter()
            .filter(|channel| same([channel.ends[0].node, channel.ends[1].node], [first, second]))
            .count();
        if there <= same_before {
            let side = |id, end: usize| (id, spec.ends[end].balance, spec.ends[end].policy);
            network.open_channel([side(first, 0), side(second, 1)], spec.slots)?;
        }
    }
    Ok(())
}

fn same(first: [NodeId; 2], second: [NodeId; 2]) -> bool {
    first == second || first == [second[1], second[0]]
}

fn node_ids(network: &Network, spec: &ChannelSpec) -> Result<[NodeId; 2], SimError> {
    let find = |name: &str| {
        let found = network.node(name).map(|(id, _)| id);
        found.ok_or_else(|| SimError::Config(format!("a channel names {name:?}, no such node")))
    };
    Ok([find(&spec.ends[0].node)?, find(&spec.ends[1].node)?])
}

fn secret(seed: Option<u64>, name: &str) -> Result<[u8; 32], SimError> {
    let mut secret: [u8; 32] = match seed {
        Some(seed) => Sha256::new()
            .chain_update(b"switchyard lightning-sim identity")
            .chain_update(seed.to_be_bytes())
            .chain_update(name)
            .finalize()
            .into(),
        None => identity::random()?,
    };
    while SecretKey::from_slice(&secret).is_err() {
        secret = Sha256::digest(secret).into();
    }
    Ok(secret)
}

async fn open_node(
    data: &Path,
    spec: &NodeSpec,
    host: &Arc<Host>,
    directory: &Arc<Directory>,
) -> Result<NodeServer, SimError> {
    let identity = Identity::open(data.join("nodes").join(&spec.name))?;
    let (id, pubkey, role, down) = host.act(|network, _| {
        let (id, node) = network.node(&spec.name).expect("built a moment ago");
        (id, node.pubkey, node.options.role, node.down)
    });
    let face =
        Face::new(id, host.clone(), Keyring::new(identity.root_keys.clone()), directory.clone());
    let tls = ServerTlsConfig::new()
        .identity(TlsIdentity::from_pem(&identity.cert_pem, &identity.key_pem));
    let server = server().tls_config(tls)?;
    let door = Door::new(Box::new(move |incoming, shut| {
        let router = face.routes(&mut server.clone());
        Box::pin(async move {
            if let Err(error) = router.serve_with_incoming_shutdown(incoming, shut).await {
                tracing::warn!(%error, "a simulated node's server ended");
            }
        })
    }));
    let port_file = identity.folder.join("port");
    let asked = identity::kept_address(&port_file, spec.listen);
    let address = door.open(asked).await?;
    identity::keep_address(&port_file, address)?;
    if down {
        door.slam().await;
    }
    let macaroon = |file: &str| -> Result<MacaroonFile, IdentityError> {
        Ok(MacaroonFile { path: identity.folder.join(file), hex: identity.macaroon_hex(file)? })
    };
    let endpoint = Endpoint {
        name: spec.name.clone(),
        role,
        address,
        identity_pubkey: pubkey.to_string(),
        tls_cert_path: identity.folder.join("tls.cert"),
        admin: macaroon(identity::ADMIN)?,
        switchyard: macaroon(identity::SWITCHYARD)?,
        observe: macaroon(identity::OBSERVE)?,
        tls_cert_pem: identity.cert_pem,
    };
    Ok(NodeServer { id, door, endpoint })
}

/// As generous as LND's own server: no bound on streams, and callers may give up in crowds.
fn server() -> Server {
    const RESETS: usize = 100_000;
    const WINDOW: u32 = 1 << 20;
    const CONNECTION_WINDOW: u32 = 16 << 20;
    Server::builder()
        .max_concurrent_streams(u32::MAX)
        .http2_max_pending_accept_reset_streams(Some(RESETS))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
}

fn token(data: &Path) -> Result<String, SimError> {
    let path = data.join("control.token");
    if !path.exists() {
        identity::write(&path, to_hex(&identity::random::<32>()?).as_bytes())?;
    }
    Ok(fs::read_to_string(path)?.trim().to_owned())
}

fn control_door(running: Arc<Running>, token: String) -> Door {
    let control = Control::new(running, token);
    Door::new(Box::new(move |incoming, shut| {
        let router = Server::builder().add_service(control.clone().service());
        Box::pin(async move {
            if let Err(error) = router.serve_with_incoming_shutdown(incoming, shut).await {
                tracing::warn!(%error, "the control face ended");
            }
        })
    }))
}
