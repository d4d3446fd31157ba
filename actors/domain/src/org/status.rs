//! What a payment's state means to those outside: the words of the contract.

use crate::org::{Incoming, IncomingState, Outgoing, OutgoingState};

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PaymentStatus {
    Sending,
    Completed,
    Failed,
    /// The invoice is being made.
    Generating,
    /// The invoice waits for its payer.
    Receiving,
    Expired,
}

impl Outgoing {
    pub fn status(&self) -> PaymentStatus {
        match self.state {
            OutgoingState::InFlight => PaymentStatus::Sending,
            OutgoingState::Posted { .. } => PaymentStatus::Completed,
            OutgoingState::Refused(_) | OutgoingState::Voided(_) => PaymentStatus::Failed,
        }
    }
}

impl Incoming {
    pub fn status(&self) -> PaymentStatus {
        match self.state {
            IncomingState::Generating => PaymentStatus::Generating,
            IncomingState::Open
            | IncomingState::Claimed(_)
            | IncomingState::Withdrawn(_)
            | IncomingState::Cancelling => PaymentStatus::Receiving,
            IncomingState::Paid | IncomingState::PaidInternally(_) => PaymentStatus::Completed,
            IncomingState::Expired => PaymentStatus::Expired,
            IncomingState::Failed => PaymentStatus::Failed,
        }
    }
}
