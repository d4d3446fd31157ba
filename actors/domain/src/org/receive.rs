//! Receiving: an invoice is committed before the node makes it, and credited from the node's word only.

use crate::{
    InvoiceTerms, Msat, NodeId, PaymentHash, PaymentId, Rejection, Timestamp,
    broken::{self, Rule},
    ledger::{Account, Entry},
    org::{
        Backing, ClaimAnswer, Decision, Effect, Event, Incoming, IncomingState, InvoiceEnd, Org,
        ReceiveTerms, claim, send,
    },
};

/// 30 days.
const EXPIRY_SECONDS_MAX: u32 = 30 * 86_400;
/// The most invoices that one organisation may have open: bounds memory.
const OPEN_INVOICES_MAX: usize = 100_000;

impl Org {
    pub(super) fn receive(
        &self,
        payment: PaymentId,
        terms: &ReceiveTerms,
        hash: PaymentHash,
        node: NodeId,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        if let Some(known) = self.incoming.get(&payment) {
            return send::same_body(known.terms == *terms);
        }
        if self.outgoing.contains_key(&payment) {
            return Err(Rejection::IdReused);
        }
        let wallet = self.live_wallet(terms.wallet)?;
        let amount_msat = terms.checked_amount()?;
        send::check_metadata(&terms.metadata)?;
        if terms.description.len() > send::DESCRIPTION_BYTES_MAX {
            return Err(Rejection::TextTooLong(send::DESCRIPTION_BYTES_MAX));
        }
        if !(1..=EXPIRY_SECONDS_MAX).contains(&terms.expiry_seconds) {
            return Err(Rejection::ExpiryOutOfRange);
        }
        if self.open_incoming >= OPEN_INVOICES_MAX {
            return Err(Rejection::TooManyOpen(OPEN_INVOICES_MAX));
        }
        if let Backing::Node(own) = wallet.backing {
            assert!(
                own == node,
                "the edge asked for an invoice on a node that is not the wallet's"
            );
        }
        let expires_at = now.plus_seconds(i64::from(terms.expiry_seconds));
        let requested =
            Event::InvoiceRequested { payment, terms: terms.clone(), hash, node, expires_at };
        Ok(Decision::event(requested).and(Effect::MakeInvoice {
            payment,
            node,
            hash,
            amount_msat,
            description: terms.description.clone(),
            expires_at,
        }))
    }

    pub(super) fn invoice_made(
        &self,
        id: PaymentId,
        invoice: &InvoiceTerms,
    ) -> Result<Decision, Rejection> {
        let payment = self.incoming.get(&id).ok_or(Rejection::PaymentNotFound(id))?;
        match payment.state {
            IncomingState::Generating if invoice.hash == payment.hash => {
                Ok(Decision::event(Event::InvoiceMade { payment: id, invoice: invoice.clone() }))
            }
            IncomingState::Cancelling => Ok(Decision::effect(claim::cancel_effect(payment))),
            IncomingState::Generating
            | IncomingState::Open
            | IncomingState::Claimed(_)
            | IncomingState::Withdrawn(_)
            | IncomingState::Paid
            | IncomingState::PaidInternally(_)
            | IncomingState::Expired
            | IncomingState::Failed => Ok(Decision::nothing()),
        }
    }

    pub(super) fn invoice_not_made(&self, id: PaymentId) -> Result<Decision, Rejection> {
        let payment = self.incoming.get(&id).ok_or(Rejection::PaymentNotFound(id))?;
        Ok(match payment.state {
            IncomingState::Generating => Decision::event(Event::InvoiceNotMade { payment: id }),
            IncomingState::Cancelling => Decision::event(Event::InvoiceExpired { payment: id }),
            IncomingState::Open
            | IncomingState::Claimed(_)
            | IncomingState::Withdrawn(_)
            | IncomingState::Paid
            | IncomingState::PaidInternally(_)
            | IncomingState::Expired
            | IncomingState::Failed => Decision::nothing(),
        })
    }

    /// Credits the increase of what the node has been paid: over-payment, late payment and a second
    /// payment all arrive here (rule 21). The node's truth wins over a claim that is not credited yet.
    pub(super) fn receipt(&self, id: PaymentId, paid_msat: Msat) -> Result<Decision, Rejection> {
        let payment = self.incoming.get(&id).ok_or(Rejection::PaymentNotFound(id))?;
        let by_node_msat = payment.credited_by_node_msat();
        let Some(amount_msat) = paid_msat.checked_sub(by_node_msat).filter(|more| !more.is_zero())
        else {
            return Ok(Decision::nothing());
        };
        let fits = payment.credited_msat.checked_add(amount_msat).is_some()
            && self.can_book(payment.terms.wallet, Account::Node(payment.node), amount_msat);
        if !fits {
            return Ok(Decision::effect(Effect::StopNode { node: payment.node, payment: id }));
        }
        let received = Event::Received {
            payment: id,
            amount_msat,
            entry: Entry::transfer(
                Account::Node(payment.node),
                Account::Wallet(payment.terms.wallet),
                amount_msat,
            ),
        };
        Ok(match payment.state {
            IncomingState::Claimed(by) => Decision {
                events: vec![Event::ClaimWithdrawn { payment: id }, received],
                effects: vec![Effect::AnswerClaim {
                    payer: by.payer,
                    payment: by.payment,
                    answer: ClaimAnswer::Refused,
                }],
            },
            IncomingState::Generating
            | IncomingState::Open
            | IncomingState::Withdrawn(_)
            | IncomingState::Cancelling
            | IncomingState::Paid
            | IncomingState::PaidInternally(_)
            | IncomingState::Expired
            | IncomingState::Failed => Decision::event(received),
        })
    }

    pub(super) fn invoice_over(
        &self,
        id: PaymentId,
        end: InvoiceEnd,
    ) -> Result<Decision, Rejection> {
        let payment = self.incoming.get(&id).ok_or(Rejection::PaymentNotFound(id))?;
        Ok(match (payment.state, end) {
            (IncomingState::Claimed(by), InvoiceEnd::Cancelled) => self.credit_claim(payment, by),
            (IncomingState::Claimed(by), InvoiceEnd::Settled)
                if broken::is(Rule::NodeWinsOverClaim) =>
            {
                self.credit_claim(payment, by)
            }
            (IncomingState::Claimed(by), InvoiceEnd::Settled) => {
                Decision::event(Event::ClaimWithdrawn { payment: id }).and(Effect::AnswerClaim {
                    payer: by.payer,
                    payment: by.payment,
                    answer: ClaimAnswer::Refused,
                })
            }
            (IncomingState::Withdrawn(_), InvoiceEnd::Cancelled) => {
                Decision::event(Event::InvoiceWithdrawn { payment: id })
            }
            (IncomingState::Open | IncomingState::Cancelling, InvoiceEnd::Cancelled) => {
                Decision::event(Event::InvoiceExpired { payment: id })
            }
            // The receipt brings the amount.
            (_, InvoiceEnd::Settled) => Decision::nothing(),
            (
                IncomingState::Generating
                | IncomingState::Paid
                | IncomingState::PaidInternally(_)
                | IncomingState::Expired
                | IncomingState::Failed,
                InvoiceEnd::Cancelled,
            ) => Decision::nothing(),
        })
    }
}

impl ReceiveTerms {
    fn checked_amount(&self) -> Result<Option<Msat>, Rejection> {
        match self.amount_msat.map(Msat::new) {
            None => Ok(None),
            Some(Some(amount)) if !amount.is_zero() => Ok(Some(amount)),
            Some(Some(_) | None) => Err(Rejection::AmountOutOfRange),
        }
    }
}

impl Incoming {
    /// What was credited on the node's word; an internal credit is not of the node.
    pub fn credited_by_node_msat(&self) -> Msat {
        match self.state {
            IncomingState::PaidInternally(by) => self.credited_msat.saturating_sub(by.amount_msat),
            IncomingState::Generating
            | IncomingState::Open
            | IncomingState::Claimed(_)
            | IncomingState::Withdrawn(_)
            | IncomingState::Cancelling
            | IncomingState::Paid
            | IncomingState::Expired
            | IncomingState::Failed => self.credited_msat,
        }
    }
}
