//! Ports that are ours from now on.

use std::net::SocketAddr;

use bootstrap::{Config, Exit, Listen};
use tokio::net::TcpListener;

use crate::{failure::Failure, output::Output};

/// For customers, for the operator, for whoever watches.
pub(crate) struct Listeners {
    pub(crate) public: TcpListener,
    pub(crate) admin: TcpListener,
    pub(crate) metrics: Option<TcpListener>,
}

impl Listeners {
    pub(crate) async fn bind(config: &Config) -> Result<Listeners, Failure> {
        Ok(Listeners {
            public: bind(config.listen.address()).await?,
            admin: bind(config.admin_listen.address()).await?,
            metrics: bind_metrics(config).await?,
        })
    }

    /// The ports asked for; where nobody asked and the usual ones are taken, others.
    pub(crate) async fn bind_near(config: &Config, out: &Output) -> Result<Listeners, Failure> {
        Ok(Listeners {
            public: bind_near(config.listen, out).await?,
            admin: bind_near(config.admin_listen, out).await?,
            metrics: bind_metrics(config).await?,
        })
    }
}

pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new(Exit::Unavailable, "address_unusable", format!("{address}: {error}"))
    })
}

pub(crate) async fn bind_metrics(config: &Config) -> Result<Option<TcpListener>, Failure> {
    match config.metrics_listen {
        Some(address) => bind(address).await.map(Some),
        None => Ok(None),
    }
}

async fn bind_near(listen: Listen, out: &Output) -> Result<TcpListener, Failure> {
    match (listen, bind(listen.address()).await) {
        (Listen::Usual(address), Err(taken)) => {
            out.say(&format!("{}; another port is taken", taken.message));
            bind(SocketAddr::new(address.ip(), 0)).await
        }
        (Listen::Usual(_) | Listen::Asked(_), bound) => bound,
    }
}

pub(crate) fn local_address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(Failure::bug)
}

pub(crate) fn metrics_address(
    metrics: Option<&TcpListener>,
) -> Result<Option<SocketAddr>, Failure> {
    metrics.map(local_address).transpose()
}
