//! Wallets of a caller's environment: what both faces ask of them.

use domain::{
    ErrorClass, Rejection, WalletId,
    org::{Command, Org, Wallet},
};
use proto::Problem;

use crate::{auth::Caller, edge::Edge, problem::customer};

const NAME_CHARS_MIN: usize = 3;
const NAME_CHARS_MAX: usize = 256;

pub(crate) fn check_name(name: &str) -> Result<(), Problem> {
    let refused = |why: String| Err(Problem::new(ErrorClass::Invalid, "text_invalid", why));
    let length = name.chars().count();
    if !(NAME_CHARS_MIN..=NAME_CHARS_MAX).contains(&length) {
        return refused(format!("name must have {NAME_CHARS_MIN} to {NAME_CHARS_MAX} characters"));
    }
    match name.contains(char::is_control) || name.trim().is_empty() {
        true => refused("name must be visible and on one line".to_owned()),
        false => Ok(()),
    }
}

/// One of another environment is not found, like one that never was.
pub(crate) fn own(org: &Org, caller: Caller, id: WalletId) -> Result<&Wallet, Problem> {
    let known = org.wallets.get(&id);
    let own = known.filter(|wallet| wallet.environment == caller.environment);
    own.map(Box::as_ref).ok_or_else(|| Rejection::WalletNotFound(id).into())
}

/// Renames a wallet; the name has been checked.
pub(crate) async fn rename(
    edge: &Edge,
    caller: Caller,
    wallet: WalletId,
    name: String,
) -> Result<(), Problem> {
    own(&edge.standing(caller.org).await?, caller, wallet)?;
    administer(edge, caller, Command::RenameWallet { wallet, name }).await
}

pub(crate) async fn delete(edge: &Edge, caller: Caller, wallet: WalletId) -> Result<(), Problem> {
    own(&edge.standing(caller.org).await?, caller, wallet)?;
    administer(edge, caller, Command::DeleteWallet { wallet }).await
}

pub(crate) async fn administer(
    edge: &Edge,
    caller: Caller,
    command: Command,
) -> Result<(), Problem> {
    edge.gateway.orgs.administer(caller.org, command).await.map_err(customer::orgs)
}
