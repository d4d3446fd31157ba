//! After a database or a node was restored: what the nodes' records prove is done, through the organisations
//! themselves, and the rest is put on record (`money-safety` rule 24).
//!
//! | what differs | told as | done about it |
//! |---|---|---|
//! | open in the ledger, its node shows how it ended | `open_payment_paid`, `open_payment_failed` | its organisation ends it |
//! | open in the ledger, its node does not have it | `open_payment_lost` | it stays held and is not sent again; a person |
//! | paid by a node of the pool, not in the ledger | `lost_payment` | no other node pays it; a person |
//! | settled on a node, its invoice in the ledger | `receipt_not_booked` | its organisation books it |
//! | settled on a node of the pool, not in the ledger | `lost_receipt` | a person |
//! | whatever else the audit finds | as the audit calls it | a person |
//! | a node that cannot be read | `node_not_read` | nothing is safe before it can |
//! | a permission of a life before this one is not over | `node_still_permitted` | waited for |
//!
//! Each step may be repeated, and nothing is taken as explained before its consequence is on record: what
//! is cut off anywhere is found again by the next call. Nothing here lets sends go on.

mod look;

use std::sync::Arc;

use ports::{
    StoreError,
    guard::{Accepted, Foreign, Sighting},
    lightning::{NodeError, Settlement},
    operations::ThawError,
    receipts::Unknown,
    restore::{Difference, RestoreReport, Restoring, Step, Thawing},
};
use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument as _;

use crate::{
    audit, foreign,
    house::House,
    limits,
    node::{self, NodeHandle},
    platform::{self, Platform},
    reconcile::{self, ReconcileError},
    records,
};

impl Platform {
    /// Tells where the nodes' records and the ledger differ and, told to apply, reconciles what they prove.
    pub async fn restore(&self, how: Restoring) -> Result<RestoreReport, StoreError> {
        let house = &self.house;
        let before = look::look(house).await?;
        if how == Restoring::DryRun {
            return Ok(before);
        }
        apply(house, &before.differences).await?;
        let mut after = look::look(house).await?;
        let is_left = |it: &Difference| after.differences.iter().any(|left| is_same(it, left));
        let done = before.differences.into_iter().filter(|it| it.step == Step::Due && !is_left(it));
        let done = done.map(|it| Difference { step: Step::Done, ..it }).collect::<Vec<_>>();
        after.differences.splice(0..0, done);
        Ok(after)
    }

    /// Lets sends go on after a person has looked: what is found now is taken as right. That proves
    /// nothing of what a restored node had under way: it stays held. Answers why sends were frozen; `None`:
    /// they were not, and nothing is changed. Who asks may hang up: what has begun is finished.
    pub async fn thaw(&self, how: Thawing) -> Result<Option<String>, ThawError> {
        let thawing = tokio::spawn(thaw(self.house.clone(), how).in_current_span());
        thawing.await.unwrap_or_else(|_| Err(StoreError::Unknown("it was lost".to_owned()).into()))
    }
}

async fn thaw(house: Arc<House>, how: Thawing) -> Result<Option<String>, ThawError> {
    let (house, guard) = (&house, &house.sockets.guard);
    let found = house.freeze.found();
    house.record_freeze().await?;
    // Only spares the nodes: the store judges once more, as it thaws. And the answer to an earlier thaw may have
    // been lost.
    if guard.frozen().await?.is_none() {
        records::go_on(house, found).await?;
        return Ok(None);
    }
    pool_is_read(house).await?;
    let accepted = found_now(house).await?;
    // After it, so that nothing is taken that was not judged.
    if how == Thawing::OnceSafe {
        nothing_is_due(house).await?;
    }
    let was = guard.thaw(&accepted).await?;
    if was.is_some() {
        for Accepted { node, lost, .. } in &accepted {
            if let Some(lost) = lost {
                house.sightings.excuse(*node, lost);
            }
        }
        let goes_on = records::go_on(house, found).await?;
        // What came meanwhile was not told apart from what was frozen already.
        let unknown = house.sockets.receipts.unknown_receipts().await?;
        reconcile::freeze_for(house, unknown.first()).await;
        if let (false, Some(first)) = (goes_on, house.frozen()) {
            house.record_freeze().await?;
            return Err(ThawError::NotSafe { due: 1, first });
        }
    }
    Ok(was)
}

/// Every node of the pool says what it has paid, also one that could not be used since the start.
async fn pool_is_read(house: &House) -> Result<(), ThawError> {
    let records = house.sockets.directory.nodes().await?;
    for record in records.iter().filter(|record| record.owner.is_none()) {
        let Some(node) = house.node(record.id) else {
            let why = "its connection could not be set up".to_owned();
            return Err(ThawError::NodeNotRead { node: record.name.clone(), why });
        };
        node.lightning.payments(0).await.map_err(|error| not_read(&node, &error))?;
    }
    Ok(())
}

/// What a thaw takes as right is put on record by itself, but a request of an earlier life may still pay after
/// that, and a person should know what is taken. A receipt that is not booked yet makes nobody pay twice: it
/// waits for nothing here.
async fn nothing_is_due(house: &Arc<House>) -> Result<(), ThawError> {
    let found = look::at_nodes(house).await?;
    // A customer's own node that is away is matched before it is used again.
    let is_away = |it: &Difference| {
        let node = it.node.and_then(|id| house.node(id));
        it.code == look::NODE_NOT_READ && node.is_some_and(|node| node.record.owner.is_some())
    };
    let due = found.differences.iter().filter(|it| it.step == Step::Due && !is_away(it));
    let due: Vec<_> = due.collect();
    let Some(first) = due.first() else { return Ok(()) };
    let place = first.node.map(|node| format!(" on node {node}")).unwrap_or_default();
    let first = format!("{}{place}: {}", first.code, first.text);
    Err(ThawError::NotSafe { due: u64::try_from(due.len()).unwrap_or(u64::MAX), first })
}

fn not_read(node: &NodeHandle, error: &NodeError) -> ThawError {
    ThawError::NodeNotRead { node: node.record.name.clone(), why: error.to_string() }
}

/// What a thaw takes as it is, of every node.
async fn found_now(house: &Arc<House>) -> Result<Vec<Accepted>, ThawError> {
    let database_is_older = foreign::database_is_older(house).await?;
    let mut found = Vec::new();
    for node in house.nodes() {
        let lost = lost_now(house, &node, database_is_older).await;
        let lost = if_read(&node, lost)?.flatten();
        let paid = reconcile::paid_by(&house.sockets, &node.record, node.lightning.as_ref()).await;
        let paid = if_read(&node, paid)?;
        found.push(Accepted { node: node.record.id, lost, paid });
    }
    Ok(found)
}

/// What is open on a node that has lost something, or that the database has forgotten.
async fn lost_now(
    house: &Arc<House>,
    node: &NodeHandle,
    database_is_older: bool,
) -> Result<Option<Vec<Sighting>>, ReconcileError> {
    Ok(match reconcile::is_suspect(house, node, database_is_older).await? {
        true => Some(reconcile::open_on(house, node.record.id).await?),
        false => None,
    })
}

/// What a node of the pool has paid another one would pay again. A customer's own stands in for no other.
fn if_read<T>(node: &NodeHandle, found: Result<T, ReconcileError>) -> Result<Option<T>, ThawError> {
    match (found, node.record.owner) {
        (Ok(found), _) => Ok(Some(found)),
        (Err(ReconcileError::Store(error)), _) => Err(error.into()),
        (Err(ReconcileError::Node(error)), None) => Err(not_read(node, &error)),
        (Err(ReconcileError::Node(error)), Some(_)) => {
            matched_later(node, &error);
            Ok(None)
        }
    }
}

fn matched_later(node: &NodeHandle, error: &NodeError) {
    tracing::warn!(node = %node.record.id, %error, "it will be matched later");
    node.doubt();
}

fn is_same(one: &Difference, other: &Difference) -> bool {
    let of = |it: &Difference| (it.code.clone(), it.org, it.payment, it.node, it.hash);
    of(one) == of(other)
}

/// Before anything else is put on record, as that is what makes the database look whole again. Answers with
/// the nodes that cannot be read.
async fn excuse_suspects(house: &Arc<House>) -> Result<Vec<(NodeHandle, NodeError)>, StoreError> {
    let mut not_read = Vec::new();
    let database_is_older = foreign::database_is_older(house).await?;
    for node in house.nodes() {
        match reconcile::is_suspect(house, &node, database_is_older).await {
            Ok(true) => {
                stop_sending(house).await;
                reconcile::excuse_open(house, node.record.id).await?;
            }
            Ok(false) => {}
            Err(ReconcileError::Store(error)) => return Err(error),
            Err(ReconcileError::Node(error)) => not_read.push((node, error)),
        }
    }
    Ok(not_read)
}

/// What is on its way to a node must not be taken for lost. Most often sends are frozen already.
async fn stop_sending(house: &House) {
    if house.frozen().is_none() {
        house.freeze("the nodes and the ledger differ: one of them was restored".to_owned()).await;
    }
}

/// Does what is due, or has it done.
async fn apply(house: &Arc<House>, differences: &[Difference]) -> Result<(), StoreError> {
    let due = || differences.iter().filter(|it| it.step == Step::Due);
    for it in due().filter(|it| it.code == look::NODE_STILL_PERMITTED) {
        if let Some(node) = it.node.and_then(|id| house.node(id)) {
            until_quiet(house, &node).await;
        }
    }
    for (node, error) in excuse_suspects(house).await? {
        matched_later(&node, &error);
    }
    for node in house.nodes().iter().filter(|node| node.record.owner.is_none()) {
        // What cannot be read is a difference that stays.
        let Ok(shown) = audit::payments_of(node).await else { continue };
        let (id, journal) = (node.record.id, &*house.sockets.journal);
        let unaccounted = foreign::unaccounted(journal, id, &shown).await?;
        house.sockets.guard.record_foreign(id, &unaccounted, Foreign::Lost).await?;
    }
    for receipt in due().filter(|it| it.code == look::RECEIPT_NOT_BOOKED) {
        take_in(house, receipt).await?;
    }
    platform::carry_on(house).await?;
    let ending = [look::OPEN_PAYMENT_PAID, look::OPEN_PAYMENT_FAILED];
    for ended in due().filter(|it| ending.contains(&&*it.code)) {
        until_ended(house, ended).await?;
    }
    Ok(())
}

/// Waits a while. That the node may still be asked to pay shows in what is left.
async fn until_quiet(house: &House, node: &NodeHandle) {
    let quiet = async {
        while matches!(look::is_quiet(house, node).await, Ok(false)) {
            sleep(limits::RESTORE_POLL).await;
        }
    };
    let _ = timeout(limits::RESTORED_WITHIN, quiet).await;
}

/// Waits a while. That it has not ended shows in what is left.
async fn until_ended(house: &House, it: &Difference) -> Result<(), StoreError> {
    let began = Instant::now();
    while !look::has_ended(house, it).await? && began.elapsed() < limits::RESTORED_WITHIN {
        sleep(limits::RESTORE_POLL).await;
    }
    Ok(())
}

/// Books what the node says once more, the way that its news come.
async fn take_in(house: &Arc<House>, receipt: &Difference) -> Result<(), StoreError> {
    let Some((node, hash)) = receipt.node.and_then(|id| house.node(id)).zip(receipt.hash) else {
        return Ok(());
    };
    let Ok(Some(settled)) = node.lightning.settled(hash).await else { return Ok(()) };
    // Those that were settled before it are for the follower to find.
    let settled = Settlement { settle_index: 0, ..settled };
    let unknown = match node.record.owner {
        None => Unknown::Kept,
        Some(_) => Unknown::Counted,
    };
    let taken = house.sockets.receipts.take_in(node.record.id, &[settled], unknown).await?;
    for open in taken.open {
        node::book(house.clone(), open).await;
    }
    Ok(())
}
