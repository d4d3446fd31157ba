//! What every store asks of records and rows that it has read.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    EnvironmentId, KeyId, LineId, NodeId, OrgId, Permission, Timestamp, WalletId,
    org::{Event, Line, Org, Row, Wallet},
    payment::Epoch,
};
use ports::{
    StoreError,
    directory::{IpNet, KeyRecord, NodeRecord, OrgRecord},
};

/// Whether adding `new` only repeats what made `stored`. The first instant of making stands.
pub(crate) fn same_org(stored: &OrgRecord, new: &OrgRecord) -> bool {
    OrgRecord { created_at: stored.created_at, ..new.clone() } == *stored
}

/// As [`same_org`]; a repeat does not bring a revoked key back.
pub(crate) fn same_key(stored: &KeyRecord, new: &KeyRecord) -> bool {
    let KeyRecord { created_at, updated_at, revoked_at, last_used_at, .. } = *stored;
    KeyRecord { created_at, updated_at, revoked_at, last_used_at, ..new.clone() } == *stored
}

/// A bit for each, which it keeps for ever.
fn permission_bit(permission: Permission) -> i16 {
    match permission {
        Permission::Read => 1,
        Permission::Receive => 2,
        Permission::Write => 4,
        Permission::Billing => 8,
    }
}

pub(crate) fn permissions_number(permissions: &BTreeSet<Permission>) -> i16 {
    permissions.iter().fold(0, |bits, permission| bits | permission_bit(*permission))
}

pub(crate) fn permissions_of(number: i16) -> Result<BTreeSet<Permission>, StoreError> {
    let all = Permission::ALL.into_iter();
    let found: BTreeSet<_> = all.filter(|one| number & permission_bit(*one) != 0).collect();
    match permissions_number(&found) == number {
        true => Ok(found),
        false => Err(StoreError::Corrupt(format!("no permissions have the number {number}"))),
    }
}

/// With commas between them.
pub(crate) fn ips_text(ips: &[IpNet]) -> String {
    let texts: Vec<String> = ips.iter().map(IpNet::to_string).collect();
    texts.join(",")
}

pub(crate) fn ips_of(text: &str) -> Result<Vec<IpNet>, StoreError> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    let ips: Result<Vec<IpNet>, _> = parts.map(str::parse).collect();
    ips.map_err(|_| StoreError::Corrupt("a key names a network that is none".to_owned()))
}

/// When each key was used last, each once.
pub(crate) fn last_uses(used: &[(KeyId, Timestamp)]) -> BTreeMap<KeyId, Timestamp> {
    let mut last = BTreeMap::new();
    for (key, at) in used {
        let known: &mut Timestamp = last.entry(*key).or_insert(*at);
        *known = (*known).max(*at);
    }
    last
}

/// As [`same_org`]; a repeat does not let a stopped node go on.
pub(crate) fn same_node(stored: &NodeRecord, new: &NodeRecord) -> bool {
    NodeRecord { stopped: stored.stopped.clone(), ..new.clone() } == *stored
}

/// Whether the payment was ever tried on the node.
pub(crate) fn tried_on(row: &Row, node: NodeId) -> bool {
    match row {
        Row::Outgoing(payment) => payment.attempts.iter().any(|attempt| attempt.node == node),
        Row::Incoming(_)
        | Row::Environment(..)
        | Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..) => false,
    }
}

/// An organisation's wallets and lines, to find an event's environment by.
pub(crate) struct Standing(Org);

impl Standing {
    pub(crate) fn of(org: OrgId, rows: Vec<Row>) -> Standing {
        Standing(Org::from_rows(org, Epoch::default(), rows))
    }

    /// `None`: the event is about a payment, which knows its environment, or about all of them.
    pub(crate) fn environment_of(&self, event: &Event) -> Option<EnvironmentId> {
        match event {
            Event::EnvironmentCreated { environment, .. }
            | Event::EnvironmentRenamed { environment, .. }
            | Event::LineOpened { environment, .. }
            | Event::WalletCreated { environment, .. } => Some(*environment),
            Event::LineLimitSet { line, .. }
            | Event::LineDisabled { line }
            | Event::LineEnabled { line } => self.of_line(*line),
            Event::WalletLimitSet { wallet, .. }
            | Event::WalletRenamed { wallet, .. }
            | Event::WalletDeleted { wallet } => self.of_wallet(*wallet),
            Event::NodeFundsSet { .. }
            | Event::SendRefused { .. }
            | Event::Held { .. }
            | Event::AttemptStarted { .. }
            | Event::RequestIssued { .. }
            | Event::RequestUnsent { .. }
            | Event::AttemptFailed { .. }
            | Event::Posted { .. }
            | Event::Voided { .. }
            | Event::Contradicted { .. }
            | Event::Resolved { .. }
            | Event::CancelRequested { .. }
            | Event::InvoiceRequested { .. }
            | Event::InvoiceMade { .. }
            | Event::InvoiceNotMade { .. }
            | Event::Received { .. }
            | Event::InvoiceExpired { .. }
            | Event::InvoiceClaimed { .. }
            | Event::ClaimCredited { .. }
            | Event::ClaimWithdrawn { .. }
            | Event::ClaimRefused { .. }
            | Event::InvoiceWithdrawn { .. } => None,
        }
    }

    fn of_line(&self, line: LineId) -> Option<EnvironmentId> {
        self.0.lines.get(&line).map(|line| line.environment)
    }

    fn of_wallet(&self, wallet: WalletId) -> Option<EnvironmentId> {
        self.0.wallets.get(&wallet).map(|wallet| wallet.environment)
    }
}

/// When the wallets and lines of an organisation were made, and as what: what their rows did not know
/// in former times, out of the events that are about no payment.
pub(crate) struct Origins(Org);

impl Origins {
    pub(crate) fn of(org: OrgId) -> Origins {
        Origins(Org::new(org, Epoch::default()))
    }

    pub(crate) fn take_in(&mut self, event: &Event, at: Timestamp) {
        assert!(event.payment().is_none(), "payments need more of the state than is here");
        self.0.apply(event, at);
    }

    /// The row with what it did not know; `None` if it lacks nothing.
    pub(crate) fn fill(&self, row: &Row) -> Option<Row> {
        let unknown = Timestamp::default();
        match row {
            Row::Line(id, stored) if stored.created_at == unknown => {
                let Line { first_limit_msat, created_at, .. } = &**self.0.lines.get(id)?;
                let (first_limit_msat, created_at) = (*first_limit_msat, *created_at);
                Some(Row::Line(*id, Line { first_limit_msat, created_at, ..stored.clone() }))
            }
            Row::Wallet(id, stored) if stored.created_at == unknown => {
                let known = self.0.wallets.get(id)?;
                let filled = Wallet {
                    first_name: known.first_name.clone(),
                    first_limit_msat: known.first_limit_msat,
                    created_at: known.created_at,
                    updated_at: known.updated_at,
                    ..stored.clone()
                };
                Some(Row::Wallet(*id, filled))
            }
            Row::Line(..)
            | Row::Wallet(..)
            | Row::Environment(..)
            | Row::Node(..)
            | Row::Account(..)
            | Row::Outgoing(_)
            | Row::Incoming(_) => None,
        }
    }
}
