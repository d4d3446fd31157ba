//! What a node actor has learned: proof ends an attempt, anything else keeps it open.

use crate::{
    Msat, NodeId, PaymentId, Preimage, Rejection, Timestamp,
    broken::{self, Rule},
    ledger::{Account, Entry},
    lightning::{FailureId, FailureReason},
    org::{Decision, Effect, Event, Org, Outgoing, OutgoingState, PaymentFailure, send},
    payment::{self, Attempt, AttemptEnd, Finding, Next, Verdict},
};

impl Org {
    pub(super) fn report(
        &self,
        id: PaymentId,
        attempt: u32,
        request: u32,
        finding: &Finding,
        permitted_until: Timestamp,
    ) -> Result<Decision, Rejection> {
        let payment = self.outgoing.get(&id).ok_or(Rejection::PaymentNotFound(id))?;
        let Some(tried) = payment.attempt(attempt) else { return Ok(Decision::nothing()) };
        let unsent = unsent(payment, tried, request, finding);
        let judged = match &unsent {
            Some(_) => &tried.without(request),
            None => tried,
        };
        let verdict = payment::judge(judged, self.epoch, request, finding);
        let mut decision = match (tried.end, payment.state, verdict) {
            (_, _, Verdict::Paid { preimage, amount_msat, fee_msat }) => {
                self.paid(payment, tried, preimage, amount_msat, fee_msat)
            }
            // Old news of an attempt that has its proof.
            (Some(_), _, _) => Decision::nothing(),
            // A node that has contradicted itself proves no failure, and gets nothing again: the
            // payment stops here until it is proven paid or a person has looked.
            (
                None,
                OutgoingState::InFlight,
                Verdict::Failed { .. } | Verdict::Open(Next::SendAgain),
            ) if payment.contradicted => Decision::nothing(),
            (None, OutgoingState::InFlight, Verdict::Failed { reason, failure }) => {
                self.attempt_failed(payment, tried, reason, failure, permitted_until)
            }
            (None, OutgoingState::InFlight, Verdict::Open(next)) => {
                // Whoever cancelled wants nothing sent: whether nothing is, only the node can say.
                let next = if payment.cancelled { next.without_sending() } else { next };
                self.stay_open(payment, tried, next, permitted_until)
            }
            // Paid late by an earlier node: this attempt is not repeated, only followed to its end.
            (None, OutgoingState::Posted { .. }, Verdict::Failed { reason, failure }) => {
                Decision::event(attempt_failed(payment, tried, reason, failure))
            }
            (None, OutgoingState::Posted { .. }, Verdict::Open(next)) => {
                self.stay_open(payment, tried, next.without_sending(), permitted_until)
            }
            (None, OutgoingState::Refused(_) | OutgoingState::Voided(_), _) => Decision::nothing(),
        };
        decision.events.splice(0..0, unsent);
        Ok(decision)
    }

    /// Success is booked only with the right preimage and the payment's amount (rule 16). It is a fact
    /// even after a failure or above the fee held (rules 2, 6).
    fn paid(
        &self,
        payment: &Outgoing,
        tried: &Attempt,
        preimage: Preimage,
        amount_msat: Msat,
        fee_msat: Msat,
    ) -> Decision {
        let cost_msat = amount_msat
            .checked_add(fee_msat)
            .filter(|cost| self.can_book(payment.terms.wallet, Account::Node(tried.node), *cost));
        let proven = preimage.hash() == payment.hash() && amount_msat == payment.amount_msat;
        let proven = proven || broken::is(Rule::SuccessIsProven);
        let contradicted = Event::Contradicted {
            payment: payment.id,
            node: tried.node,
            hash: payment.hash(),
            paid_msat: amount_msat,
            fee_msat,
        };
        let stop = Effect::StopNode { node: tried.node, payment: payment.id };
        let again = matches!(tried.end, Some(AttemptEnd::Paid { .. }));
        // What a person has looked at is told once more only by a node that is not known to have paid.
        let told = payment.contradicted && (payment.resolved.is_none() || again);
        let cost_msat = match (again, cost_msat.filter(|_| proven)) {
            (true, _) if proven => return Decision::nothing(),
            (false, Some(cost_msat)) => cost_msat,
            (_, _) if told => return Decision::effect(stop),
            (_, _) => return Decision::event(contradicted).and(stop),
        };
        let posted = Event::Posted {
            payment: payment.id,
            fee_msat,
            preimage: Some(preimage),
            entry: Entry::transfer(
                Account::Wallet(payment.terms.wallet),
                Account::Node(tried.node),
                cost_msat,
            ),
        };
        let expected =
            payment.is_in_flight() && tried.end.is_none() && fee_msat <= payment.fee_limit_msat;
        if expected {
            return Decision::event(posted);
        }
        Decision { events: vec![posted, contradicted], effects: vec![stop] }
    }

    /// The next node only on proof; with none left, the hold is given back.
    fn attempt_failed(
        &self,
        payment: &Outgoing,
        tried: &Attempt,
        reason: FailureReason,
        failure: Option<FailureId>,
        until: Timestamp,
    ) -> Decision {
        let hash = payment.hash();
        let failed = attempt_failed(payment, tried, reason, failure);
        let may_help = reason.next_node_may_help();
        let next = payment.plan.first().filter(|_| may_help && !payment.cancelled);
        let Some(&node) = next else {
            let failure = match payment.cancelled && may_help {
                true => PaymentFailure::Cancelled,
                false => PaymentFailure::Node(reason),
            };
            let voided = Event::Voided { payment: payment.id, hash, failure };
            return Decision { events: vec![failed, voided], effects: Vec::new() };
        };
        let number = payment.attempt_count() + 1;
        let started = Event::AttemptStarted {
            payment: payment.id,
            hash,
            number,
            node,
            epoch: self.epoch,
            until,
        };
        let pay = pay_effect(payment, number, 1, node, until);
        Decision { events: vec![failed, started], effects: vec![pay] }
    }

    fn stay_open(
        &self,
        payment: &Outgoing,
        tried: &Attempt,
        next: Next,
        until: Timestamp,
    ) -> Decision {
        let attempt = payment.attempt_count();
        let last = request_count(tried);
        match next {
            Next::Follow => Decision::effect(look_up_effect(payment, tried)),
            Next::LookUpOnceLapsed => Decision::effect(Effect::LookUpOnceLapsed {
                payment: payment.id,
                attempt,
                request: last,
                node: tried.node,
                hash: payment.hash(),
                until: tried.permitted_until(),
            }),
            Next::SendAgain => {
                let issued = Event::RequestIssued { payment: payment.id, epoch: self.epoch, until };
                let pay = pay_effect(payment, attempt, last + 1, tried.node, until);
                Decision::event(issued).and(pay)
            }
        }
    }
}

pub(super) fn attempt_failed(
    payment: &Outgoing,
    tried: &Attempt,
    reason: FailureReason,
    failure: Option<FailureId>,
) -> Event {
    let (node, hash) = (tried.node, payment.hash());
    Event::AttemptFailed { payment: payment.id, node, hash, reason, failure }
}

/// A finding that says that its request certainly never ran, not yet on record.
fn unsent(payment: &Outgoing, tried: &Attempt, request: u32, finding: &Finding) -> Option<Event> {
    let never_ran = matches!(finding, Finding::PermissionLapsed | Finding::NeverLeft);
    let known = tried.request(request).is_some_and(|known| !known.unsent);
    (never_ran && known && tried.end.is_none() && payment.is_open())
        .then_some(Event::RequestUnsent { payment: payment.id, request })
}

impl Attempt {
    fn request(&self, number: u32) -> Option<&payment::Request> {
        self.requests.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// The attempt as it stands once that request is known never to have run.
    fn without(&self, number: u32) -> Attempt {
        let mut attempt = self.clone();
        attempt.mark_unsent(number);
        attempt
    }

    pub(super) fn mark_unsent(&mut self, number: u32) {
        let index = usize::try_from(number).expect("32 bits fit").saturating_sub(1);
        if let Some(request) = self.requests.get_mut(index) {
            request.unsent = true;
        }
    }
}

fn request_count(attempt: &Attempt) -> u32 {
    u32::try_from(attempt.requests.len()).expect("requests are bounded")
}

pub(super) fn look_up_effect(payment: &Outgoing, attempt: &Attempt) -> Effect {
    Effect::LookUp {
        payment: payment.id,
        attempt: payment.attempt_count(),
        request: request_count(attempt),
        node: attempt.node,
        hash: payment.hash(),
    }
}

fn pay_effect(
    payment: &Outgoing,
    attempt: u32,
    request: u32,
    node: NodeId,
    until: Timestamp,
) -> Effect {
    Effect::Pay {
        payment: payment.id,
        attempt,
        request,
        node,
        hash: payment.hash(),
        invoice: payment.terms.invoice.text.clone(),
        amount_msat: send::amount_to_name(&payment.terms, payment.amount_msat),
        fee_limit_msat: payment.fee_limit_msat,
        until,
    }
}
