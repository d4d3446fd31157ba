//! Cancelling: an open invoice is withdrawn, and nothing more is tried for a send.
//!
//! A wish, not a verdict: how the payment ends is still said by its node alone. An invoice that was paid
//! before it could be cancelled is credited, and a send that may be under way keeps its hold until there
//! is proof.

use crate::{
    PaymentId, Rejection,
    org::{Decision, Event, IncomingState, Org, Outgoing, Rail, claim},
};

impl Org {
    pub(super) fn cancel(&self, id: PaymentId) -> Result<Decision, Rejection> {
        let asked = Decision::event(Event::CancelRequested { payment: id });
        if let Some(payment) = self.outgoing.get(&id) {
            return Ok(if payment.can_be_cut_short() { asked } else { Decision::nothing() });
        }
        let payment = self.incoming.get(&id).ok_or(Rejection::PaymentNotFound(id))?;
        Ok(match payment.state {
            // What the node is making is cancelled once it is made.
            IncomingState::Generating => asked,
            IncomingState::Open => asked.and(claim::cancel_effect(payment)),
            // Whoever has claimed it is answered first; a cancel is on its way there already.
            IncomingState::Claimed(_)
            | IncomingState::Withdrawn(_)
            | IncomingState::Cancelling
            | IncomingState::Paid
            | IncomingState::PaidInternally(_)
            | IncomingState::Expired
            | IncomingState::Failed => Decision::nothing(),
        })
    }
}

impl Outgoing {
    /// Whether there may be something left to try. Inside the platform there is one try.
    fn can_be_cut_short(&self) -> bool {
        let over_lightning = !matches!(self.rail, Rail::Internal { .. });
        self.is_in_flight() && over_lightning && !self.cancelled
    }
}
