//! The shape of the command line.

use std::fmt::Write as _;

use bootstrap::{Exit, log};
use clap::{Parser, Subcommand};

use crate::{
    cluster, demo, events,
    failure::Failure,
    installation::{self, Plain},
    key, line, node, org,
    output::Output,
    payment, pods, restore, sim, standalone, wallet,
};

#[derive(Parser)]
#[command(name = "switchyard", version, about = "An enterprise Lightning payments platform")]
#[command(after_help = exit_codes(), arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Answer with one JSON document on stdout; amounts are whole msat.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the platform with a simulated network and a demo organisation, ready to pay.
    Demo(standalone::Flags),
    /// Run the whole platform in one process.
    Standalone(standalone::Flags),
    /// Of a cluster: serve customers and the operator; keeps nothing and owns nothing.
    Gateway(standalone::Flags),
    /// Of a cluster: own organisations, and serve the other pods.
    Engine(cluster::EngineFlags),
    /// Run a cluster on this machine: PostgreSQL, engines, gateways, a simulated network, ready to pay.
    Cluster(cluster::LocalFlags),
    /// The simulated Lightning network: run it, pay and be paid from outside, break it.
    Sim(sim::Sim),
    #[command(flatten)]
    Call(Call),
}

/// Commands that ask a running platform, answer and end.
#[derive(Subcommand)]
enum Call {
    /// Pay an invoice, once.
    Pay(payment::Pay),
    /// Make an invoice, to be paid.
    Invoice(payment::Invoice),
    /// What became of payments, outgoing and incoming.
    Payment(payment::Payment),
    /// Read an invoice; changes nothing.
    Decode(payment::Decode),
    /// Wallets: balances and ledger entries; for the operator: make them, set limits.
    Wallet(wallet::Wallet),
    /// Lines of credit.
    Line(line::Line),
    /// Everything that happens in the key's environment, in order.
    Events(events::Events),

    /// Organisations (operator).
    Org(org::Org),
    /// Environments of an organisation (operator).
    #[command(visible_alias = "environment")]
    Env(org::Env),
    /// API keys (operator).
    Key(key::Key),
    /// Lightning nodes (operator).
    Node(node::Node),
    /// What there is, and whether it goes well (operator).
    Status(Plain),
    /// Compare journal, ledger and every node's own books (operator).
    Audit(Plain),
    /// Whether every outgoing send is frozen, and why (operator).
    Frozen(Plain),
    /// After a database or a node was restored: what differs, and what the nodes' records prove (operator).
    Restore(restore::Restore),
    /// Let sends go on after a freeze, once a person has looked; without one, change nothing (operator).
    Thaw(installation::Thaw),
    /// Which engines are alive and own how much (operator).
    Pods(pods::Pods),
}

impl Cli {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        match self.command {
            // These start a log of their own.
            Command::Demo(flags) => demo::run(flags, out).await,
            Command::Standalone(flags) => standalone::run(flags, out).await,
            Command::Gateway(flags) => cluster::run_gateway(flags, out).await,
            Command::Cluster(flags) => cluster::run_local(flags, out).await,
            Command::Engine(flags) => cluster::run_engine(flags, out).await,
            Command::Sim(sim) => sim.run(out).await,
            Command::Call(call) => {
                start_command_log()?;
                call.run(out).await
            }
        }
    }
}

impl Call {
    async fn run(self, out: &Output) -> Result<Exit, Failure> {
        match self {
            Call::Pay(pay) => pay.run(out).await,
            Call::Invoice(invoice) => invoice.run(out).await,
            Call::Payment(payment) => payment.run(out).await,
            Call::Decode(decode) => decode.run(out).await,
            Call::Wallet(wallet) => wallet.run(out).await,
            Call::Line(line) => line.run(out).await,
            Call::Events(events) => events.run(out).await,
            Call::Org(org) => org.run(out).await,
            Call::Env(env) => env.run(out).await,
            Call::Key(key) => key.run(out).await,
            Call::Node(node) => node.run(out).await,
            Call::Status(plain) => plain.status(out).await,
            Call::Audit(plain) => plain.audit(out).await,
            Call::Frozen(plain) => plain.frozen(out).await,
            Call::Restore(restore) => restore.run(out).await,
            Call::Thaw(thaw) => thaw.run(out).await,
            Call::Pods(pods) => pods.run(out).await,
        }
    }
}

/// The log of a command that answers and ends; `RUST_LOG` says more.
pub(crate) fn start_command_log() -> Result<(), Failure> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| log::FOR_COMMANDS.to_owned());
    Ok(log::start(&filter, log::Format::Text)?)
}

fn exit_codes() -> String {
    let mut text = "Exit codes:".to_owned();
    for exit in Exit::ALL {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {:>3}  {}", exit.code(), exit.meaning());
    }
    text
}
