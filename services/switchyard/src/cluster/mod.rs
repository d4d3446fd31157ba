//! Switchyard as several processes over one database: gateways without state, engines that own organisations.

mod engine;
mod gateway;
mod guide;
mod hints;
mod local;
mod postgres;

pub(crate) use engine::{Flags as EngineFlags, run as run_engine};
pub(crate) use gateway::run as run_gateway;
pub(crate) use local::{Flags as LocalFlags, run as run_local};

use placement::ClusterSecret;

use crate::failure::Failure;

const CLUSTER_SECRET: &str = "SWITCHYARD_CLUSTER_SECRET";

/// What the pods of a cluster show each other: only in the environment, where neither a list of processes
/// nor a configuration shows it.
fn secret() -> Result<ClusterSecret, Failure> {
    let Ok(secret) = std::env::var(CLUSTER_SECRET) else {
        let message =
            format!("{CLUSTER_SECRET} must hold the secret that the cluster's pods share");
        return Err(Failure::invalid(message));
    };
    ClusterSecret::new(&secret)
        .map_err(|error| Failure::invalid(format!("{CLUSTER_SECRET}: {error}")))
}
