//! A person says how a payment ended that its nodes leave open, or tell in two ways.
//!
//! | payment | `paid` | `failed` |
//! |---|---|---|
//! | in flight, and contradicted or lost by its node | posted | voided, if no node may still make it |
//! | posted, and contradicted or denied by its node | the fee is corrected, if it was another | refused |
//! | failed, and contradicted or shown as paid by a node | posted | stays failed, if no node shows it |
//! | anything else | refused | refused |
//!
//! `paid` needs the preimage (rule 16). What was booked before stays; a correction is another entry
//! (rule 5). A node that contradicts itself afterwards opens the question again.

use crate::{
    Msat, NodeId, PaymentId, Preimage, Rejection,
    ledger::{Account, Entry},
    lightning::FailureReason,
    org::{
        Decision, Effect, Event, NodeSays, Org, Outgoing, OutgoingState, PaymentFailure,
        Resolution, ResolveFacts, resolve::attempt_failed,
    },
    payment::{Attempt, AttemptEnd},
};

/// Some lines of text: it stays in memory with the payment for as long as that does.
pub const EVIDENCE_BYTES_MAX: usize = 2_000;

/// How long after its end a permission may still be used at a node that nobody can ask: its clock may be a
/// second behind ours, a call that it had checked makes its record a moment later, and nobody is in a hurry.
const PERMISSION_GRACE_MS: i64 = 5_000;

impl Org {
    pub(super) fn resolve(
        &self,
        id: PaymentId,
        resolution: &Resolution,
        evidence: &str,
        facts: &ResolveFacts,
    ) -> Result<Decision, Rejection> {
        let payment = self.outgoing.get(&id).ok_or(Rejection::PaymentNotFound(id))?;
        check_evidence(evidence)?;
        if let Some(before) = &payment.resolved {
            let same = before.resolution == *resolution && before.evidence == evidence;
            match (same, paid_after_all(payment, facts)) {
                (true, _) => return Ok(Decision::nothing()),
                (false, None) => return Err(Rejection::AlreadyResolved(id)),
                (false, Some(_)) => {}
            }
        } else if !has_stopped(payment, facts) {
            return Err(Rejection::NotStopped(id));
        }
        let (mut decision, correction) = match *resolution {
            Resolution::Failed => (found_unpaid(payment, facts)?, None),
            Resolution::Paid { node, preimage, fee_msat } => {
                self.found_paid(payment, node, preimage, fee_msat, facts)?
            }
        };
        decision.events.push(Event::Resolved {
            payment: id,
            resolution: *resolution,
            evidence: evidence.to_owned(),
            correction,
        });
        Ok(decision)
    }

    fn found_paid(
        &self,
        payment: &Outgoing,
        node: Option<NodeId>,
        preimage: Preimage,
        fee_msat: Msat,
        facts: &ResolveFacts,
    ) -> Result<(Decision, Option<Entry>), Rejection> {
        if preimage.hash() != payment.hash() {
            return Err(Rejection::WrongPreimage);
        }
        let paid = paying(payment, node)?;
        let mut decision = others_ended(payment, paid, facts)?;
        if let OutgoingState::Posted { fee_msat: booked_msat, .. } = payment.state {
            let correction = self.correction(payment, paid.node, booked_msat, fee_msat)?;
            return Ok((decision, correction));
        }
        decision.events.push(self.posted_by_hand(payment, paid.node, preimage, fee_msat)?);
        if !payment.is_in_flight() {
            // Paid after its failure: a fact, and the hash is this payment's for ever (rules 6, 11).
            decision.events.push(Event::Contradicted {
                payment: payment.id,
                node: paid.node,
                hash: payment.hash(),
                paid_msat: payment.amount_msat,
                fee_msat,
            });
            decision.effects.push(Effect::StopNode { node: paid.node, payment: payment.id });
        }
        Ok((decision, None))
    }

    /// The difference to the fee that was booked.
    fn correction(
        &self,
        payment: &Outgoing,
        node: NodeId,
        booked_msat: Msat,
        fee_msat: Msat,
    ) -> Result<Option<Entry>, Rejection> {
        let (wallet, node) = (Account::Wallet(payment.terms.wallet), Account::Node(node));
        let (debit, credit, difference) = match fee_msat.checked_sub(booked_msat) {
            Some(Msat::ZERO) => return Ok(None),
            Some(more) => (wallet, node, more),
            None => (node, wallet, booked_msat.saturating_sub(fee_msat)),
        };
        self.must_book(payment, node, difference)?;
        Ok(Some(Entry::transfer(debit, credit, difference)))
    }

    fn posted_by_hand(
        &self,
        payment: &Outgoing,
        node: NodeId,
        preimage: Preimage,
        fee_msat: Msat,
    ) -> Result<Event, Rejection> {
        let cost = payment.amount_msat.checked_add(fee_msat);
        let cost = cost.ok_or(Rejection::AmountOutOfRange)?;
        let (wallet, node) = (Account::Wallet(payment.terms.wallet), Account::Node(node));
        self.must_book(payment, node, cost)?;
        let entry = Entry::transfer(wallet, node, cost);
        Ok(Event::Posted { payment: payment.id, fee_msat, preimage: Some(preimage), entry })
    }

    fn must_book(
        &self,
        payment: &Outgoing,
        account: Account,
        amount_msat: Msat,
    ) -> Result<(), Rejection> {
        match self.can_book(payment.terms.wallet, account, amount_msat) {
            true => Ok(()),
            false => Err(Rejection::AmountOutOfRange),
        }
    }
}

fn check_evidence(evidence: &str) -> Result<(), Rejection> {
    match evidence.len() {
        _ if evidence.trim().is_empty() => Err(Rejection::EvidenceMissing),
        0..=EVIDENCE_BYTES_MAX => Ok(()),
        _ => Err(Rejection::TextTooLong(EVIDENCE_BYTES_MAX)),
    }
}

/// Whether nothing but a person's word will end it, or its node tells otherwise than the ledger. Inside the
/// platform it is the payee that decides.
fn has_stopped(payment: &Outgoing, facts: &ResolveFacts) -> bool {
    let lost = facts.lost && payment.open_attempt().is_some();
    payment.contradicted || lost || payment.attempts.iter().any(|it| disagrees(payment, it, facts))
}

/// A node that does not show what is booked, or shows what has failed.
fn disagrees(payment: &Outgoing, attempt: &Attempt, facts: &ResolveFacts) -> bool {
    match (attempt.end, payment.state, facts.of(attempt.node)) {
        (Some(AttemptEnd::Paid { .. }), OutgoingState::Posted { fee_msat, .. }, Some(says)) => {
            says != NodeSays::Paid { amount_msat: payment.amount_msat, fee_msat }
        }
        (Some(AttemptEnd::Failed { .. }), _, Some(NodeSays::Paid { .. })) => true,
        (Some(_) | None, _, _) => false,
    }
}

/// The node that shows a payment as paid of which a person had said that it failed.
fn paid_after_all(payment: &Outgoing, facts: &ResolveFacts) -> Option<NodeId> {
    let failed = matches!(payment.state, OutgoingState::Voided(_));
    let mut tried = payment.attempts.iter().filter(|_| failed);
    tried.find(|attempt| disagrees(payment, attempt, facts)).map(|attempt| attempt.node)
}

/// No node may still make it, none shows it, and none is known to have made it.
fn found_unpaid(payment: &Outgoing, facts: &ResolveFacts) -> Result<Decision, Rejection> {
    let (id, hash) = (payment.id, payment.hash());
    if let OutgoingState::Posted { .. } = payment.state {
        return Err(Rejection::ProvenPaid(id));
    }
    for attempt in &payment.attempts {
        cannot_be_made(attempt, facts)?;
    }
    let mut decision = Decision::nothing();
    if let Some((_, open)) = payment.open_attempt() {
        decision.events.push(given_up(payment, open, facts));
    }
    if payment.is_in_flight() {
        let failure = PaymentFailure::Node(FailureReason::FoundUnpaid);
        decision.events.push(Event::Voided { payment: id, hash, failure });
    }
    Ok(decision)
}

/// The attempt that has paid: one that is booked so, if any is.
fn paying(payment: &Outgoing, node: Option<NodeId>) -> Result<&Attempt, Rejection> {
    let posted = matches!(payment.state, OutgoingState::Posted { .. });
    let booked = |attempt: &&Attempt| matches!(attempt.end, Some(AttemptEnd::Paid { .. }));
    let mut may_have_paid = payment.attempts.iter().filter(|it| !posted || booked(it));
    match node {
        Some(node) => {
            let of_node = may_have_paid.find(|attempt| attempt.node == node);
            of_node.ok_or(Rejection::NotThePayer(node))
        }
        None => match (may_have_paid.next(), may_have_paid.next()) {
            (Some(only), None) => Ok(only),
            (_, _) => Err(Rejection::PayingNodeMissing(payment.id)),
        },
    }
}

/// Ends an attempt that another node has under way: it must not pay as well.
fn others_ended(
    payment: &Outgoing,
    paid: &Attempt,
    facts: &ResolveFacts,
) -> Result<Decision, Rejection> {
    match payment.open_attempt().filter(|(_, open)| open.node != paid.node) {
        None => Ok(Decision::nothing()),
        Some((_, open)) => {
            cannot_be_made(open, facts)?;
            Ok(Decision::event(given_up(payment, open, facts)))
        }
    }
}

/// Every permission is over and the node, if it can be reached, does not show the payment.
fn cannot_be_made(attempt: &Attempt, facts: &ResolveFacts) -> Result<(), Rejection> {
    let node = attempt.node;
    let over_at = attempt.permitted_until().plus_millis(PERMISSION_GRACE_MS);
    let left_ms = over_at.millis_since(facts.asked_at);
    if left_ms > 0 {
        return Err(Rejection::StillPermitted { node, left_ms });
    }
    match facts.of(node) {
        Some(NodeSays::Paid { .. }) => Err(Rejection::NodeShowsPaid(node)),
        Some(NodeSays::InFlight) => Err(Rejection::NodeShowsInFlight(node)),
        Some(NodeSays::Permitted) => Err(Rejection::PermittedByItsClock(node)),
        Some(NodeSays::Nothing | NodeSays::Failed(_)) | None => Ok(()),
    }
}

/// With the node's own record of the failure, so that it proves nothing a second time (rule 13).
fn given_up(payment: &Outgoing, attempt: &Attempt, facts: &ResolveFacts) -> Event {
    let failure = match facts.of(attempt.node) {
        Some(NodeSays::Failed(failure)) if !attempt.older_failures.contains(&failure) => {
            Some(failure)
        }
        Some(
            NodeSays::Failed(_)
            | NodeSays::Permitted
            | NodeSays::Nothing
            | NodeSays::InFlight
            | NodeSays::Paid { .. },
        )
        | None => None,
    };
    attempt_failed(payment, attempt, FailureReason::FoundUnpaid, failure)
}

impl ResolveFacts {
    fn of(&self, node: NodeId) -> Option<NodeSays> {
        self.says.iter().find(|(of, _)| *of == node).map(|(_, says)| *says)
    }
}
