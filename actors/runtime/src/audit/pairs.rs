//! What two organisations must agree on: one hash is paid once, and the internal rail clears.

use std::collections::HashMap;

use domain::{
    Msat, OrgId, PaymentHash, PaymentId,
    org::{IncomingState, Org, OutgoingState, Rail},
};
use ports::operations::AuditFinding;

use super::Finding;

type Place = (OrgId, PaymentId);

#[derive(Default)]
pub(super) struct Pairs {
    /// Payments that are not proven failed, by what they pay.
    paying: HashMap<PaymentHash, Place>,
    twice: Vec<(PaymentHash, Place, Place)>,
    /// Internal payments, by payer: payee and amount, and how far the payer is.
    sent: HashMap<Place, Sent>,
    /// Credits of the internal rail, by payer.
    credited: HashMap<Place, (Place, Msat)>,
}

struct Sent {
    payee: Place,
    amount_msat: Msat,
    state: OutgoingState,
}

impl Pairs {
    pub(super) fn add(&mut self, org: &Org) {
        for payment in org.outgoing.values() {
            let place = (org.id, payment.id);
            let counts =
                matches!(payment.state, OutgoingState::InFlight | OutgoingState::Posted { .. });
            if counts && let Some(other) = self.paying.insert(payment.hash(), place) {
                self.twice.push((payment.hash(), other, place));
            }
            if let Rail::Internal { payee, payee_payment } = payment.rail {
                let payee = (payee, payee_payment);
                let (amount_msat, state) = (payment.amount_msat, payment.state);
                self.sent.insert(place, Sent { payee, amount_msat, state });
            }
        }
        for payment in org.incoming.values() {
            if let IncomingState::PaidInternally(by) = payment.state {
                let payee = ((org.id, payment.id), by.amount_msat);
                self.credited.insert((by.payer, by.payment), payee);
            }
        }
    }

    pub(super) fn check(&self, findings: &mut Vec<AuditFinding>) {
        for (hash, one, other) in &self.twice {
            let text = format!("payment hash {hash} is also being paid by payment {}", one.1);
            findings.push(Finding::of_payment(other.0, other.1, "hash_paid_twice", text));
        }
        for (payer, credited) in &self.credited {
            let agreed = self.sent.get(payer).is_some_and(|sent| {
                let open =
                    matches!(sent.state, OutgoingState::InFlight | OutgoingState::Posted { .. });
                open && (sent.payee, sent.amount_msat) == *credited
            });
            if !agreed {
                let ((org, payment), _) = *credited;
                let text = format!("credited, but payer's payment {} does not agree", payer.1);
                findings.push(Finding::of_payment(org, payment, "clearing_does_not_clear", text));
            }
        }
        for (payer, sent) in &self.sent {
            let posted = matches!(sent.state, OutgoingState::Posted { .. });
            if posted && self.credited.get(payer) != Some(&(sent.payee, sent.amount_msat)) {
                let text = "posted, but the payee was not credited".to_owned();
                let finding =
                    Finding::of_payment(payer.0, payer.1, "clearing_does_not_clear", text);
                findings.push(finding);
            }
        }
    }
}
