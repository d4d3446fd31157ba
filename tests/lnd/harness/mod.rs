//! Three real lnd on a private regtest chain: `pool` — `hop` — `far`.
//!
//! `story` plays one test on a network that all tests of this process share, one at a time.
//! Each channel starts with half of its capacity on either side, so that money flows both ways.

mod calls;
mod chain;
mod client;
mod macaroon;
mod node;
mod pin;
mod process;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

pub(crate) use calls::{Invoice, follow, payment_of, secret};
pub(crate) use chain::Chain;
pub(crate) use client::Client;
pub(crate) use macaroon::{good_until, hex, unhex, with_caveat};
pub(crate) use node::{Endpoint, Node};
pub(crate) use process::{tail, until};

use node::{Kind, TailOnPanic};
use process::Folder;

/// Below lnd's limit of 16,777,215 sat for a channel that is not "wumbo".
const CHANNEL_SAT: i64 = 16_000_000;
const FUNDS_SAT: u64 = 200_000_000;
const CHANNELS: usize = 2;

/// The private network. Everything ends when it is dropped, or when this process ends in any way.
pub(crate) struct Network {
    /// The house's node: pays, receives, gets killed.
    pub(crate) pool: Node,
    /// Between the other two.
    pub(crate) hop: Node,
    /// The rest of the world.
    pub(crate) far: Node,
    pub(crate) chain: Chain,
    binaries: PathBuf,
    spares: AtomicU32,
    folder: Folder, // Last, as fields are dropped in order: the nodes write there.
}

impl Network {
    /// Builds the binaries if they are not there, and starts everything: about 20 s.
    pub(crate) async fn start() -> Network {
        let binaries = build();
        let folder = Folder::new();
        let chain = Chain::start(&binaries.join("btcd"), &folder.sub("btcd")).await;
        let lnd = binaries.join("lnd");
        let launch =
            async |name| Node::start(&lnd, &folder.sub(name), name, Kind::Regtest(&chain)).await;
        let (pool, hop, far) = tokio::join!(launch("pool"), launch("hop"), launch("far"));
        let spares = AtomicU32::new(0);
        let network = Network { pool, hop, far, chain, binaries, spares, folder };
        let _told = network.tail_on_panic();
        network.open_channels().await;
        network
    }

    async fn open_channels(&self) {
        let mut addresses = Vec::new();
        for node in self.nodes() {
            addresses.push(node.new_address().await);
        }
        self.chain.fund(&addresses, FUNDS_SAT);
        let funds = i64::try_from(FUNDS_SAT).expect("fits");
        for node in self.nodes() {
            node.wait_funds(funds).await;
        }
        for (opener, other) in [(&self.pool, &self.hop), (&self.hop, &self.far)] {
            opener.connect(other).await;
            opener.open_channel(other, CHANNEL_SAT, CHANNEL_SAT / 2).await;
        }
        self.chain.mine(6);
        self.settle_down().await;
    }

    pub(crate) fn nodes(&self) -> [&Node; 3] {
        [&self.pool, &self.hop, &self.far]
    }

    pub(crate) fn node(&self, name: &str) -> &Node {
        self.nodes().into_iter().find(|node| node.name() == name).expect("a node has this name")
    }

    /// Starts what a story has left dead, or half alive, and waits until payments can flow.
    pub(crate) async fn mend(&self) {
        let boot = async |node: &Node| {
            if !node.serves().await {
                node.kill9();
                node.boot().await;
            }
        };
        tokio::join!(boot(&self.pool), boot(&self.hop), boot(&self.far));
        self.settle_down().await;
        for node in self.nodes() {
            node.reset_mission_control().await;
        }
    }

    /// Waits until every channel is active on both sides and known to everybody.
    async fn settle_down(&self) {
        for node in self.nodes() {
            node.rejoin().await;
            node.wait_graph(CHANNELS).await;
        }
    }

    /// One more node on the same chain, without peers: a node "restored" with another identity.
    pub(crate) async fn stranger(&self) -> Node {
        self.spare("stranger", Kind::Regtest(&self.chain)).await
    }

    /// A node of another network. It answers GetInfo and GetState, and no payment works.
    pub(crate) async fn foreigner(&self) -> Node {
        self.spare("foreigner", Kind::Simnet).await
    }

    async fn spare(&self, name: &str, kind: Kind<'_>) -> Node {
        let number = self.spares.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.sub(&format!("{name}-{number}"));
        Node::start(&self.binaries.join("lnd"), &folder, name, kind).await
    }

    /// Shows the end of every node's output if the holder panics.
    pub(crate) fn tail_on_panic(&self) -> TailOnPanic {
        TailOnPanic::of(&self.nodes())
    }
}

/// Plays one story on the shared network, alone, after mending what an earlier one left.
///
/// The runtime is shared too: a connection dies with the runtime that made it.
pub(crate) fn story(play: impl AsyncFnOnce(&'static Network)) {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
    static NETWORK: OnceCell<Network> = OnceCell::const_new();
    static TRIED: AtomicBool = AtomicBool::new(false);
    static TURN: Mutex<()> = Mutex::new(());

    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    RUNTIME.block_on(async {
        let start = async || {
            let tried = TRIED.swap(true, Ordering::Relaxed);
            assert!(!tried, "the network did not start, see the first failed story");
            Network::start().await
        };
        let network = NETWORK.get_or_init(start).await;
        let _told = network.tail_on_panic();
        network.mend().await;
        play(network).await;
    });
}

/// Runs `nodes/build.sh`, which prints the folder of the binaries.
fn build() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("lnd/nodes/build.sh");
    let built = Command::new("bash").arg(script).stderr(Stdio::inherit()).output();
    let built = built.expect("bash can be started");
    assert!(built.status.success(), "lnd and btcd could not be built");
    PathBuf::from(String::from_utf8(built.stdout).expect("a path").trim())
}
