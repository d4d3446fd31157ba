//! Amounts: integers with a unit, checked arithmetic, named rounding.

/// A non-negative amount of millisatoshi, never above the 21 million coin supply.
///
/// There is no `Add`, `Sub` or `From<f64>`: every sum states what happens when it does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Msat(u64);

impl Msat {
    pub const ZERO: Msat = Msat(0);
    pub const SUPPLY: Msat = Msat(21_000_000 * 100_000_000 * 1_000);

    /// `None` above the supply.
    pub const fn new(msat: u64) -> Option<Msat> {
        if msat <= Self::SUPPLY.0 { Some(Msat(msat)) } else { None }
    }

    /// `None` above the supply.
    pub fn from_sat(sat: u64) -> Option<Msat> {
        sat.checked_mul(1_000).and_then(Msat::new)
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `None` when the sum is above the supply.
    pub fn checked_add(self, other: Msat) -> Option<Msat> {
        self.0.checked_add(other.0).and_then(Msat::new)
    }

    /// `None` when the difference is below zero.
    pub fn checked_sub(self, other: Msat) -> Option<Msat> {
        self.0.checked_sub(other.0).map(Msat)
    }

    /// The difference, or zero where it would be below zero.
    pub fn saturating_sub(self, other: Msat) -> Msat {
        Msat(self.0.saturating_sub(other.0))
    }

    /// `self` × `ppm` / 1,000,000, rounded up, so that a fee is never reserved short; capped at the
    /// supply.
    pub fn per_million_ceil(self, ppm: u32) -> Msat {
        let scaled = (u128::from(self.0) * u128::from(ppm)).div_ceil(1_000_000);
        u64::try_from(scaled).ok().and_then(Msat::new).unwrap_or(Self::SUPPLY)
    }

    /// Whole satoshi, rounded up.
    pub fn to_sat_ceil(self) -> u64 {
        self.0.div_ceil(1_000)
    }

    pub fn signed(self) -> SignedMsat {
        SignedMsat(i64::try_from(self.0).expect("the supply fits in 63 bits"))
    }
}

/// A difference of millisatoshi amounts: what an account or a wallet has gained or lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignedMsat(i64);

impl SignedMsat {
    pub const ZERO: SignedMsat = SignedMsat(0);

    pub const fn new(msat: i64) -> SignedMsat {
        SignedMsat(msat)
    }

    pub const fn get(self) -> i64 {
        self.0
    }

    /// `None` when the sum leaves 64 bits.
    pub fn checked_add(self, other: SignedMsat) -> Option<SignedMsat> {
        self.0.checked_add(other.0).map(SignedMsat)
    }

    /// `None` when the difference leaves 64 bits.
    pub fn checked_sub(self, other: SignedMsat) -> Option<SignedMsat> {
        self.0.checked_sub(other.0).map(SignedMsat)
    }

    /// Adds an amount. `None` when the sum leaves 64 bits.
    pub fn plus(self, amount: Msat) -> Option<SignedMsat> {
        self.checked_add(amount.signed())
    }

    /// Takes an amount away. `None` when the difference leaves 64 bits.
    pub fn minus(self, amount: Msat) -> Option<SignedMsat> {
        self.checked_sub(amount.signed())
    }

    /// Whether the amount can be added or taken away and leave room for a limit and a hold besides:
    /// no sum of true payments is ever twice the supply away from zero.
    pub fn has_room_for(self, amount: Msat) -> bool {
        self.0.unsigned_abs().saturating_add(amount.0) <= 2 * Msat::SUPPLY.0
    }

    /// The amount, or zero where it is below zero.
    pub fn floor_at_zero(self) -> Msat {
        u64::try_from(self.0).ok().and_then(Msat::new).unwrap_or(Msat::ZERO)
    }
}

/// A currency of the ledger. Entries balance in each by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Currency {
    Btc,
}

impl Currency {
    pub fn code(self) -> &'static str {
        match self {
            Currency::Btc => "btc",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_4_amounts_stop_at_the_supply() {
        assert_eq!(Msat::new(Msat::SUPPLY.get() + 1), None);
        assert_eq!(Msat::SUPPLY.checked_add(Msat(1)), None);
        assert_eq!(Msat::from_sat(u64::MAX), None);
        assert_eq!(Msat::new(1 << 63), None);
        assert_eq!(Msat(1).checked_sub(Msat(2)), None);
    }

    #[test]
    fn rule_4_fees_round_up() {
        assert_eq!(Msat(1).per_million_ceil(1), Msat(1));
        assert_eq!(Msat(1_000_000).per_million_ceil(1), Msat(1));
        assert_eq!(Msat(0).per_million_ceil(500), Msat(0));
        assert_eq!(Msat(1).to_sat_ceil(), 1);
    }
}
