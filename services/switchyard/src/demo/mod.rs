//! `switchyard demo`: a simulated network beside the platform, onboarded and ready to pay.

pub(crate) mod guide;
pub(crate) mod network;
pub(crate) mod onboard;

use std::{net::SocketAddr, path::PathBuf};

use bootstrap::{Exit, Settings, Signals, files::FolderLock};

use crate::{
    client::Connection, failure::Failure, listeners::Listeners, names, output::Output,
    platform::Platform, ready, standalone::Flags,
};

/// Beside the sources, and ignored by git.
const DATA: &str = "data/demo";
/// What a person at a terminal wants to know; the guide says the rest.
const LOG: &str = "warn,h2=error,hyper=error,tonic=error,ractor=error";

pub(crate) async fn run(flags: Flags, out: &Output) -> Result<Exit, Failure> {
    let defaults = Settings {
        data: Some(PathBuf::from(DATA)),
        log: Some(LOG.to_owned()),
        metrics_listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        ..Settings::default()
    };
    let (config, telemetry) = flags.load(defaults)?;
    let mut signals = Signals::catch().map_err(Failure::bug)?;
    let lock = FolderLock::take(&config.data)?;
    let listeners = Listeners::bind_near(&config, out).await?;

    out.say("starting the simulated Lightning network");
    let mut network = network::Child::start(&config.data).await?;
    out.say("starting the platform");
    let starting = Platform::start(&config, lock, listeners, telemetry);
    let mut platform = tokio::select! {
        started = starting => started?,
        _ = signals.asked() => return Ok(Exit::Interrupted),
    };
    let invited = tokio::select! {
        invited = invite(platform.ready(), &network, out) => invited,
        _ = signals.asked() => Ok(None),
    };
    let (asked_to_stop, mut outcome) = match invited {
        Ok(Some(())) => (false, Ok(Exit::Done)),
        Ok(None) => (true, Ok(Exit::Done)),
        Err(failure) => (true, Err(failure)),
    };
    if !asked_to_stop {
        tokio::select! {
            _ = signals.asked() => {}
            failure = platform.failed() => outcome = Err(failure),
            failure = network.keep(out) => outcome = Err(failure),
        }
    }
    out.say("stopping; everything is kept");
    let stopping = async {
        platform.stop().await?;
        network.stop().await;
        Ok::<(), Failure>(())
    };
    tokio::select! {
        stopped = stopping => stopped?,
        _ = signals.asked() => return Ok(Exit::Interrupted),
    }
    outcome
}

/// Makes everything that a first payment needs, and shows how to make it.
async fn invite(
    platform: &ready::Platform,
    network: &network::Child,
    out: &Output,
) -> Result<Option<()>, Failure> {
    let to = Connection::of(platform.process.data.clone());
    let house = onboard::onboard(&to, &platform.process.data, &network.ready()?, out).await?;
    let (id, invoice) = (names::id_or_new(None)?, network.invoice().await?);
    guide::show(platform, &house, &guide::FirstPayment { id, invoice }, out);
    Ok(Some(()))
}
