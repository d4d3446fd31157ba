//! The store without a disk, for simulation: the same contract and the same refusals.
//!
//! Deterministic: ordered maps only, no threads, no randomness, and the time is the clock's. What
//! is committed is kept in its durable form, so that a simulated restart reads what a real one
//! would.

mod directory;
mod guard;
mod idempotency;
mod journal;
mod placement;
mod reads;
mod receipts;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{
    KeyId, Msat, NodeId, OrgId, PaymentHash, PaymentId, SessionId, lightning::FailureId,
    org::Revision, payment::Epoch,
};
use ports::{
    Clock,
    directory::{KeyRecord, NodeRecord, OrgRecord},
    guard::{Foreign, Sighting},
    idempotency::IdempotencyScope,
    journal::Seq,
};
use uuid::Uuid;

use crate::shape::{ClaimRow, ClaimedHash, IncomingHash, JournalRow, Kind, LedgerRow, PaymentRow};

pub struct Memory {
    clock: Arc<dyn Clock>,
    tables: Mutex<Tables>,
}

/// Named and keyed as the tables of the SQL stores.
#[derive(Default)]
struct Tables {
    org: BTreeMap<OrgId, OrgRecord>,
    org_head: BTreeMap<OrgId, Position>,
    api_key: BTreeMap<KeyId, KeyRecord>,
    node: BTreeMap<NodeId, NodeRecord>,
    idempotency: BTreeMap<IdempotencyScope, idempotency::Kept>,
    payment: BTreeMap<(OrgId, PaymentId), PaymentRow>,
    standing: BTreeMap<(OrgId, Kind, Uuid), Vec<u8>>,
    outgoing_hash: BTreeMap<PaymentHash, ClaimedHash>,
    foreign_payment: BTreeMap<PaymentHash, (NodeId, Foreign)>,
    incoming_hash: BTreeMap<PaymentHash, IncomingHash>,
    claim: BTreeSet<ClaimRow>,
    failure: BTreeSet<(PaymentHash, NodeId, FailureId)>,
    journal: BTreeMap<(OrgId, Seq), JournalRow>,
    ledger: BTreeSet<LedgerRow>,
    inbox: BTreeMap<(NodeId, PaymentHash), Receipt>,
    unknown_receipt: BTreeMap<(NodeId, PaymentHash), Excusable>,
    node_cursor: BTreeMap<NodeId, Cursors>,
    /// Whether it is excused.
    sighting: BTreeMap<Sighting, bool>,
    pod: BTreeMap<SessionId, placement::Life>,
    reader: BTreeMap<SessionId, placement::Announced>,
    /// None: nothing newer than the first.
    allowed_revision: Option<Revision>,
    /// By the number of the shard.
    shard_owner: Arc<Vec<Option<SessionId>>>,
    frozen: Option<String>,
    generation: Generations,
}

#[derive(Clone, Copy, Default)]
struct Position {
    epoch: Epoch,
    seq: Seq,
}

#[derive(Clone, Copy, Default)]
struct Receipt {
    paid_msat: Msat,
    booked_msat: Msat,
}

#[derive(Clone, Copy, Default)]
struct Excusable {
    paid_msat: Msat,
    excused_msat: Msat,
}

#[derive(Clone, Copy, Default)]
struct Cursors {
    settle_index: u64,
    /// What was settled up to here is older than the node's books.
    settle_begin: u64,
    payment_index: u64,
    /// Settled invoices that are not ours.
    unknown: u64,
}

#[derive(Clone, Copy, Default)]
struct Generations {
    recorded: u64,
    found: u64,
}

impl Memory {
    pub fn new(clock: Arc<dyn Clock>) -> Memory {
        Memory { clock, tables: Mutex::default() }
    }

    /// From now on the store looks like one that was restored or replaced.
    pub fn change_generation(&self) {
        self.tables().generation.found += 1;
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Nothing panics between the first and the last write of a change.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
