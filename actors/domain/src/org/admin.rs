//! Environments, lines of credit, own nodes and wallets. A repeat with the same values changes nothing.
//!
//! People find things by name, so a new name is one that nothing beside it has. Only the decision
//! refuses: what was made before this rule is loaded as it is.

use crate::{
    EnvironmentId, LineId, Msat, NodeId, Rejection, SignedMsat, WalletId,
    broken::{self, Rule},
    ledger::Funds,
    org::{Backing, CustomerNode, Decision, Environment, Event, Line, Org, Wallet},
};

/// The longest name of anything, in bytes.
const NAME_BYTES_MAX: usize = 256;

impl Org {
    pub(super) fn create_environment(
        &self,
        environment: EnvironmentId,
        name: &str,
    ) -> Result<Decision, Rejection> {
        check_name(name)?;
        match self.environments.get(&environment) {
            Some(Environment { name: known }) if known == name => Ok(Decision::nothing()),
            Some(_) => Err(Rejection::IdReused),
            None if self.environments.values().any(|known| known.name == name) => {
                Err(Rejection::NameTaken)
            }
            None => Ok(Decision::event(Event::EnvironmentCreated {
                environment,
                name: name.to_owned(),
            })),
        }
    }

    pub(super) fn open_line(
        &self,
        line: LineId,
        environment: EnvironmentId,
        limit_msat: Msat,
    ) -> Result<Decision, Rejection> {
        self.check_environment(environment)?;
        match self.lines.get(&line) {
            Some(known)
                if known.environment == environment && known.funds.limit_msat == limit_msat =>
            {
                Ok(Decision::nothing())
            }
            Some(_) => Err(Rejection::IdReused),
            None => Ok(Decision::event(Event::LineOpened { line, environment, limit_msat })),
        }
    }

    /// A limit may be lowered below use: that blocks new sends and nothing else (rule 7).
    pub(super) fn set_line_limit(
        &self,
        line: LineId,
        limit_msat: Msat,
    ) -> Result<Decision, Rejection> {
        let known = self.lines.get(&line).ok_or(Rejection::LineNotFound(line))?;
        if known.funds.limit_msat == limit_msat {
            return Ok(Decision::nothing());
        }
        let lowered = Funds { limit_msat, ..known.funds };
        if broken::is(Rule::LimitMayBeLowered) && lowered.available() < SignedMsat::ZERO {
            return Err(Rejection::CannotAllocate(limit_msat));
        }
        Ok(Decision::event(Event::LineLimitSet { line, limit_msat }))
    }

    pub(super) fn set_node_funds(&self, node: NodeId, funds_msat: Msat) -> Decision {
        match self.nodes.get(&node) {
            Some(known) if known.funds.limit_msat == funds_msat => Decision::nothing(),
            Some(_) | None => Decision::event(Event::NodeFundsSet { node, funds_msat }),
        }
    }

    pub(super) fn create_wallet(
        &self,
        wallet: WalletId,
        environment: EnvironmentId,
        name: &str,
        backing: Backing,
        limit_msat: Msat,
    ) -> Result<Decision, Rejection> {
        check_name(name)?;
        self.check_environment(environment)?;
        let wanted = Wallet {
            environment,
            name: name.to_owned(),
            backing,
            funds: Funds::with_limit(limit_msat),
        };
        match self.wallets.get(&wallet) {
            Some(known) if known.is_made_as(&wanted) => return Ok(Decision::nothing()),
            Some(_) => return Err(Rejection::IdReused),
            None if self.wallets.values().any(|known| known.is_named_as(&wanted)) => {
                return Err(Rejection::NameTaken);
            }
            None => {
                self.check_backing(environment, backing)?;
                self.check_allocation(backing, Msat::ZERO, limit_msat)?;
            }
        }
        Ok(Decision::event(Event::WalletCreated {
            wallet,
            environment,
            name: wanted.name,
            backing,
            limit_msat,
        }))
    }

    pub(super) fn set_wallet_limit(
        &self,
        wallet: WalletId,
        limit_msat: Msat,
    ) -> Result<Decision, Rejection> {
        let known = self.wallets.get(&wallet).ok_or(Rejection::WalletNotFound(wallet))?;
        let now_msat = known.funds.limit_msat;
        if now_msat == limit_msat {
            return Ok(Decision::nothing());
        }
        if limit_msat > now_msat {
            self.check_allocation(known.backing, now_msat, limit_msat)?;
        }
        Ok(Decision::event(Event::WalletLimitSet { wallet, limit_msat }))
    }

    /// The shares of all wallets never exceed what their backing has to give (rule 32).
    fn check_allocation(
        &self,
        backing: Backing,
        old_share_msat: Msat,
        new_share_msat: Msat,
    ) -> Result<(), Rejection> {
        let (funds, allocated_msat) = match backing {
            Backing::Line(line) => {
                let known = self.lines.get(&line).ok_or(Rejection::LineNotFound(line))?;
                (&known.funds, known.allocated_msat)
            }
            Backing::Node(node) => {
                let known: &CustomerNode =
                    self.nodes.get(&node).ok_or(Rejection::NodeNotFound(node))?;
                (&known.funds, known.allocated_msat)
            }
        };
        let others_msat = allocated_msat.saturating_sub(old_share_msat);
        let left_msat = funds.limit_msat.saturating_sub(others_msat);
        if new_share_msat > left_msat {
            return Err(Rejection::CannotAllocate(left_msat));
        }
        Ok(())
    }

    /// A line serves the wallets of its own environment.
    fn check_backing(&self, wanted: EnvironmentId, backing: Backing) -> Result<(), Rejection> {
        match backing {
            Backing::Line(line)
                if self.lines.get(&line).is_none_or(|known| known.environment != wanted) =>
            {
                Err(Rejection::LineNotFound(line))
            }
            Backing::Line(_) | Backing::Node(_) => Ok(()),
        }
    }

    fn check_environment(&self, environment: EnvironmentId) -> Result<(), Rejection> {
        match self.environments.contains_key(&environment) {
            true => Ok(()),
            false => Err(Rejection::EnvironmentNotFound(environment)),
        }
    }
}

impl Wallet {
    fn is_named_as(&self, other: &Wallet) -> bool {
        self.environment == other.environment && self.name == other.name
    }

    /// Whether it was made with the same words, whatever has moved since.
    fn is_made_as(&self, other: &Wallet) -> bool {
        self.environment == other.environment
            && self.name == other.name
            && self.backing == other.backing
            && self.funds.limit_msat == other.funds.limit_msat
    }
}

impl Line {
    pub(super) fn new(environment: EnvironmentId, limit_msat: Msat) -> Line {
        Line { environment, funds: Funds::with_limit(limit_msat), allocated_msat: Msat::ZERO }
    }
}

fn check_name(name: &str) -> Result<(), Rejection> {
    match name.len() <= NAME_BYTES_MAX {
        true => Ok(()),
        false => Err(Rejection::TextTooLong(NAME_BYTES_MAX)),
    }
}
