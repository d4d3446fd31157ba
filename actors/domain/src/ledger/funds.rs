use crate::{Msat, SignedMsat};

/// What something may spend: a wallet, a line of credit, or a customer node.
///
/// All three keep the same four numbers, and what may be spent is the least of what the wallet and
/// its backing have available (`money-safety` rule 32).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Funds {
    /// The most that may be spent with nothing received.
    pub limit_msat: Msat,
    /// Received less sent, since the last settlement.
    pub net_msat: SignedMsat,
    /// Held for payments in flight.
    pub held_msat: Msat,
}

impl Funds {
    pub fn with_limit(limit_msat: Msat) -> Funds {
        Funds { limit_msat, ..Funds::default() }
    }

    /// Limit + net − held. Below zero after a fact that no decision may refuse (rule 2).
    pub fn available(&self) -> SignedMsat {
        self.total().minus(self.held_msat).expect("amounts of the supply fit in 64 bits")
    }

    /// Limit + net: what would be available with nothing in flight.
    pub fn total(&self) -> SignedMsat {
        self.net_msat.plus(self.limit_msat).expect("amounts of the supply fit in 64 bits")
    }

    /// Whether so much more can be held. A limit and what was received can be more than there is of
    /// bitcoin; what is held at once cannot.
    pub(crate) fn can_hold(&self, amount: Msat) -> bool {
        self.held_msat.checked_add(amount).is_some() && amount.signed() <= self.available()
    }

    pub(crate) fn hold(&mut self, amount: Msat) {
        self.held_msat =
            self.held_msat.checked_add(amount).expect("checked when the hold was decided");
    }

    pub(crate) fn give_back(&mut self, amount: Msat) {
        self.held_msat =
            self.held_msat.checked_sub(amount).expect("only what is held is given back");
    }

    pub(crate) fn spend(&mut self, amount: Msat) {
        self.net_msat = self.net_msat.minus(amount).expect("sums of payments fit in 64 bits");
    }

    pub(crate) fn receive(&mut self, amount: Msat) {
        self.net_msat = self.net_msat.plus(amount).expect("sums of payments fit in 64 bits");
    }
}
