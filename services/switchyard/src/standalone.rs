//! `switchyard standalone`: the whole platform in one process.

use std::{net::SocketAddr, num::NonZeroU32};

use bootstrap::{Config, Exit, Settings, Signals, Telemetry, files::FolderLock};
use clap::Args;
use serde_json::Value;

use crate::{
    failure::Failure,
    leash::Leash,
    listeners::Listeners,
    output::Output,
    platform::Platform,
    process::{self, Process},
    settings::Common,
};

/// Every setting is also a key of the configuration file (`admin_listen`) and a variable of the
/// environment (`SWITCHYARD_ADMIN_LISTEN`).
#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    common: Common,
    /// Where customers call; port 0: a free one [default: 127.0.0.1:7400].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where the operator calls; port 0: a free one [default: 127.0.0.1:7401].
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<SocketAddr>,
    /// What one API key may call in a second in the long run; twice that at once [default: 5000].
    #[arg(long, value_name = "N")]
    calls_per_second: Option<NonZeroU32>,
}

impl Flags {
    pub(crate) fn leash(&self) -> Leash {
        self.common.leash()
    }

    pub(crate) fn load(self, defaults: Settings) -> Result<(Config, Telemetry), Failure> {
        let own = Settings {
            listen: self.listen,
            admin_listen: self.admin_listen,
            calls_per_second: self.calls_per_second,
            ..Settings::default()
        };
        self.common.load(own, defaults)
    }
}

pub(crate) async fn run(flags: Flags, out: &Output) -> Result<Exit, Failure> {
    let leash = flags.leash();
    let (config, telemetry) = flags.load(Settings::default())?;
    let signals = Signals::catch().map_err(Failure::bug)?;
    let lock = FolderLock::take(&config.data)?;
    let listeners = Listeners::bind(&config).await?;
    let starting = Platform::start(&config, lock, listeners, telemetry);
    process::run(starting, signals, leash, out).await
}

impl Process for Platform {
    fn told(&self) -> Result<(Value, String), Failure> {
        let ready = self.ready();
        tracing::info!(address = %ready.address, admin = %ready.admin_address, "serving");
        let document = serde_json::to_value(ready).map_err(Failure::bug)?;
        Ok((document, format!("switchyard serves at {}", ready.address)))
    }

    async fn failed(&mut self) -> Failure {
        Platform::failed(self).await
    }

    async fn stop(self) -> Result<(), Failure> {
        Platform::stop(self).await
    }
}
