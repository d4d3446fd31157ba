//! What every store asks of records and rows that it has read.

use domain::{NodeId, org::Row};
use ports::directory::{KeyRecord, NodeRecord, OrgRecord};

/// Whether adding `new` only repeats what made `stored`. The first instant of making stands.
pub(crate) fn same_org(stored: &OrgRecord, new: &OrgRecord) -> bool {
    OrgRecord { created_at: stored.created_at, ..new.clone() } == *stored
}

/// As [`same_org`]; a repeat does not bring a revoked key back.
pub(crate) fn same_key(stored: &KeyRecord, new: &KeyRecord) -> bool {
    let (created_at, revoked_at) = (stored.created_at, stored.revoked_at);
    KeyRecord { created_at, revoked_at, ..new.clone() } == *stored
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
