//! Flags that every process has which serves.

use std::{net::SocketAddr, path::PathBuf};

use bootstrap::{Config, RedisUrl, Settings, StoreChoice, Telemetry, config, files, log, traces};
use clap::Args;
use domain::Network;
use ports::placement::LeaseLength;

use crate::{failure::Failure, leash::Leash};

#[derive(Args)]
pub(crate) struct Common {
    /// Everything that the process keeps is in here.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Written once the process serves: addresses, token, pid [default: ready.json in --data].
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// sqlite (in the data folder) or postgres://… [default: sqlite].
    #[arg(long)]
    store: Option<StoreChoice>,
    /// mainnet, testnet, signet, mutinynet or regtest [default: regtest].
    #[arg(long, value_parser = config::parse_network)]
    network: Option<Network>,
    /// redis://…, for hints between the pods of a cluster [default: they do without].
    #[arg(long, value_name = "URL")]
    redis: Option<RedisUrl>,
    /// How long a process is waited for that says nothing before another takes over; what it permits its nodes
    /// lasts as long. From 2000 to 10000, the same for all pods of a database. Where they differ no payment is
    /// lost or made twice: each engine is taken over after its own time, and a gateway holds calls for its own
    /// [default: 5000].
    #[arg(long, value_name = "MS", allow_hyphen_values = true)]
    lease_ms: Option<LeaseLength>,
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
    /// Stop when stdin closes: a child does not outlive whoever started it.
    #[arg(long, hide = true)]
    while_stdin: bool,
}

impl Common {
    pub(crate) fn leash(&self) -> Leash {
        Leash::new(self.while_stdin)
    }

    /// The configuration in force, its data folder made and everything started that watches. `own`: the
    /// command's further flags.
    pub(crate) fn load(
        self,
        own: Settings,
        defaults: Settings,
    ) -> Result<(Config, Telemetry), Failure> {
        let flags = Settings {
            data: self.data,
            ready_file: self.ready_file,
            store: self.store,
            network: self.network,
            redis: self.redis,
            lease_ms: self.lease_ms,
            log: self.log,
            log_format: self.log_format,
            metrics_listen: self.metrics_listen,
            otlp_endpoint: self.otlp_endpoint,
            trace_ratio: self.trace_ratio,
            ..own
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
