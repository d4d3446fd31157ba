//! One organisation: its state, what it decides, and what follows from a decision.
//!
//! [`Org::decide`] reads and changes nothing; [`Org::apply`] changes and cannot fail. One file for each
//! command.

mod admin;
mod apply;
mod by_hand;
mod cancel;
mod claim;
mod command;
mod drive;
mod effect;
mod event;
mod receive;
mod resolve;
mod revision;
mod row;
mod send;
mod state;
mod status;
#[cfg(test)]
mod tests;

pub use by_hand::EVIDENCE_BYTES_MAX;
pub use command::{
    ClaimAnswer, ClaimRequest, Command, InvoiceEnd, Metadata, NodeSays, Payee, ReceiveTerms,
    Resolution, ResolveFacts, SendFacts, SendTerms,
};
pub use effect::Effect;
pub use event::{Event, Unique};
pub use revision::Revision;
pub use row::{Row, RowKey};
pub use state::{
    Backing, ClaimedBy, CustomerNode, Environment, Incoming, IncomingState, Line, Org, Outgoing,
    OutgoingState, PaymentFailure, Rail, Resolved, Wallet,
};
pub use status::PaymentStatus;

use crate::{Rejection, Timestamp};

/// What a command does: the events to commit, and the effects to perform once they are.
///
/// No events means that nothing changes; the effects, if any, only repeat what was decided before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    pub events: Vec<Event>,
    pub effects: Vec<Effect>,
}

impl Decision {
    pub fn nothing() -> Decision {
        Decision::default()
    }

    pub fn event(event: Event) -> Decision {
        Decision { events: vec![event], effects: Vec::new() }
    }

    pub fn effect(effect: Effect) -> Decision {
        Decision { events: Vec::new(), effects: vec![effect] }
    }

    #[must_use]
    pub fn and(mut self, effect: Effect) -> Decision {
        self.effects.push(effect);
        self
    }
}

impl Org {
    /// Decides what a command does. Reads only its arguments and changes nothing.
    pub fn decide(&self, command: &Command, now: Timestamp) -> Result<Decision, Rejection> {
        match command {
            Command::CreateEnvironment { environment, name } => {
                self.create_environment(*environment, name)
            }
            Command::RenameEnvironment { environment, name } => {
                self.rename_environment(*environment, name)
            }
            Command::OpenLine { line, environment, limit_msat } => {
                self.open_line(*line, *environment, *limit_msat)
            }
            Command::SetLineLimit { line, limit_msat } => self.set_line_limit(*line, *limit_msat),
            Command::DisableLine { line } => self.disable_line(*line),
            Command::EnableLine { line } => self.enable_line(*line),
            Command::SetNodeFunds { node, funds_msat } => {
                Ok(self.set_node_funds(*node, *funds_msat))
            }
            Command::CreateWallet { .. } => self.create_wallet(command),
            Command::SetWalletLimit { wallet, limit_msat } => {
                self.set_wallet_limit(*wallet, *limit_msat)
            }
            Command::RenameWallet { wallet, name } => self.rename_wallet(*wallet, name),
            Command::DeleteWallet { wallet } => self.delete_wallet(*wallet),
            Command::Send { payment, terms, facts } => self.send(*payment, terms, facts, now),
            Command::Report { payment, attempt, request, finding, permitted_until } => {
                self.report(*payment, *attempt, *request, finding, *permitted_until)
            }
            Command::Drive { payment } => self.drive(*payment, now),
            Command::Resolve { payment, resolution, evidence, facts } => {
                self.resolve(*payment, resolution, evidence, facts)
            }
            Command::Cancel { payment } => self.cancel(*payment),
            Command::Receive { payment, terms, hash, node } => {
                self.receive(*payment, terms, *hash, *node, now)
            }
            Command::InvoiceMade { payment, invoice } => self.invoice_made(*payment, invoice),
            Command::InvoiceNotMade { payment } => self.invoice_not_made(*payment),
            Command::Receipt { payment, paid_msat } => self.receipt(*payment, *paid_msat),
            Command::InvoiceOver { payment, end } => self.invoice_over(*payment, *end),
            Command::Claim { request, text, seen_before } => {
                self.claim(request, text, *seen_before, now)
            }
            Command::ClaimAnswered { payment, answer } => self.claim_answered(*payment, *answer),
            Command::GiveUpClaim { payment } => self.give_up_claim(*payment),
        }
    }
}
