//! Carrying on: what must be performed again after a load, or when nothing was heard for a while.

use crate::{
    Msat, PaymentId, Rejection, Timestamp,
    org::{
        ClaimAnswer, ClaimRequest, Decision, Effect, Incoming, IncomingState, Org, Outgoing, Rail,
        claim, resolve,
    },
};

/// How long the payee lets a claim wait for the node's cancel before it refuses.
const CLAIM_PATIENCE_MS: i64 = 30_000;
/// How long after its expiry an open invoice is withdrawn, so that a payment under way can finish.
const EXPIRY_GRACE_MS: i64 = 30_000;

impl Org {
    /// Every effect that is open. Performing one twice does no harm.
    pub fn resume(&self, now: Timestamp) -> Vec<Effect> {
        let outgoing = self.outgoing.values().flat_map(|payment| self.open_outgoing(payment));
        let incoming = self.incoming.values().flat_map(|payment| open_incoming(payment, now));
        outgoing.chain(incoming).collect()
    }

    /// Open payments that nothing was heard of since `before`.
    pub fn without_news(&self, before: Timestamp) -> Vec<PaymentId> {
        let outgoing = self.outgoing.values().filter(|payment| payment.is_open());
        let outgoing = outgoing.map(|payment| (payment.id, payment.updated_at));
        let incoming = self.incoming.values().filter(|payment| payment.is_open());
        let incoming = incoming.map(|payment| (payment.id, payment.updated_at));
        let silent = outgoing.chain(incoming).filter(|(_, updated_at)| *updated_at < before);
        silent.map(|(payment, _)| payment).collect()
    }

    /// Decides how one payment is carried on.
    pub(super) fn drive(&self, id: PaymentId, now: Timestamp) -> Result<Decision, Rejection> {
        if let Some(payment) = self.outgoing.get(&id) {
            return Ok(Decision {
                events: Vec::new(),
                effects: self.open_outgoing(payment).into_iter().collect(),
            });
        }
        let payment = self.incoming.get(&id).ok_or(Rejection::PaymentNotFound(id))?;
        if let IncomingState::Claimed(by) = payment.state
            && now.millis_since(by.at) >= CLAIM_PATIENCE_MS
        {
            return self.give_up_claim(id);
        }
        Ok(Decision { events: Vec::new(), effects: open_incoming(payment, now) })
    }

    fn open_outgoing(&self, payment: &Outgoing) -> Option<Effect> {
        if !payment.is_open() {
            return None;
        }
        if let Rail::Internal { payee, payee_payment } = payment.rail {
            return Some(Effect::Claim {
                payee,
                request: ClaimRequest {
                    payer: self.id,
                    payer_payment: payment.id,
                    payment: payee_payment,
                    hash: payment.hash(),
                    amount_msat: payment.amount_msat,
                },
                text: payment.terms.invoice.text.clone(),
            });
        }
        let (_, attempt) = payment.open_attempt()?;
        Some(resolve::look_up_effect(payment, attempt))
    }
}

fn open_incoming(payment: &Incoming, now: Timestamp) -> Vec<Effect> {
    match payment.state {
        IncomingState::Generating => vec![make_effect(payment)],
        // A node that does not know the hash yet has nothing to cancel, but may be about to.
        IncomingState::Cancelling if payment.invoice.is_none() => vec![make_effect(payment)],
        IncomingState::Cancelling => vec![claim::cancel_effect(payment)],
        IncomingState::Open if now.millis_since(payment.expires_at) >= EXPIRY_GRACE_MS => {
            vec![claim::cancel_effect(payment)]
        }
        IncomingState::Claimed(_) => vec![claim::cancel_effect(payment)],
        IncomingState::Withdrawn(by) => vec![
            Effect::AnswerClaim {
                payer: by.payer,
                payment: by.payment,
                answer: ClaimAnswer::Refused,
            },
            claim::cancel_effect(payment),
        ],
        IncomingState::Open
        | IncomingState::Paid
        | IncomingState::PaidInternally(_)
        | IncomingState::Expired
        | IncomingState::Failed => Vec::new(),
    }
}

fn make_effect(payment: &Incoming) -> Effect {
    Effect::MakeInvoice {
        payment: payment.id,
        node: payment.node,
        hash: payment.hash,
        amount_msat: payment.terms.amount_msat.and_then(Msat::new),
        description: payment.terms.description.clone(),
        expires_at: payment.expires_at,
    }
}
