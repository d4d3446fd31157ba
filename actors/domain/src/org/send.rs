//! Sending: the hold and the first request, in one decision.

use std::sync::Arc;

use crate::{
    Msat, PaymentId, Rejection, Timestamp,
    broken::{self, Rule},
    org::{
        Backing, ClaimRequest, Decision, Effect, Event, Metadata, Org, Payee, PaymentFailure, Rail,
        SendFacts, SendTerms, Wallet,
    },
};

/// The most payments that one organisation may have open: bounds memory and recovery.
const OPEN_PAYMENTS_MAX: usize = 100_000;
/// BOLT11 has room for 639 bytes of description; a sender's own note gets no more.
pub(super) const DESCRIPTION_BYTES_MAX: usize = 639;
/// Metadata is kept with its payment for ever and copied with every change of it.
const METADATA_PAIRS_MAX: usize = 50;
const METADATA_CHARS_MAX: usize = 256;

impl Org {
    pub(super) fn send(
        &self,
        payment: PaymentId,
        terms: &Arc<SendTerms>,
        facts: &SendFacts,
        now: Timestamp,
    ) -> Result<Decision, Rejection> {
        // A repeat is answered before anything else is looked at, whatever the clock says.
        if let Some(known) = self.outgoing.get(&payment) {
            return same_body(known.terms == *terms);
        }
        if self.incoming.contains_key(&payment) {
            return Err(Rejection::IdReused);
        }
        let wallet = self.live_wallet(terms.wallet)?;
        let (amount_msat, fee_limit_msat) = check_request(terms, facts, now)?;
        if self.open_outgoing >= OPEN_PAYMENTS_MAX {
            return Err(Rejection::TooManyOpen(OPEN_PAYMENTS_MAX));
        }
        let rail = choose_rail(wallet, facts.payee)?;
        let fee_limit_msat = match rail {
            Rail::Internal { .. } => Msat::ZERO,
            Rail::CreditPool | Rail::CustomerNode(_) => fee_limit_msat,
        };
        let hash_taken = facts.hash_taken || self.pays(terms.invoice.hash);
        let hash_taken = hash_taken && !broken::is(Rule::OnePaymentForAHash);
        let fee_held_msat = match broken::is(Rule::FeeIsHeld) {
            true => Msat::ZERO,
            false => fee_limit_msat,
        };
        let refusal = match hash_taken {
            true => Some(PaymentFailure::InvoiceAlreadyPaid),
            false => self.refusal(wallet, rail, amount_msat, fee_held_msat, facts),
        };
        if let Some(failure) = refusal {
            return Ok(Decision::event(Event::SendRefused {
                payment,
                terms: terms.clone(),
                amount_msat,
                fee_limit_msat,
                rail,
                failure,
            }));
        }
        let held = Event::Held {
            payment,
            terms: terms.clone(),
            amount_msat,
            fee_limit_msat: fee_held_msat,
            rail,
            plan: facts.plan.clone(),
            older_failures: facts.older_failures.clone(),
        };
        Ok(match rail {
            Rail::Internal { payee, payee_payment } => Decision::event(held).and(Effect::Claim {
                payee,
                request: ClaimRequest {
                    payer: self.id,
                    payer_payment: payment,
                    payment: payee_payment,
                    hash: terms.invoice.hash,
                    amount_msat,
                },
                text: terms.invoice.text.clone(),
            }),
            Rail::CreditPool | Rail::CustomerNode(_) => {
                self.first_attempt(payment, terms, amount_msat, fee_limit_msat, facts, held)
            }
        })
    }

    fn first_attempt(
        &self,
        payment: PaymentId,
        terms: &SendTerms,
        amount_msat: Msat,
        fee_limit_msat: Msat,
        facts: &SendFacts,
        held: Event,
    ) -> Decision {
        let node = *facts.plan.first().expect("a send without a node was refused");
        let until = facts.permitted_until;
        let started = Event::AttemptStarted {
            payment,
            hash: terms.invoice.hash,
            number: 1,
            node,
            epoch: self.epoch,
            until,
        };
        let pay = Effect::Pay {
            payment,
            attempt: 1,
            request: 1,
            node,
            hash: terms.invoice.hash,
            invoice: terms.invoice.text.clone(),
            amount_msat: amount_to_name(terms, amount_msat),
            fee_limit_msat,
            until,
        };
        Decision { events: vec![held, started], effects: vec![pay] }
    }

    /// What needs state: each of these is committed as a failed payment.
    fn refusal(
        &self,
        wallet: &Wallet,
        rail: Rail,
        amount_msat: Msat,
        fee_limit_msat: Msat,
        facts: &SendFacts,
    ) -> Option<PaymentFailure> {
        if self.is_disabled(wallet.backing) {
            return Some(PaymentFailure::LineDisabled);
        }
        let fits = amount_msat.checked_add(fee_limit_msat).is_some_and(|hold| {
            let backing_fits = self.backing_funds(wallet.backing).can_hold(hold);
            wallet.funds.can_hold(hold) && (backing_fits || broken::is(Rule::EveryLimitIsChecked))
        });
        if !fits {
            return Some(PaymentFailure::InsufficientFunds);
        }
        let needs_node = !matches!(rail, Rail::Internal { .. });
        (needs_node && facts.plan.is_empty()).then_some(PaymentFailure::NoUsableNode)
    }
}

/// The amount to name to the node: only when the invoice does not.
pub(super) fn amount_to_name(terms: &SendTerms, amount_msat: Msat) -> Option<Msat> {
    terms.invoice.amount_msat.is_none().then_some(amount_msat)
}

/// A repeat with the same body is answered with what is there; another body is another request.
pub(super) fn same_body(same: bool) -> Result<Decision, Rejection> {
    if same { Ok(Decision::nothing()) } else { Err(Rejection::IdReused) }
}

/// The zero character is refused because not every store can search texts that have it.
pub(super) fn check_metadata(metadata: &Metadata) -> Result<(), Rejection> {
    let fits = |text: &String| text.chars().count() <= METADATA_CHARS_MAX && !text.contains('\0');
    let all_fit = metadata.iter().all(|(key, value)| fits(key) && fits(value));
    match all_fit && metadata.len() <= METADATA_PAIRS_MAX {
        true => Ok(()),
        false => Err(Rejection::MetadataOutOfRange),
    }
}

/// What the request alone shows: nothing of it is stored.
fn check_request(
    terms: &SendTerms,
    facts: &SendFacts,
    now: Timestamp,
) -> Result<(Msat, Msat), Rejection> {
    let invoice = &terms.invoice;
    check_metadata(&terms.metadata)?;
    if terms.description.as_ref().is_some_and(|text| text.len() > DESCRIPTION_BYTES_MAX) {
        return Err(Rejection::TextTooLong(DESCRIPTION_BYTES_MAX));
    }
    if invoice.network != facts.network.chain() {
        return Err(Rejection::WrongNetwork {
            expected: facts.network.name(),
            found: invoice.network.name(),
        });
    }
    if invoice.expires_at <= now {
        return Err(Rejection::InvoiceExpired);
    }
    terms.amounts(facts)
}

impl SendTerms {
    /// What the payee gets and the most that routing may cost, if both are in their bounds.
    pub fn to_hold(&self, facts: &SendFacts) -> Option<(Msat, Msat)> {
        self.amounts(facts).ok()
    }

    fn amounts(&self, facts: &SendFacts) -> Result<(Msat, Msat), Rejection> {
        let invoice = &self.invoice;
        let amount_msat = match (invoice.amount_msat, self.amount_msat) {
            (Some(fixed), None) => fixed,
            (Some(fixed), Some(_)) => return Err(Rejection::AmountGiven(fixed)),
            (None, Some(given)) => Msat::new(given).ok_or(Rejection::AmountOutOfRange)?,
            (None, None) => return Err(Rejection::AmountMissing),
        };
        if amount_msat.is_zero() {
            return Err(Rejection::AmountOutOfRange);
        }
        let fee_limit_msat = match self.fee_limit_msat {
            Some(given) => Msat::new(given).ok_or(Rejection::FeeLimitOutOfRange)?,
            None => {
                amount_msat.per_million_ceil(facts.default_fee_ppm).max(facts.default_fee_min_msat)
            }
        };
        Ok((amount_msat, fee_limit_msat))
    }
}

/// Internal only if both wallets draw on the same funds; else over Lightning like any other (rule 19).
fn choose_rail(wallet: &Wallet, payee: Payee) -> Result<Rail, Rejection> {
    let by_lightning = match wallet.backing {
        Backing::Line(_) => Rail::CreditPool,
        Backing::Node(node) => Rail::CustomerNode(node),
    };
    match (payee, wallet.backing) {
        (Payee::Inside { org, payment, node: None }, Backing::Line(_)) => {
            Ok(Rail::Internal { payee: org, payee_payment: payment })
        }
        (Payee::Inside { org, payment, node: Some(theirs) }, Backing::Node(ours))
            if theirs == ours =>
        {
            Ok(Rail::Internal { payee: org, payee_payment: payment })
        }
        (Payee::UnknownOn(node), _) => Err(Rejection::InvoiceUnknownToLedger(node)),
        (Payee::Inside { .. } | Payee::Outside, _) => Ok(by_lightning),
    }
}
