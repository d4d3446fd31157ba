//! One real lnd: its life, its neighbours, and what is needed to connect to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tonic_lnd::lnrpc::{
    ChannelGraphRequest, ConnectPeerRequest, GetInfoRequest, GetStateRequest, LightningAddress,
    ListChannelsRequest, OpenChannelRequest, StopRequest, WalletState,
};

use super::chain::{Chain, RPC_PASSWORD, RPC_USER};
use super::client::Client;
use super::macaroon::{hex, unhex};
use super::process::{Process, StandingStill, free_port, tail, until};

/// A cold start takes 13 s on two idle cores; two builds may be running beside us.
const START_WITHIN: Duration = Duration::from_secs(120);
const CHANNELS_WITHIN: Duration = Duration::from_secs(60);

/// How much of a node's output is shown when a story fails.
const TAIL_LINES: usize = 40;

/// What somebody needs to know to connect to a node.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// `https://127.0.0.1:PORT`
    pub(crate) address: String,
    pub(crate) cert_pem: String,
    /// The node's public key, hex.
    pub(crate) identity: String,
}

/// The network a node believes to be on.
pub(crate) enum Kind<'a> {
    /// Regtest over our btcd.
    Regtest(&'a Chain),
    /// Simnet over neutrino without a single peer: it stays at height 0 and in RPC_ACTIVE, which
    /// is enough for GetInfo to name its network.
    Simnet,
}

struct Peer {
    identity: String,
    p2p_address: String,
    client: Client,
    channels: usize,
}

pub(crate) struct Node {
    name: String,
    folder: PathBuf,
    program: PathBuf,
    args: Vec<String>,
    output: PathBuf,
    process: Mutex<Option<Process>>,
    endpoint: Endpoint,
    p2p_address: String,
    admin_macaroon: String,
    /// The state that counts as started.
    started: WalletState,
    client: Client,
    peers: Mutex<Vec<Peer>>,
}

impl Node {
    /// Starts a node with a fresh identity and waits until it serves.
    pub(crate) async fn start(program: &Path, folder: &Path, name: &str, kind: Kind<'_>) -> Node {
        let (network, started) = match kind {
            Kind::Regtest(_) => ("regtest", WalletState::ServerActive),
            Kind::Simnet => ("simnet", WalletState::RpcActive),
        };
        let (rpc_port, p2p_port) = (free_port(), free_port());
        let args = arguments(folder, name, rpc_port, p2p_port, &kind);
        let output = folder.join("lnd.out");
        let _told = TailOnPanic(vec![(name.to_owned(), output.clone())]);
        let mut process = Process::start(program, &args, &output);

        let address = format!("https://127.0.0.1:{rpc_port}");
        let cert_pem = until("lnd's certificate", START_WITHIN, async || {
            assert!(process.is_running(), "{name} ended while starting");
            let pem = fs::read_to_string(folder.join("tls.cert")).unwrap_or_default();
            pem.contains("END CERTIFICATE").then_some(pem).ok_or("not written".to_owned())
        })
        .await;
        reach(&Client::new(&address, &cert_pem, ""), started, &mut process).await;
        let macaroon = folder.join(format!("data/chain/bitcoin/{network}/admin.macaroon"));
        let admin_macaroon = hex(&fs::read(macaroon).expect("lnd has written its macaroon"));
        let client = Client::new(&address, &cert_pem, &admin_macaroon);
        let identity = identity(&client).await;

        Node {
            name: name.to_owned(),
            folder: folder.to_owned(),
            program: program.to_owned(),
            args,
            output,
            process: Mutex::new(Some(process)),
            endpoint: Endpoint { address, cert_pem, identity },
            p2p_address: format!("127.0.0.1:{p2p_port}"),
            admin_macaroon,
            started,
            client,
            peers: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Its public key at the first start, hex.
    pub(crate) fn identity(&self) -> &str {
        &self.endpoint.identity
    }

    /// Everything allowed, hex. Stories of our own code want `bake`.
    pub(crate) fn admin_macaroon(&self) -> &str {
        &self.admin_macaroon
    }

    /// `host:port` of its gRPC listener.
    pub(crate) fn address(&self) -> &str {
        self.endpoint.address.strip_prefix("https://").expect("it begins so")
    }

    /// The node under its admin macaroon.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn tail(&self) -> String {
        tail(&self.output, TAIL_LINES)
    }

    /// Shows the end of the node's output if the holder panics.
    pub(crate) fn tail_on_panic(&self) -> TailOnPanic {
        TailOnPanic::of(&[self])
    }

    pub(crate) fn is_running(&self) -> bool {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_mut().is_some_and(Process::is_running)
    }

    /// Whether it runs and its wallet is open.
    pub(super) async fn serves(&self) -> bool {
        self.is_running() && is_at(&self.client, self.started).await.is_ok()
    }

    /// kill -9, and waits until the process is gone.
    pub(crate) fn kill9(&self) {
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Asks lnd to stop, as an operator would, and waits until the process is gone.
    pub(crate) async fn stop(&self) {
        let asked = self.client.lightning().stop_daemon(StopRequest {}).await;
        self.said("StopDaemon", asked);
        until("lnd to stop", START_WITHIN, async || {
            if self.is_running() { Err("it still runs".to_owned()) } else { Ok(()) }
        })
        .await;
    }

    /// Starts the node again after `kill9` or `stop`, connects it to its peers and waits until its
    /// channels are active on both sides.
    pub(crate) async fn restart(&self) {
        self.boot().await;
        self.rejoin().await;
    }

    /// Starts the node without its peers. Payments fail until `rejoin`.
    pub(crate) async fn boot(&self) {
        self.boot_with(&self.args, self.started).await;
    }

    /// Starts the node without the password of its wallet: it waits, and answers nothing else.
    pub(crate) async fn boot_locked(&self) {
        let mut args = self.args.clone();
        args.retain(|argument| argument != "--noseedbackup");
        self.boot_with(&args, WalletState::Locked).await;
    }

    /// Starts the node where it sees nothing of the chain: it answers, and never catches up.
    pub(crate) async fn boot_without_chain(&self) {
        let mut args = self.args.clone();
        args.retain(|argument| !argument.contains("btcd"));
        args.push("--bitcoin.node=neutrino".to_owned());
        self.boot_with(&args, WalletState::RpcActive).await;
    }

    async fn boot_with(&self, args: &[String], state: WalletState) {
        let _told = self.tail_on_panic();
        let mut process = {
            let mut held = self.process.lock().unwrap_or_else(PoisonError::into_inner);
            let running = held.as_mut().is_some_and(Process::is_running);
            assert!(!running, "{} is running", self.name);
            Process::start(&self.program, args, &self.output)
        };
        reach(&self.client, state, &mut process).await;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
    }

    /// Stops the process where it is, until what is returned is dropped. Connections stay open,
    /// and what is sent meanwhile is read afterwards.
    pub(crate) fn stand_still(&self) -> StandingStill {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().expect("it is running").stand_still()
    }

    /// Loses wallet and channels and comes back at the same address, with the same certificate and
    /// with the same macaroons valid, but as somebody else. Not for a node that others share.
    pub(crate) async fn lose_identity(&self) {
        self.kill9();
        let data = self.folder.join("data");
        // The backup is sealed under the old seed, and lnd does not start when it cannot read it.
        for file in ["wallet.db", "channel.backup"] {
            let path = data.join("chain/bitcoin/regtest").join(file);
            fs::remove_file(path).expect("lnd has written it");
        }
        fs::remove_dir_all(data.join("graph/regtest")).expect("lnd has written it");
        self.boot().await;
    }

    /// Connects to all peers (lnd itself may take minutes) and waits for active channels.
    pub(crate) async fn rejoin(&self) {
        let _told = self.tail_on_panic();
        for (identity, p2p_address, client, channels) in self.peers() {
            until("active channels", CHANNELS_WITHIN, async || {
                // One side alone may not have noticed yet that the other was away.
                let ours = active(&self.client, &identity).await?;
                let theirs = active(&client, self.identity()).await?;
                if channels > 0 && ours >= channels && theirs >= channels {
                    return Ok(());
                }
                self.dial(&identity, &p2p_address).await?;
                if channels == 0 {
                    return Ok(());
                }
                Err(format!("{ours} and {theirs} of {channels}"))
            })
            .await;
        }
    }

    fn peers(&self) -> Vec<(String, String, Client, usize)> {
        let peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let row = |peer: &Peer| {
            let (identity, address) = (peer.identity.clone(), peer.p2p_address.clone());
            (identity, address, peer.client.clone(), peer.channels)
        };
        peers.iter().map(row).collect()
    }

    /// Connects two nodes; both remember it for their restarts.
    pub(crate) async fn connect(&self, other: &Node) {
        until("a peer connection", CHANNELS_WITHIN, async || {
            self.dial(other.identity(), &other.p2p_address).await
        })
        .await;
        for (one, two) in [(self, other), (other, self)] {
            let peer = Peer {
                identity: two.identity().to_owned(),
                p2p_address: two.p2p_address.clone(),
                client: two.client.clone(),
                channels: 0,
            };
            one.peers.lock().unwrap_or_else(PoisonError::into_inner).push(peer);
        }
    }

    async fn dial(&self, identity: &str, p2p_address: &str) -> Result<(), String> {
        let (pubkey, host) = (identity.to_owned(), p2p_address.to_owned());
        let addr = Some(LightningAddress { pubkey, host });
        let request = ConnectPeerRequest { addr, perm: false, timeout: 5 };
        match self.client.lightning().connect_peer(request).await {
            Ok(_) => Ok(()),
            Err(status) if status.message().contains("already connected") => Ok(()),
            Err(status) => Err(status.to_string()),
        }
    }

    /// Opens a channel of `capacity_sat` and gives `push_sat` of it to the other side.
    pub(crate) async fn open_channel(&self, other: &Node, capacity_sat: i64, push_sat: i64) {
        let request = OpenChannelRequest {
            node_pubkey: unhex(other.identity()),
            local_funding_amount: capacity_sat,
            push_sat,
            ..Default::default()
        };
        // Right after funding and connecting lnd may still say that it is syncing.
        until("a channel to be opened", CHANNELS_WITHIN, async || {
            let mut lightning = self.client.lightning();
            match lightning.open_channel_sync(request.clone()).await {
                Ok(_) => Ok(()),
                Err(status) => Err(status.to_string()),
            }
        })
        .await;
        for (one, two) in [(self, other), (other, self)] {
            let mut peers = one.peers.lock().unwrap_or_else(PoisonError::into_inner);
            for peer in peers.iter_mut().filter(|peer| peer.identity == two.identity()) {
                peer.channels += 1;
            }
        }
    }

    /// Waits until this node knows `channels` channels with both directions' policies enabled:
    /// before that a payment over them fails with NO_ROUTE.
    pub(crate) async fn wait_graph(&self, channels: usize) {
        until("both policies of each channel", CHANNELS_WITHIN, async || {
            let request = ChannelGraphRequest::default();
            let graph = self.client.lightning().describe_graph(request).await;
            let edges = graph.map_err(|status| status.to_string())?.into_inner().edges;
            let usable = edges.iter().filter(|edge| {
                let policies = [&edge.node1_policy, &edge.node2_policy];
                policies.iter().all(|policy| policy.as_ref().is_some_and(|it| !it.disabled))
            });
            let usable = usable.count();
            if usable >= channels { Ok(()) } else { Err(format!("{} has {usable}", self.name)) }
        })
        .await;
    }
}

/// What a node needs on its command line, as tried in `lightning.md` 4.
fn arguments(
    folder: &Path,
    name: &str,
    rpc_port: u16,
    p2p_port: u16,
    kind: &Kind<'_>,
) -> Vec<String> {
    let mut args = vec![
        format!("--lnddir={}", folder.display()),
        format!("--alias={name}"),
        format!("--rpclisten=127.0.0.1:{rpc_port}"),
        format!("--listen=127.0.0.1:{p2p_port}"),
        format!("--restlisten=127.0.0.1:{}", free_port()),
        "--noseedbackup".to_owned(),
        "--nobootstrap".to_owned(),
        "--trickledelay=50".to_owned(),
        "--gossip.sub-batch-delay=5ms".to_owned(),
        "--accept-keysend".to_owned(),
        // A hop that was down must not stay announced as disabled.
        "--chan-disable-timeout=24h".to_owned(),
        "--logging.file.disable".to_owned(),
    ];
    match kind {
        Kind::Regtest(chain) => args.extend([
            "--bitcoin.regtest".to_owned(),
            "--bitcoin.node=btcd".to_owned(),
            "--bitcoin.defaultchanconfs=1".to_owned(),
            format!("--btcd.rpchost={}", chain.rpc_address()),
            format!("--btcd.rpcuser={RPC_USER}"),
            format!("--btcd.rpcpass={RPC_PASSWORD}"),
            format!("--btcd.rpccert={}", chain.certificate().display()),
        ]),
        Kind::Simnet => {
            args.extend(["--bitcoin.simnet".to_owned(), "--bitcoin.node=neutrino".to_owned()]);
        }
    }
    args
}

/// Waits until lnd says that it is in `state` or beyond. The order of the numbers is lnd's.
async fn reach(client: &Client, state: WalletState, process: &mut Process) {
    until(state.as_str_name(), START_WITHIN, async || {
        assert!(process.is_running(), "lnd ended while starting");
        is_at(client, state).await
    })
    .await;
}

async fn is_at(client: &Client, state: WalletState) -> Result<(), String> {
    let answer = client.state().get_state(GetStateRequest {}).await;
    let now = answer.map_err(|status| status.to_string())?.into_inner().state();
    // WAITING_TO_START has the greatest number and is the earliest of all.
    if now != WalletState::WaitingToStart && now >= state {
        Ok(())
    } else {
        Err(now.as_str_name().to_owned())
    }
}

async fn identity(client: &Client) -> String {
    until("lnd's identity", START_WITHIN, async || {
        let answer = client.lightning().get_info(GetInfoRequest {}).await;
        answer.map(|it| it.into_inner().identity_pubkey).map_err(|status| status.to_string())
    })
    .await
}

/// How many active channels the node sees with the peer `identity`.
async fn active(client: &Client, identity: &str) -> Result<usize, String> {
    let request = ListChannelsRequest { active_only: true, ..Default::default() };
    let listed = client.lightning().list_channels(request).await;
    let listed = listed.map_err(|status| status.to_string())?.into_inner().channels;
    Ok(listed.iter().filter(|channel| channel.remote_pubkey == identity).count())
}

/// Prints the last lines of nodes' output when a story fails.
pub(crate) struct TailOnPanic(Vec<(String, PathBuf)>);

impl TailOnPanic {
    /// Watches several nodes at once.
    pub(super) fn of(nodes: &[&Node]) -> TailOnPanic {
        TailOnPanic(nodes.iter().map(|node| (node.name.clone(), node.output.clone())).collect())
    }
}

impl Drop for TailOnPanic {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for (name, output) in &self.0 {
            eprintln!("--- the last lines of {name}\n{}", tail(output, TAIL_LINES));
        }
    }
}
