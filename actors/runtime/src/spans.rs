//! The spans of a payment's trace below the one that the edge begins.
//!
//! ```text
//! request ─▶ organisation ─▶ commit
//!                 └────────▶ node ─▶ organisation ─▶ commit
//! ```
//!
//! They are at `debug`, so that where nobody traces they cost one comparison; what is logged on their
//! way is then still of the request ([`Span::or_current`]). What no request began has a trace of its own
//! where it matters: a receipt, and what is carried on after a load. What is only driven has none.

use domain::{PaymentId, org::Command};
use tracing::{Span, debug_span, field::display};

use crate::org::subject;

/// The first span of what no request began.
pub(crate) fn work(kind: &'static str) -> Span {
    debug_span!(parent: None, "work", kind)
}

/// Asking an organisation, from the mailbox to the answer.
pub(crate) fn organisation(command: &Command) -> Span {
    let span = debug_span!(
        "organisation",
        command = name(command),
        payment_id = subject(command).map(display),
    );
    span.or_current()
}

/// From the journal lane's queue to the outcome of the transaction.
pub(crate) fn commit(organisation: &Span) -> Span {
    // Inside of it, as whether a trace is kept is asked of the span around.
    organisation.in_scope(|| debug_span!("commit"))
}

/// A call to a node, from the commit that allows it to the news that it brings.
pub(crate) fn node(name: &str, call: &'static str, payment: PaymentId) -> Span {
    debug_span!("node", node_name = name, call, payment_id = %payment).or_current()
}

/// Says on the span of the request which payment it is about.
pub(crate) fn is_about(payment: PaymentId) {
    Span::current().record("payment_id", display(payment));
}

fn name(command: &Command) -> &'static str {
    match command {
        Command::CreateEnvironment { .. } => "create_environment",
        Command::RenameEnvironment { .. } => "rename_environment",
        Command::OpenLine { .. } => "open_line",
        Command::SetLineLimit { .. } => "set_line_limit",
        Command::DisableLine { .. } => "disable_line",
        Command::EnableLine { .. } => "enable_line",
        Command::SetNodeFunds { .. } => "set_node_funds",
        Command::CreateWallet { .. } => "create_wallet",
        Command::RenameWallet { .. } => "rename_wallet",
        Command::DeleteWallet { .. } => "delete_wallet",
        Command::SetWalletLimit { .. } => "set_wallet_limit",
        Command::Send { .. } => "send",
        Command::Report { .. } => "report",
        Command::Drive { .. } => "drive",
        Command::Resolve { .. } => "resolve",
        Command::Cancel { .. } => "cancel",
        Command::Receive { .. } => "receive",
        Command::InvoiceMade { .. } => "invoice_made",
        Command::InvoiceNotMade { .. } => "invoice_not_made",
        Command::Receipt { .. } => "receipt",
        Command::InvoiceOver { .. } => "invoice_over",
        Command::Claim { .. } => "claim",
        Command::ClaimAnswered { .. } => "claim_answered",
        Command::GiveUpClaim { .. } => "give_up_claim",
    }
}
