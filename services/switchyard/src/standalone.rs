//! `switchyard standalone`: the whole platform in one process.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf};

use bootstrap::{
    Config, Exit, Settings, Signals, StoreChoice, Telemetry, config,
    files::{self, FolderLock},
    log, traces,
};
use clap::Args;
use domain::Network;

use crate::{
    failure::Failure,
    output::Output,
    platform::{Listeners, Platform},
};

/// Every setting is also a key of the configuration file (`admin_listen`) and a variable of the
/// environment (`SWITCHYARD_ADMIN_LISTEN`).
#[derive(Args)]
pub(crate) struct Flags {
    /// Everything that the process keeps is in here.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where customers call; port 0: a free one [default: 127.0.0.1:7400].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where the operator calls; port 0: a free one [default: 127.0.0.1:7401].
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// Written once the platform serves: addresses, token, pid [default: ready.json in --data].
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// sqlite (in the data folder) or postgres://… [default: sqlite].
    #[arg(long)]
    store: Option<StoreChoice>,
    /// mainnet, testnet, signet, mutinynet or regtest [default: regtest].
    #[arg(long, value_parser = config::parse_network)]
    network: Option<Network>,
    /// What one API key may call in a second in the long run; twice that at once [default: 5000].
    #[arg(long, value_name = "N")]
    calls_per_second: Option<NonZeroU32>,
    /// What the log on stderr says, as in RUST_LOG.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// text or json.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<log::Format>,
    /// Where metrics, /healthz and /readyz are, without a token; port 0: a free one [default: nowhere].
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,
    /// Collector of traces, OTLP over gRPC, as http://host:4317 [default: no traces].
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<traces::Endpoint>,
    /// The share of traces that is kept, from 0 to 1 [default: 0.1].
    #[arg(long, value_name = "RATIO")]
    trace_ratio: Option<traces::Ratio>,
    /// TOML; unknown keys are refused.
    #[arg(long, env = "SWITCHYARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Flags {
    /// The configuration in force, its data folder made and everything started that watches.
    pub(crate) fn load(self, defaults: Settings) -> Result<(Config, Telemetry), Failure> {
        let flags = Settings {
            data: self.data,
            listen: self.listen,
            admin_listen: self.admin_listen,
            ready_file: self.ready_file,
            store: self.store,
            network: self.network,
            calls_per_second: self.calls_per_second,
            log: self.log,
            log_format: self.log_format,
            metrics_listen: self.metrics_listen,
            otlp_endpoint: self.otlp_endpoint,
            trace_ratio: self.trace_ratio,
        };
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let mut config = Config::load(flags, environment, self.config.as_deref(), defaults)?;
        let telemetry = Telemetry::start(&config)?;
        files::private_folder(&config.data)?;
        // Absolute: the ready file is read from other folders.
        let unusable = |error| files::FileError::Io { path: config.data.clone(), source: error };
        config.data = config.data.canonicalize().map_err(unusable)?;
        Ok((config, telemetry))
    }
}

pub(crate) async fn run(flags: Flags, out: &Output) -> Result<Exit, Failure> {
    let (config, telemetry) = flags.load(Settings::default())?;
    let mut signals = Signals::catch().map_err(Failure::bug)?;
    let lock = FolderLock::take(&config.data)?;
    let listeners = Listeners::bind(&config).await?;
    let starting = Platform::start(&config, lock, listeners, telemetry);
    let mut platform = tokio::select! {
        started = starting => started?,
        _ = signals.asked() => return Ok(Exit::Interrupted),
    };
    let ready = platform.ready();
    tracing::info!(address = %ready.address, admin = %ready.admin_address, "serving");
    let document = serde_json::to_value(ready).map_err(Failure::bug)?;
    out.answer(&document, || format!("switchyard serves at {}", ready.address));

    let failure = tokio::select! {
        signal = signals.asked() => {
            tracing::info!(signal, "stopping");
            None
        }
        failure = platform.failed() => Some(failure),
    };
    tokio::select! {
        stopped = platform.stop() => stopped?,
        _ = signals.asked() => return Ok(Exit::Interrupted),
    }
    failure.map_or(Ok(Exit::Done), Err)
}
