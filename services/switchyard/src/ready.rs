//! The files in which a running process says where it is, written once it serves.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use bootstrap::{Config, Exit, files};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::net::TcpListener;

use crate::{
    failure::{Failure, of_a_path},
    listeners, stores,
};

pub(crate) const FILE: &str = "ready.json";

/// A simulated network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Network {
    pub(crate) control_address: SocketAddr,
    pub(crate) control_token_file: PathBuf,
    pub(crate) data: PathBuf,
    /// Tells a file of this life from one that a killed process left behind.
    pub(crate) pid: u32,
    pub(crate) network: String,
    pub(crate) nodes: Vec<NetworkNode>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NetworkNode {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) address: SocketAddr,
    /// 33 bytes in hex.
    pub(crate) identity: String,
    pub(crate) certificate_file: PathBuf,
    /// May pay, receive and observe: what Switchyard wants.
    pub(crate) macaroon_file: PathBuf,
    /// May everything: too strong.
    pub(crate) admin_macaroon_file: PathBuf,
    /// Too weak.
    pub(crate) observe_macaroon_file: PathBuf,
}

/// Mode 0600, and there wholly or not at all: it may hold a secret.
pub(crate) fn write<T: Serialize>(path: &Path, ready: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(ready).map_err(Failure::bug)?;
    Ok(files::write_secret(path, &text)?)
}

/// Reads where a process is. One that has not started, or has stopped, is not available.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let path = path.display();
        if error.kind() == io::ErrorKind::NotFound {
            let message = format!("{what}: is not running ({path})");
            return Failure::new(Exit::Unavailable, "not_running", message);
        }
        of_a_path(error.kind(), format!("{what}: {error} ({path})"))
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::invalid(format!("{} is not of {what}: {error}", path.display())))
}

/// Where the data folder of a demonstration keeps its simulated network.
pub(crate) fn network_folder(data: &Path) -> PathBuf {
    data.join("network")
}

/// Where a demonstration keeps the API key of its organisation.
pub(crate) const DEMO_KEY_FILE: &str = "demo.key";

/// Where a platform keeps the operator's token.
pub(crate) const ADMIN_TOKEN_FILE: &str = "admin.token";

/// What the file of a platform says. Only the file: what is printed ends up in logs.
#[derive(Serialize)]
pub(crate) struct WithToken<'a> {
    #[serde(flatten)]
    pub(crate) platform: &'a Platform,
    pub(crate) admin_token: &'a str,
}

/// A running platform.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Platform {
    /// For customers' calls.
    pub(crate) address: SocketAddr,
    /// For the operator's calls.
    pub(crate) admin_address: SocketAddr,
    pub(crate) admin_token_file: PathBuf,
    #[serde(flatten)]
    pub(crate) process: Process,
}

impl Platform {
    /// Where it is, as it listens.
    pub(crate) fn of(
        config: &Config,
        public: &TcpListener,
        admin: &TcpListener,
        metrics: Option<&TcpListener>,
        admin_token_file: PathBuf,
    ) -> Result<Platform, Failure> {
        Ok(Platform {
            address: listeners::local_address(public)?,
            admin_address: listeners::local_address(admin)?,
            admin_token_file,
            process: Process::of(config, metrics)?,
        })
    }
}

/// A running engine of a cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Engine {
    /// For the calls of other pods.
    pub(crate) engine_address: SocketAddr,
    /// Where they reach it.
    pub(crate) advertised: String,
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) process: Process,
}

/// What a process that serves over a store says of itself, whatever else it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Process {
    /// For whoever watches: metrics, health and readiness, if anybody does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metrics_address: Option<SocketAddr>,
    pub(crate) data: PathBuf,
    pub(crate) pid: u32,
    pub(crate) network: String,
    /// sqlite or postgres.
    pub(crate) store: String,
    pub(crate) version: String,
}

impl Process {
    pub(crate) fn of(config: &Config, metrics: Option<&TcpListener>) -> Result<Process, Failure> {
        Ok(Process {
            metrics_address: listeners::metrics_address(metrics)?,
            data: config.data.clone(),
            pid: std::process::id(),
            network: config.network.name().to_owned(),
            store: stores::name(&config.store).to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }
}
