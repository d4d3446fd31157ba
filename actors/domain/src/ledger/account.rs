use crate::{NodeId, WalletId};

/// A ledger account inside one organisation's books.
///
/// Accounts that many organisations share (a pool node, the clearing of the internal rail) are kept
/// as one sub-account for each organisation and summed when read, so that no row is hot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// What the house owes the organisation in this wallet; its normal side is credit.
    Wallet(WalletId),
    /// What has come in through a node less what has left through it; its normal side is debit.
    Node(NodeId),
    /// Money on its way between two organisations; over the whole installation it returns to zero.
    Clearing,
}
