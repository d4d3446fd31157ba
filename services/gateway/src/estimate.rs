//! What a payment would come to, as things stand. Nothing changes, and routes are not probed.

use domain::{
    InvoiceTerms, Msat, Rejection, SignedMsat, WalletId,
    org::{Backing, Org, Wallet},
    payment::default_fee_limit,
};
use proto::Problem;

use crate::{auth::Caller, edge::Edge, wallets};

pub(crate) struct Estimate {
    /// `None`: the payer names the amount.
    pub(crate) amount: Option<Msat>,
    /// The most that routing can cost.
    pub(crate) max_fee: Msat,
    /// What would be held; `None` above the supply, or where no amount is known.
    pub(crate) total: Option<Msat>,
    pub(crate) spendable: SignedMsat,
    /// With the fee limit asked for or the usual one.
    pub(crate) largest_sendable: Msat,
    /// Why it would not be taken; none where it would.
    pub(crate) reasons: Vec<&'static str>,
}

/// A wallet of the caller's that may still pay or be paid.
pub(crate) fn wallet(org: &Org, caller: Caller, id: WalletId) -> Result<&Wallet, Problem> {
    let wallet = wallets::own(org, caller, id)?;
    match wallet.deleted_at {
        None => Ok(wallet),
        Some(_) => Err(Rejection::WalletNotFound(id).into()),
    }
}

pub(crate) fn of_send(
    edge: &Edge,
    org: &Org,
    wallet: &Wallet,
    invoice: &InvoiceTerms,
    (amount_msat, fee_limit_msat): (Option<u64>, Option<u64>),
) -> Result<Estimate, Problem> {
    let expected = edge.gateway.network;
    if invoice.network != expected.chain() {
        let (expected, found) = (expected.name(), invoice.network.name());
        return Err(Rejection::WrongNetwork { expected, found }.into());
    }
    let amount = amount_of(invoice, amount_msat)?;
    let max_fee = fee_limit_msat.map(fee_limit).transpose()?;
    let fee = max_fee.unwrap_or_else(|| default_fee_limit(amount));
    let spendable = org.spendable(wallet);
    let total = amount.checked_add(fee);
    let is_disabled = match wallet.backing {
        Backing::Line(line) => org.lines.get(&line).is_some_and(|line| line.disabled_at.is_some()),
        Backing::Node(_) => false,
    };
    let mut reasons = Vec::new();
    if total.is_none_or(|total| total.signed() > spendable) {
        reasons.push("insufficient_funds");
    }
    if invoice.expires_at <= edge.gateway.clock.now() {
        reasons.push("invoice_expired");
    }
    if is_disabled {
        reasons.push("line_of_credit_disabled");
    }
    Ok(Estimate {
        amount: Some(amount),
        max_fee: fee,
        total,
        spendable,
        largest_sendable: largest_sendable(spendable, max_fee),
        reasons,
    })
}

pub(crate) fn of_receive(
    org: &Org,
    wallet: &Wallet,
    amount_msat: Option<u64>,
) -> Result<Estimate, Problem> {
    let amount = amount_msat.map(in_range).transpose()?;
    let spendable = org.spendable(wallet);
    Ok(Estimate {
        amount,
        max_fee: Msat::ZERO,
        total: amount,
        spendable,
        largest_sendable: largest_sendable(spendable, None),
        reasons: Vec::new(),
    })
}

fn amount_of(invoice: &InvoiceTerms, named: Option<u64>) -> Result<Msat, Problem> {
    match (invoice.amount_msat, named) {
        (Some(fixed), _) => Ok(fixed),
        (None, Some(named)) => in_range(named),
        (None, None) => Err(Rejection::AmountMissing.into()),
    }
}

fn in_range(amount_msat: u64) -> Result<Msat, Problem> {
    let amount = Msat::new(amount_msat).filter(|amount| !amount.is_zero());
    amount.ok_or_else(|| Rejection::AmountOutOfRange.into())
}

fn fee_limit(fee_msat: u64) -> Result<Msat, Problem> {
    Msat::new(fee_msat).ok_or_else(|| Rejection::FeeLimitOutOfRange.into())
}

/// The largest amount whose hold fits. The usual fee limit grows with the amount and never faster, so
/// that halving finds it.
fn largest_sendable(spendable: SignedMsat, max_fee: Option<Msat>) -> Msat {
    let spendable = spendable.floor_at_zero();
    if let Some(fee) = max_fee {
        return spendable.saturating_sub(fee);
    }
    let (mut fits, mut above) = (0, spendable.get().saturating_add(1));
    while above - fits > 1 {
        let middle = fits + (above - fits) / 2;
        let amount = Msat::new(middle).unwrap_or(Msat::SUPPLY);
        let hold = amount.checked_add(default_fee_limit(amount));
        match hold.is_some_and(|hold| hold <= spendable) {
            true => fits = middle,
            false => above = middle,
        }
    }
    Msat::new(fits).unwrap_or(Msat::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_sendable_and_its_fee_fit_and_one_more_does_not() {
        for spendable in [0, 1, 999, 1_000, 1_001, 101_000, 101_001, 5_000_000_017] {
            let largest = largest_sendable(SignedMsat::new(spendable), None);
            let hold = |amount: Msat| amount.checked_add(default_fee_limit(amount)).unwrap();
            let spendable = Msat::new(spendable.unsigned_abs()).unwrap();
            assert!(largest.is_zero() || hold(largest) <= spendable);
            assert!(hold(Msat::new(largest.get() + 1).unwrap()) > spendable);
        }
        assert_eq!(largest_sendable(SignedMsat::new(-5), None), Msat::ZERO);
        let free = largest_sendable(SignedMsat::new(700), Some(Msat::ZERO));
        assert_eq!(free.get(), 700);
    }
}
