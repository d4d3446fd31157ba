//! `switchyard sim run`: a network as a process of its own.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use bootstrap::{
    Exit, Signals,
    files::{self, FolderLock},
    log,
};
use clap::Args;
use lightning_sim::{Chain, Config, Endpoint, JournalError, SimError, control_proto};
use serde_json::json;

use crate::{
    failure::{Failure, chain},
    leash::Leash,
    output::Output,
    ready,
};

#[derive(Args)]
pub(crate) struct Run {
    /// Where to say that the network serves, and where [default: ready.json in --data].
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// How long each node takes for a payment, from now on.
    #[arg(long, value_name = "N")]
    latency_ms: Option<u64>,
    /// Channels that millions of payments do not exhaust. Counts at the first start.
    #[arg(long)]
    huge_liquidity: bool,
    /// The same node identities for every network begun with this number.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// mainnet, testnet, signet or regtest. Counts at the first start.
    #[arg(long, default_value = "regtest", value_parser = chain_named)]
    network: Chain,
    /// Stop when stdin closes: a child does not outlive whoever started it.
    #[arg(long, hide = true)]
    while_stdin: bool,
}

fn chain_named(name: &str) -> Result<Chain, String> {
    [Chain::Mainnet, Chain::Testnet, Chain::Signet, Chain::Regtest]
        .into_iter()
        .find(|chain| chain.name() == name)
        .ok_or_else(|| "must be mainnet, testnet, signet or regtest".to_owned())
}

impl Run {
    pub(super) async fn run(self, data: PathBuf, out: &Output) -> Result<Exit, Failure> {
        let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| log::FOR_SERVERS.to_owned());
        log::start(&filter, log::Format::Text)?;
        let mut signals = Signals::catch().map_err(Failure::bug)?;
        if data.join(ready::ADMIN_TOKEN_FILE).exists() {
            let message = format!("{} is the data folder of a platform", data.display());
            return Err(Failure::invalid(format!("{message}; give --data a folder of its own")));
        }
        files::private_folder(&data)?;
        let data = data.canonicalize().map_err(Failure::bug)?;
        let _lock = FolderLock::take(&data)?;
        let ready_file = self.ready_file.clone().unwrap_or_else(|| data.join(ready::FILE));
        // Only now: until the lock is ours, the file may be of a network that runs.
        files::remove(&ready_file)?;

        let sim = lightning_sim::Sim::start(self.config(&data)).await.map_err(refused)?;
        if let Some(latency_ms) = self.latency_ms {
            set_latency(&sim, latency_ms).await?;
        }
        let ready = describe(&sim, &data, self.network);
        ready::write(&ready_file, &ready)?;
        out.answer(&json!({ "ready_file": ready_file, "ready": ready }), || {
            format!("the simulated network serves; see {}", ready_file.display())
        });

        let mut leash = Leash::new(self.while_stdin);
        let why = tokio::select! {
            signal = signals.asked() => signal,
            () = leash.let_go() => "end of stdin",
        };
        tracing::info!(why, "stopping");
        files::remove(&ready_file)?;
        tokio::select! {
            () = sim.stop() => Ok(Exit::Done),
            _ = signals.asked() => Ok(Exit::Interrupted),
        }
    }

    fn config(&self, data: &Path) -> Config {
        let mut config = Config::demo(data);
        config.network = self.network;
        if let Some(seed) = self.seed {
            config = config.seeded(seed);
        }
        if self.huge_liquidity { config.huge_liquidity() } else { config }
    }
}

/// The data folder keeps the latency of the first start; the flag counts at each.
async fn set_latency(sim: &lightning_sim::Sim, latency_ms: u64) -> Result<(), Failure> {
    const CONTROL_ANSWERS_WITHIN: Duration = Duration::from_secs(5);
    let mut control = sim.control().map_err(refused)?;
    for endpoint in sim.endpoints() {
        let node = endpoint.name.clone();
        let set = control.set_latency(control_proto::SetLatencyRequest { node, latency_ms });
        let answer = tokio::time::timeout(CONTROL_ANSWERS_WITHIN, set).await;
        answer.map_err(Failure::bug)?.map_err(Failure::bug)?;
    }
    Ok(())
}

fn describe(sim: &lightning_sim::Sim, data: &Path, network: Chain) -> ready::Network {
    ready::Network {
        control_address: sim.control_address(),
        control_token_file: data.join("control.token"),
        data: data.to_owned(),
        pid: std::process::id(),
        network: network.name().to_owned(),
        nodes: sim.endpoints().map(describe_node).collect(),
    }
}

fn describe_node(endpoint: &Endpoint) -> ready::NetworkNode {
    ready::NetworkNode {
        name: endpoint.name.clone(),
        role: endpoint.role.name().to_owned(),
        address: endpoint.address,
        identity: endpoint.identity_pubkey.clone(),
        certificate_file: endpoint.tls_cert_path.clone(),
        macaroon_file: endpoint.switchyard.path.clone(),
        admin_macaroon_file: endpoint.admin.path.clone(),
        observe_macaroon_file: endpoint.observe.path.clone(),
    }
}

fn refused(error: SimError) -> Failure {
    let message = format!("the simulated network cannot start: {}", chain(&error));
    match error {
        SimError::Journal(JournalError::Held) => {
            Failure::new(Exit::AlreadyRunning, "already_running", message)
        }
        SimError::Io(_) => Failure::new(Exit::Unavailable, "unavailable", message),
        SimError::Config(_) => Failure::invalid(message),
        SimError::Journal(_) | SimError::Identity(_) | SimError::Tls(_) => {
            Failure::new(Exit::Bug, "internal", message)
        }
    }
}
