//! Double entry: accounts, entries that balance by construction, and the funds that wallets draw on.

mod account;
mod entry;
mod funds;

pub use account::Account;
pub use entry::{Entry, Posting, Side};
pub use funds::Funds;
