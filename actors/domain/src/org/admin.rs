//! Environments, lines of credit, own nodes and wallets. A repeat with the same values changes nothing,
//! whatever has changed since.
//!
//! People find things by name, so a new name is one that nothing beside it has. Only the decision
//! refuses: what was made before this rule is loaded as it is.

use crate::{
    EnvironmentId, LineId, Msat, NodeId, Rejection, SignedMsat, Timestamp, WalletId,
    broken::{self, Rule},
    ledger::Funds,
    org::{Backing, Command, CustomerNode, Decision, Environment, Event, Line, Org, Wallet, send},
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
            Some(known) if known.is_made_as(name) => Ok(Decision::nothing()),
            Some(_) => Err(Rejection::IdReused),
            None => {
                self.check_environments_name_is_free(name)?;
                let name = name.to_owned();
                Ok(Decision::event(Event::EnvironmentCreated { environment, name }))
            }
        }
    }

    pub(super) fn rename_environment(
        &self,
        environment: EnvironmentId,
        name: &str,
    ) -> Result<Decision, Rejection> {
        check_name(name)?;
        let known = self.environments.get(&environment);
        let known = known.ok_or(Rejection::EnvironmentNotFound(environment))?;
        if known.name == name {
            return Ok(Decision::nothing());
        }
        self.check_environments_name_is_free(name)?;
        Ok(Decision::event(Event::EnvironmentRenamed { environment, name: name.to_owned() }))
    }

    pub(super) fn open_line(
        &self,
        line: LineId,
        environment: EnvironmentId,
        limit_msat: Msat,
    ) -> Result<Decision, Rejection> {
        self.check_environment(environment)?;
        match self.lines.get(&line) {
            Some(known) if known.is_opened_as(environment, limit_msat) => Ok(Decision::nothing()),
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

    pub(super) fn disable_line(&self, line: LineId) -> Result<Decision, Rejection> {
        let known = self.lines.get(&line).ok_or(Rejection::LineNotFound(line))?;
        Ok(match known.disabled_at {
            Some(_) => Decision::nothing(),
            None => Decision::event(Event::LineDisabled { line }),
        })
    }

    pub(super) fn enable_line(&self, line: LineId) -> Result<Decision, Rejection> {
        let known = self.lines.get(&line).ok_or(Rejection::LineNotFound(line))?;
        Ok(match known.disabled_at {
            Some(_) => Decision::event(Event::LineEnabled { line }),
            None => Decision::nothing(),
        })
    }

    pub(super) fn set_node_funds(&self, node: NodeId, funds_msat: Msat) -> Decision {
        match self.nodes.get(&node) {
            Some(known) if known.funds.limit_msat == funds_msat => Decision::nothing(),
            Some(_) | None => Decision::event(Event::NodeFundsSet { node, funds_msat }),
        }
    }

    pub(super) fn create_wallet(&self, asked: &Command) -> Result<Decision, Rejection> {
        let Command::CreateWallet { wallet, environment, name, backing, limit_msat, metadata } =
            asked
        else {
            return Ok(Decision::nothing());
        };
        check_name(name)?;
        send::check_metadata(metadata)?;
        self.check_environment(*environment)?;
        match self.wallets.get(wallet) {
            Some(known) if known.is_made_as(asked) => return Ok(Decision::nothing()),
            Some(_) => return Err(Rejection::IdReused),
            None => {
                self.check_name_is_free(*environment, name)?;
                self.check_backing(*environment, *backing)?;
                self.check_allocation(*backing, Msat::ZERO, *limit_msat)?;
            }
        }
        Ok(Decision::event(Event::WalletCreated {
            wallet: *wallet,
            environment: *environment,
            name: name.clone(),
            backing: *backing,
            limit_msat: *limit_msat,
            metadata: metadata.clone(),
        }))
    }

    pub(super) fn set_wallet_limit(
        &self,
        wallet: WalletId,
        limit_msat: Msat,
    ) -> Result<Decision, Rejection> {
        let known = self.live_wallet(wallet)?;
        let now_msat = known.funds.limit_msat;
        if now_msat == limit_msat {
            return Ok(Decision::nothing());
        }
        if limit_msat > now_msat {
            self.check_allocation(known.backing, now_msat, limit_msat)?;
        }
        Ok(Decision::event(Event::WalletLimitSet { wallet, limit_msat }))
    }

    pub(super) fn rename_wallet(
        &self,
        wallet: WalletId,
        name: &str,
    ) -> Result<Decision, Rejection> {
        check_name(name)?;
        let known = self.live_wallet(wallet)?;
        if known.name == name {
            return Ok(Decision::nothing());
        }
        self.check_name_is_free(known.environment, name)?;
        Ok(Decision::event(Event::WalletRenamed { wallet, name: name.to_owned() }))
    }

    /// Only an empty wallet: what it owes or owns would have nobody to answer for it.
    pub(super) fn delete_wallet(&self, wallet: WalletId) -> Result<Decision, Rejection> {
        let known = self.wallets.get(&wallet).ok_or(Rejection::WalletNotFound(wallet))?;
        if known.deleted_at.is_some() {
            return Ok(Decision::nothing());
        }
        let has_funds =
            known.funds.net_msat != SignedMsat::ZERO || known.funds.held_msat != Msat::ZERO;
        let sends = || self.outgoing.values().any(|it| it.is_open() && it.terms.wallet == wallet);
        let receives =
            || self.incoming.values().any(|it| it.is_open() && it.terms.wallet == wallet);
        match has_funds || sends() || receives() {
            true => Err(Rejection::WalletNotEmpty(wallet)),
            false => Ok(Decision::event(Event::WalletDeleted { wallet })),
        }
    }

    /// Whether the line lends nothing new.
    pub(super) fn is_disabled(&self, backing: Backing) -> bool {
        match backing {
            Backing::Line(line) => {
                self.lines.get(&line).is_some_and(|line| line.disabled_at.is_some())
            }
            Backing::Node(_) => false,
        }
    }

    fn check_environments_name_is_free(&self, name: &str) -> Result<(), Rejection> {
        match self.environments.values().any(|known| known.name == name) {
            true => Err(Rejection::NameTaken),
            false => Ok(()),
        }
    }

    /// The name of a deleted wallet is free again.
    fn check_name_is_free(&self, environment: EnvironmentId, name: &str) -> Result<(), Rejection> {
        let mut live = self.wallets.values().filter(|wallet| wallet.deleted_at.is_none());
        match live.any(|wallet| wallet.environment == environment && wallet.name == name) {
            true => Err(Rejection::NameTaken),
            false => Ok(()),
        }
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

    /// A line serves the wallets of its own environment, and takes new ones unless it is disabled.
    fn check_backing(&self, wanted: EnvironmentId, backing: Backing) -> Result<(), Rejection> {
        match backing {
            Backing::Line(line)
                if self.lines.get(&line).is_none_or(|known| known.environment != wanted) =>
            {
                Err(Rejection::LineNotFound(line))
            }
            Backing::Line(line) if self.is_disabled(backing) => Err(Rejection::LineDisabled(line)),
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

impl Environment {
    /// Whether it was created with the same name, whatever it has now.
    fn is_made_as(&self, name: &str) -> bool {
        self.first_name.as_ref().unwrap_or(&self.name) == name
    }
}

impl Wallet {
    /// Whether it was created with the same words, whatever has changed since.
    fn is_made_as(&self, asked: &Command) -> bool {
        let Command::CreateWallet { environment, name, backing, limit_msat, metadata, .. } = asked
        else {
            return false;
        };
        self.environment == *environment
            && self.first_name.as_ref().unwrap_or(&self.name) == name
            && self.backing == *backing
            && self.first_limit_msat.unwrap_or(self.funds.limit_msat) == *limit_msat
            && self.metadata == *metadata
    }
}

impl Line {
    pub(super) fn new(environment: EnvironmentId, limit_msat: Msat, at: Timestamp) -> Line {
        Line {
            environment,
            funds: Funds::with_limit(limit_msat),
            allocated_msat: Msat::ZERO,
            first_limit_msat: None,
            created_at: at,
            disabled_at: None,
        }
    }

    /// Whether it was opened with the same words, whatever has changed since.
    fn is_opened_as(&self, environment: EnvironmentId, limit_msat: Msat) -> bool {
        self.environment == environment
            && self.first_limit_msat.unwrap_or(self.funds.limit_msat) == limit_msat
    }
}

fn check_name(name: &str) -> Result<(), Rejection> {
    match name.len() <= NAME_BYTES_MAX {
        true => Ok(()),
        false => Err(Rejection::TextTooLong(NAME_BYTES_MAX)),
    }
}
