//! The internal rail: the payee decides, in a saga (`architecture` §4).
//!
//! The payer holds and asks; the payee commits its claim, has the invoice cancelled on the node, and
//! commits the credit only on proof of the cancel. Its committed answer is the payer's proof.

use crate::{
    Msat, PaymentId, Rejection, Timestamp,
    ledger::{Account, Entry},
    org::{
        ClaimAnswer, ClaimRequest, ClaimedBy, Decision, Effect, Event, Incoming, IncomingState,
        Org, OutgoingState, PaymentFailure, Rail,
    },
};

impl Org {
    /// The payee: hash, whole text, amount and open state must all match (rule 19).
    pub(super) fn claim(
        &self,
        request: &ClaimRequest,
        text: &str,
        seen_before: bool,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        let answer = |answer| Effect::AnswerClaim {
            payer: request.payer,
            payment: request.payer_payment,
            answer,
        };
        // One answer for ever: a late copy of a refused claim must not take the invoice after all.
        let refused = (!seen_before).then_some(Event::ClaimRefused {
            payer: request.payer,
            payer_payment: request.payer_payment,
            payment: request.payment,
        });
        let refused = Decision {
            events: refused.into_iter().collect(),
            effects: vec![answer(ClaimAnswer::Refused)],
        };
        let Some(payment) = self.incoming.get(&request.payment) else {
            return Ok(refused);
        };
        let asks_again =
            |by: &ClaimedBy| by.payer == request.payer && by.payment == request.payer_payment;
        Ok(match &payment.state {
            IncomingState::Claimed(by) if asks_again(by) => {
                Decision::effect(cancel_effect(payment))
            }
            IncomingState::Withdrawn(by) if asks_again(by) => {
                Decision::effect(answer(ClaimAnswer::Refused)).and(cancel_effect(payment))
            }
            IncomingState::PaidInternally(by) if asks_again(by) => {
                Decision::effect(answer(ClaimAnswer::Credited))
            }
            IncomingState::Open if !seen_before && payment.matches(request, text, now) => {
                let by = ClaimedBy {
                    payer: request.payer,
                    payment: request.payer_payment,
                    amount_msat: request.amount_msat,
                    at: now,
                };
                Decision::event(Event::InvoiceClaimed { payment: payment.id, by })
                    .and(cancel_effect(payment))
            }
            IncomingState::Generating
            | IncomingState::Open
            | IncomingState::Claimed(_)
            | IncomingState::Withdrawn(_)
            | IncomingState::Cancelling
            | IncomingState::Paid
            | IncomingState::PaidInternally(_)
            | IncomingState::Expired
            | IncomingState::Failed => refused,
        })
    }

    /// The payee: the node has cancelled the invoice, so nothing else can pay it.
    pub(super) fn credit_claim(&self, payment: &Incoming, by: ClaimedBy) -> Decision {
        let entry = Entry::transfer(
            Account::Clearing,
            Account::Wallet(payment.terms.wallet),
            by.amount_msat,
        );
        Decision::event(Event::ClaimCredited { payment: payment.id, entry }).and(
            Effect::AnswerClaim {
                payer: by.payer,
                payment: by.payment,
                answer: ClaimAnswer::Credited,
            },
        )
    }

    /// The payee: refuses before crediting. The cancel is driven on.
    pub(super) fn give_up_claim(&self, id: PaymentId) -> Result<Decision, Rejection> {
        let payment = self.incoming.get(&id).ok_or(Rejection::PaymentNotFound(id))?;
        let IncomingState::Claimed(by) = payment.state else {
            return Ok(Decision::nothing());
        };
        Ok(Decision {
            events: vec![Event::ClaimWithdrawn { payment: id }],
            effects: vec![
                Effect::AnswerClaim {
                    payer: by.payer,
                    payment: by.payment,
                    answer: ClaimAnswer::Refused,
                },
                cancel_effect(payment),
            ],
        })
    }

    /// The payer: the payee's committed answer is the proof.
    pub(super) fn claim_answered(
        &self,
        id: PaymentId,
        answer: ClaimAnswer,
    ) -> Result<Decision, Rejection> {
        let payment = self.outgoing.get(&id).ok_or(Rejection::PaymentNotFound(id))?;
        let internal = matches!(payment.rail, Rail::Internal { .. });
        Ok(match (payment.state, answer) {
            (_, _) if !internal => Decision::nothing(),
            // A credit is a fact: it is posted even after a refusal, which the payee never gives.
            (OutgoingState::InFlight | OutgoingState::Voided(_), ClaimAnswer::Credited) => {
                Decision::event(Event::Posted {
                    payment: id,
                    fee_msat: Msat::ZERO,
                    preimage: None,
                    entry: Entry::transfer(
                        Account::Wallet(payment.terms.wallet),
                        Account::Clearing,
                        payment.amount_msat,
                    ),
                })
            }
            (OutgoingState::InFlight, ClaimAnswer::Refused) => Decision::event(Event::Voided {
                payment: id,
                hash: payment.hash(),
                failure: PaymentFailure::PayeeRefused,
            }),
            (OutgoingState::Voided(_), ClaimAnswer::Refused)
            | (OutgoingState::Refused(_) | OutgoingState::Posted { .. }, _) => Decision::nothing(),
        })
    }
}

impl Incoming {
    fn matches(&self, request: &ClaimRequest, text: &str, now: Timestamp) -> bool {
        let Some(invoice) = &self.invoice else { return false };
        let amount_fits = invoice.amount_msat.is_none_or(|fixed| fixed == request.amount_msat);
        invoice.text == text
            && invoice.hash == request.hash
            && amount_fits
            && now < invoice.expires_at
    }
}

pub(super) fn cancel_effect(payment: &Incoming) -> Effect {
    Effect::CancelInvoice { payment: payment.id, node: payment.node, hash: payment.hash }
}
