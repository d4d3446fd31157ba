//! Lines of credit of a caller's environment: what both faces ask of them.

use domain::{
    ErrorClass, LineId, Msat, Network, Rejection,
    org::{Backing, Command, Line, Org},
};
use proto::Problem;

use crate::{
    auth::Caller,
    edge::Edge,
    problem::{after_a_write, customer},
};

/// One of another environment is not found, like one that never was.
pub(crate) fn own(org: &Org, caller: Caller, id: LineId) -> Result<&Line, Problem> {
    let known = org.lines.get(&id);
    let own = known.filter(|line| line.environment == caller.environment);
    own.map(Box::as_ref).ok_or_else(|| Rejection::LineNotFound(id).into())
}

/// The wallets that draw on a line, or on the own node that stands for one.
pub(crate) fn wallets_of(org: &Org, line: LineId) -> impl Iterator<Item = domain::WalletId> {
    let own = org.wallets.iter().filter(move |(_, wallet)| match wallet.backing {
        Backing::Line(backing) => backing == line,
        Backing::Node(node) => node.uuid() == line.uuid(),
    });
    own.map(|(&id, _)| id)
}

/// Sets the limit of a line, disables it, or both: everywhere but on mainnet.
pub(crate) async fn change_sandbox(
    edge: &Edge,
    caller: Caller,
    line: LineId,
    limit_msat: Option<u64>,
    disables: bool,
) -> Result<(), Problem> {
    if edge.gateway.network == Network::Mainnet {
        let why = "a line of credit on mainnet is changed by an operator";
        return Err(Problem::new(ErrorClass::Denied, "not_allowed", why));
    }
    let limit_msat = limit_msat.map(limit).transpose()?;
    if limit_msat.is_none() && !disables {
        return Err(no_updates());
    }
    own(&edge.standing(caller.org).await?, caller, line)?;
    let set = limit_msat.map(|limit_msat| Command::SetLineLimit { line, limit_msat });
    let disable = disables.then_some(Command::DisableLine { line });
    let mut has_changed = false;
    for command in [set, disable].into_iter().flatten() {
        let asked = edge.gateway.orgs.administer(caller.org, command).await;
        asked.map_err(|error| match (customer::orgs(error), has_changed) {
            (problem, false) => problem,
            (problem, true) => after_a_write(problem),
        })?;
        has_changed = true;
    }
    Ok(())
}

pub(crate) fn no_updates() -> Problem {
    Problem::new(ErrorClass::Invalid, "no_updates_provided", "the request changes nothing")
}

fn limit(limit_msat: u64) -> Result<Msat, Problem> {
    Msat::new(limit_msat).filter(|limit| !limit.is_zero()).ok_or_else(|| {
        let why = "limit must be from 1 to the bitcoin supply";
        Problem::new(ErrorClass::Invalid, "invalid_line_of_credit_limit", why)
    })
}
