//! What every process that serves has in common: it starts, says where it is, and stops when it is told to.

use bootstrap::{Exit, Signals};
use serde_json::Value;

use crate::{failure::Failure, leash::Leash, output::Output};

pub(crate) trait Process: Sized {
    /// Where it is, for programs and for people.
    fn told(&self) -> Result<(Value, String), Failure>;

    /// Returns when it cannot go on.
    fn failed(&mut self) -> impl Future<Output = Failure>;

    /// Takes nothing new, ends what is under way, and puts everything down in order.
    fn stop(self) -> impl Future<Output = Result<(), Failure>>;
}

/// Runs it until somebody asks it to stop, or it cannot go on.
pub(crate) async fn run<P: Process>(
    starting: impl Future<Output = Result<P, Failure>>,
    mut signals: Signals,
    mut leash: Leash,
    out: &Output,
) -> Result<Exit, Failure> {
    let mut process = tokio::select! {
        started = starting => started?,
        _ = signals.asked() => return Ok(Exit::Interrupted),
        () = leash.let_go() => return Ok(Exit::Interrupted),
    };
    let (document, text) = process.told()?;
    out.answer(&document, || text);
    let failure = tokio::select! {
        signal = signals.asked() => {
            tracing::info!(signal, "stopping");
            None
        }
        () = leash.let_go() => {
            tracing::info!("stopping at the end of stdin");
            None
        }
        failure = process.failed() => Some(failure),
    };
    tokio::select! {
        stopped = process.stop() => stopped?,
        _ = signals.asked() => return Ok(Exit::Interrupted),
    }
    failure.map_or(Ok(Exit::Done), Err)
}
