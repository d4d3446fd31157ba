//! The listeners of customers and of the operator, over whatever carries their calls out.

use std::{net::SocketAddr, path::PathBuf};

use bootstrap::{Config, Exit, files, random};
use gateway::{AdminToken, Gateway, ServeError};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{
    failure::{Failure, chain},
    ready,
};

pub(crate) const ADMIN_TOKEN: &str = "SWITCHYARD_ADMIN_TOKEN";

/// What the operator shows, and the file in which the commands of this machine find it.
pub(crate) struct AdminSecret {
    pub(crate) text: String,
    pub(crate) file: PathBuf,
    token: AdminToken,
}

impl AdminSecret {
    /// The one given in the environment, which several gateways share, or that of the data folder, which
    /// is made for one that has none yet.
    pub(crate) fn find(config: &Config) -> Result<AdminSecret, Failure> {
        let file = config.data.join(ready::ADMIN_TOKEN_FILE);
        let given = std::env::var(ADMIN_TOKEN).ok();
        let place = given.as_ref().map_or(file.display().to_string(), |_| ADMIN_TOKEN.to_owned());
        match &given {
            Some(given) => files::write_secret(&file, given)?,
            None if !file.exists() => files::write_secret(&file, &random::token()?)?,
            None => {}
        }
        let text = files::read_secret(&file)?;
        let token = AdminToken::new(&text)
            .map_err(|error| Failure::invalid(format!("{place}: {error}")))?;
        Ok(AdminSecret { text, file, token })
    }
}

/// Open from its making on.
pub(crate) struct Door {
    servers: JoinSet<Result<(), ServeError>>,
    stop: watch::Sender<bool>,
}

impl Door {
    pub(crate) fn open(
        public: TcpListener,
        admin: TcpListener,
        gateway: Gateway,
        secret: AdminSecret,
    ) -> Door {
        let stop = watch::Sender::new(false);
        let mut servers = JoinSet::new();
        servers.spawn(gateway::serve_public(public, gateway.clone(), told(&stop)));
        servers.spawn(gateway::serve_admin(admin, gateway, secret.token, told(&stop)));
        Door { servers, stop }
    }

    /// Returns when a listener has ended that was not told to.
    pub(crate) async fn failed(&mut self) -> Failure {
        listener_failed(self.servers.join_next().await)
    }

    /// Takes no more calls, and lets those under way end.
    pub(crate) async fn close(mut self) {
        self.stop.send_replace(true);
        while let Some(ended) = self.servers.join_next().await {
            if let Ok(Err(error)) = ended {
                tracing::warn!(error = chain(&error), "a listener did not end well");
            }
        }
    }
}

pub(crate) fn told(stop: &watch::Sender<bool>) -> impl Future<Output = ()> + use<> {
    let mut stop = stop.subscribe();
    async move {
        // The sender lives as long as the process serves; gone, it is time to stop as well.
        drop(stop.wait_for(|stop| *stop).await);
    }
}

/// How a listener ended that should not have.
pub(crate) fn listener_failed<E: std::error::Error>(
    ended: Option<Result<Result<(), E>, tokio::task::JoinError>>,
) -> Failure {
    let why = match ended {
        Some(Ok(Err(error))) => chain(&error),
        Some(Err(error)) => chain(&error),
        Some(Ok(Ok(()))) | None => "it ended".to_owned(),
    };
    Failure::new(Exit::Bug, "internal", format!("a listener failed: {why}"))
}

pub(crate) fn warn_if_exposed(admin: SocketAddr) {
    if !admin.ip().is_loopback() {
        tracing::warn!(address = %admin, "the operator's token travels unencrypted");
    }
}
