//! `switchyard sim`: the simulated network as a process, and its control face.

mod control;
mod record;
mod run;

use std::path::PathBuf;

use bootstrap::Exit;
use clap::{Args, Subcommand};

pub(crate) use control::Network;
pub(crate) use run::Run;

use crate::{cli, failure::Failure, output::Output};

#[derive(Args)]
pub(crate) struct Sim {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Where the simulated network says that it is.
#[derive(Args)]
pub(crate) struct Place {
    /// Data folder (or ready file) of the simulated network [default: network/ in --data].
    #[arg(long, global = true, env = "SWITCHYARD_SIM", value_name = "DIR")]
    sim: Option<PathBuf>,
    /// Data folder: of the platform that the network belongs to; for `run`, the network's own.
    #[arg(long, global = true, env = "SWITCHYARD_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Start a network of six nodes that speak LND's gRPC, or start it again as it was.
    Run(Run),
    #[command(flatten)]
    Call(Call),
}

/// Commands that ask a running network, answer and end.
#[derive(Subcommand)]
enum Call {
    /// The nodes: where they are, what they have, what is wrong with them.
    Nodes,
    /// Make an invoice on a node, as a payee outside would.
    Invoice(control::Invoice),
    /// Pay an invoice from a node, as a payer outside would.
    Pay(control::Pay),
    /// What a node knows of a payment hash: its invoice, its payment.
    Lookup(control::Lookup),
    /// Settle a hold invoice with its preimage.
    Settle(control::Settle),
    /// Cancel an invoice.
    Cancel(control::Lookup),
    /// Break something by name, until cleared.
    #[command(after_help = control::FAULTS)]
    Fault(control::Fault),
    /// Mend a node, or all of them.
    Clear(control::Clear),
    /// Let a payment go on that the fault `stuck` holds.
    Release(control::Release),
    /// Take a node down and bring it up again.
    Restart(control::Restart),
    /// Every hash that was really paid on the network, and how often.
    Settlements(control::Settlements),
}

impl Sim {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        let call = match self.command {
            Command::Run(run) => {
                let data = self.place.data.ok_or_else(|| {
                    Failure::invalid("no data folder: give --data, or set SWITCHYARD_DATA")
                })?;
                return run.run(data, out).await;
            }
            Command::Call(call) => call,
        };
        cli::start_command_log()?;
        let network = control::Network::find(&self.place)?;
        match call {
            Call::Nodes => network.nodes(out).await,
            Call::Invoice(invoice) => network.invoice(invoice, out).await,
            Call::Pay(pay) => network.pay(pay, out).await,
            Call::Lookup(lookup) => network.lookup(lookup, out).await,
            Call::Settle(settle) => network.settle(settle, out).await,
            Call::Cancel(cancel) => network.cancel(cancel, out).await,
            Call::Fault(fault) => network.fault(fault, out).await,
            Call::Clear(clear) => network.clear(clear, out).await,
            Call::Release(release) => network.release(release, out).await,
            Call::Restart(restart) => network.restart(restart, out).await,
            Call::Settlements(settlements) => network.settlements(settlements, out).await,
        }
    }
}
