use crate::{Msat, ledger::Account, money::Currency};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Debit,
    Credit,
}

/// One line of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    pub account: Account,
    pub side: Side,
    pub amount_msat: Msat,
}

/// Debits and credits of one currency that sum to the same. Never changed once written; a correction
/// is another entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    currency: Currency,
    postings: Vec<Posting>,
}

impl Entry {
    /// Moves an amount from one account to another.
    pub fn transfer(debit: Account, credit: Account, amount_msat: Msat) -> Entry {
        let postings = vec![
            Posting { account: debit, side: Side::Debit, amount_msat },
            Posting { account: credit, side: Side::Credit, amount_msat },
        ];
        Entry { currency: Currency::Btc, postings }
    }

    /// Reads an entry back. `None` unless debits and credits sum to the same.
    pub fn from_postings(currency: Currency, postings: Vec<Posting>) -> Option<Entry> {
        let sum = |side| -> u128 {
            let of_side = postings.iter().filter(|posting| posting.side == side);
            of_side.map(|posting| u128::from(posting.amount_msat.get())).sum()
        };
        (sum(Side::Debit) == sum(Side::Credit)).then_some(Entry { currency, postings })
    }

    pub fn currency(&self) -> Currency {
        self.currency
    }

    pub fn moves(&self, account: Account) -> bool {
        self.postings.iter().any(|posting| posting.account == account)
    }

    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }
}
