//! Comparing a node's own books with ours: before its first send, and on a schedule (rule 24).

use std::{collections::BTreeSet, sync::Arc};

use domain::{
    NodeId, OrgId, PaymentHash, PaymentId,
    lightning::FailureId,
    org::{Outgoing, PaymentStatus, Row},
    payment::{Attempt, AttemptEnd},
};
use ports::{
    LightningNode, Reads, StoreError,
    directory::NodeRecord,
    guard::{Foreign, Paid, Sighting},
    journal::Question,
    lightning::{NodeError, PayUpdate},
    reads::{Direction, PaymentFilter, PaymentOrder},
    receipts::UnknownReceipt,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    foreign,
    house::{House, Sockets},
    limits,
    node::NodeHandle,
};

#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// Whether the node is the one that we left: it has what it has shown, and nothing that we do not know.
/// If not, every outgoing send is frozen.
pub(crate) async fn whole(house: &Arc<House>, node: &NodeHandle) -> Result<(), ReconcileError> {
    recall(house, node.record.id).await?;
    let due = house.sightings.due_from(node.record.id);
    if let Some(sighting) = lost(house, node, due).await?.first() {
        house.freeze(no_longer_has(sighting)).await;
        return Ok(());
    }
    // An earlier life may have ended between taking it in and freezing.
    let unknown = house.sockets.receipts.unknown_receipts().await?;
    freeze_for(house, unknown.iter().find(|receipt| receipt.node == node.record.id)).await;
    newer_payments(house, node, Pace::Full).await
}

/// A settled invoice of ours that the ledger does not know means that the database was restored: every
/// outgoing send is frozen.
pub(crate) async fn freeze_for(house: &House, unknown: Option<&UnknownReceipt>) {
    let Some(UnknownReceipt { node, hash, paid_msat }) = unknown else { return };
    if house.frozen().is_none() {
        let paid_msat = paid_msat.get();
        let why = format!(
            "pool node {node} was paid {paid_msat} msat for {hash}, which the ledger does not know"
        );
        house.freeze(why).await;
    }
}

/// How much of the machine a comparison may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// The node's sends wait for it.
    Full,
    /// Payments are under way: they wait for nothing that could as well be done a moment later.
    Gentle,
}

pub(crate) fn no_longer_has(sighting: &Sighting) -> String {
    let Sighting { node, hash, payment, .. } = sighting;
    format!("node {node} no longer has payment {hash} ({payment}), which it had: it was restored")
}

/// Brings back what earlier lives, and other processes, have put on record of the node.
pub(crate) async fn recall(house: &House, node: NodeId) -> Result<(), StoreError> {
    house.sightings.forget(|org| !house.place.owns(org));
    let recorded = house.sockets.guard.sightings(node).await?;
    for some in recorded.chunks(limits::LOOK_UP_BATCH_MAX) {
        let asked = some.iter().map(|(it, _)| about(it.org, it.payment));
        let known = house.sockets.journal.look_up(&asked.collect::<Vec<_>>()).await?;
        for ((sighting, excused), known) in some.iter().zip(known) {
            let attempt = known.payment.as_ref().and_then(|row| attempt_on(row, node));
            match (attempt.map(|attempt| attempt.end), excused) {
                (Some(None), _) => house.sightings.recall_open(*sighting, *excused),
                (Some(Some(AttemptEnd::Paid { .. })), false) => {
                    house.sightings.recall_paid(*sighting);
                }
                (Some(Some(AttemptEnd::Paid { .. })), true)
                | (Some(Some(AttemptEnd::Failed { .. })) | None, _) => {
                    house.sightings.recall_ended(*sighting);
                }
            }
        }
    }
    Ok(())
}

/// Those of the payments, which the node has shown, that it does not have any more. What is proven failed it
/// may forget.
async fn lost(
    house: &Arc<House>,
    node: &NodeHandle,
    due: BTreeSet<Sighting>,
) -> Result<Vec<Sighting>, ReconcileError> {
    let mut due = due.into_iter();
    let (mut asked, mut lost) = (JoinSet::new(), Vec::new());
    loop {
        let room = limits::SIGHTINGS_AT_ONCE - asked.len();
        for sighting in due.by_ref().take(room) {
            let (house, node) = (house.clone(), node.clone());
            asked.spawn(async move { Ok((sighting, has_lost(&house, &node, &sighting).await?)) });
        }
        match asked.join_next().await {
            None => return Ok(lost),
            Some(Ok(Ok((sighting, true)))) => lost.push(sighting),
            Some(Ok(Ok((_, false)))) => {}
            Some(Ok(Err(error))) => return Err(error),
            Some(Err(_)) => return Err(StoreError::Unavailable("stopping".to_owned()).into()),
        }
    }
}

async fn has_lost(
    house: &House,
    node: &NodeHandle,
    sighting: &Sighting,
) -> Result<bool, ReconcileError> {
    let mut found = node.lightning.track(sighting.hash).await;
    for _ in 1..limits::SIGHTING_TRIES {
        if found.is_ok() {
            break;
        }
        found = node.lightning.track(sighting.hash).await;
    }
    let older = match found? {
        None => None,
        Some(mut stream) => match stream.next().await {
            Some(Ok(PayUpdate::Failed { failure, .. })) => Some(failure),
            Some(_) | None => return Ok(false),
        },
    };
    let attempt = attempt_of(house, sighting).await?;
    Ok(attempt.is_some_and(|attempt| match (attempt.end, older) {
        (Some(AttemptEnd::Failed { .. }), _) => false,
        (Some(AttemptEnd::Paid { .. }) | None, None) => true,
        // The record of an earlier payment of the hash.
        (Some(AttemptEnd::Paid { .. }) | None, Some(failure)) => {
            attempt.older_failures.contains(&failure)
        }
    }))
}

/// Whether the node tells of a failure that was before the attempt: it does not have this one.
pub(crate) async fn is_older(
    house: &House,
    sighting: &Sighting,
    failure: FailureId,
) -> Result<bool, StoreError> {
    let attempt = attempt_of(house, sighting).await?;
    Ok(attempt.is_some_and(|attempt| attempt.older_failures.contains(&failure)))
}

/// The attempt as stored.
async fn attempt_of(house: &House, sighting: &Sighting) -> Result<Option<Attempt>, StoreError> {
    let known = house.lookups.ask(about(sighting.org, sighting.payment)).await?;
    Ok(known.payment.as_ref().and_then(|row| attempt_on(row, sighting.node)).cloned())
}

fn about(org: OrgId, payment: PaymentId) -> Question {
    Question { org, payment, hash: None, claim: None }
}

/// A payment uses a node at most once.
pub(crate) fn attempt_on(row: &Row, node: NodeId) -> Option<&Attempt> {
    let Row::Outgoing(payment) = row else { return None };
    payment.attempts.iter().find(|attempt| attempt.node == node)
}

/// Matches the node's payments after our cursor. On a pool node, one that we do not know, or a history
/// that ends before our cursor, means that the database or the node was restored: every outgoing send is
/// frozen.
pub(crate) async fn newer_payments(
    house: &Arc<House>,
    node: &NodeHandle,
    pace: Pace,
) -> Result<(), ReconcileError> {
    let (id, guard) = (node.record.id, &house.sockets.guard);
    let mut cursor = guard.payment_cursor(id).await?;
    if ends_before(node, cursor).await? {
        let why = format!("node {id} no longer has payments that it had: it was restored");
        house.freeze(why).await;
        return Ok(());
    }
    loop {
        let began = Instant::now();
        let page = node.lightning.payments(cursor).await?;
        let Some(last) = page.iter().map(|payment| payment.payment_index).max() else {
            return Ok(());
        };
        let real: BTreeSet<_> =
            page.iter().filter(|payment| !payment.probe).map(|payment| payment.hash).collect();
        let real: Vec<_> = real.into_iter().collect();
        let unknown = guard.unknown_payments(id, &real).await?;
        match (unknown.first(), node.record.owner) {
            // A customer may pay from their own node by other means.
            (None, _) | (Some(_), Some(_)) => {}
            (Some(hash), None) => {
                let why =
                    format!("pool node {id} has payment {hash}, which the ledger does not know");
                house.freeze(why).await;
                return Ok(());
            }
        }
        guard.move_payment_cursor(id, last).await?;
        cursor = last;
        if pace == Pace::Gentle {
            sleep(began.elapsed() * limits::GENTLE_REST).await;
        }
    }
}

async fn ends_before(node: &NodeHandle, cursor: u64) -> Result<bool, NodeError> {
    Ok(match cursor.checked_sub(1) {
        Some(before) => node.lightning.payments(before).await?.is_empty(),
        None => false,
    })
}

/// Whether the node has lost something, or the database has: then what is open on the node may have been
/// made and be forgotten.
pub(crate) async fn is_suspect(
    house: &Arc<House>,
    node: &NodeHandle,
    database_is_older: bool,
) -> Result<bool, ReconcileError> {
    let (id, guard) = (node.record.id, &house.sockets.guard);
    if database_is_older || ends_before(node, guard.payment_cursor(id).await?).await? {
        return Ok(true);
    }
    let mut due = house.sightings.due_from(id);
    for (sighting, excused) in guard.sightings(id).await? {
        match excused {
            true => due.remove(&sighting),
            false => due.insert(sighting),
        };
    }
    Ok(!lost(house, node, due).await?.is_empty())
}

/// What is open on the node and may have been made and be forgotten stays held until the node shows it,
/// and is never sent again.
pub(crate) async fn excuse_open(house: &House, node: NodeId) -> Result<(), StoreError> {
    let open = open_on(house, node).await?;
    house.sockets.guard.excuse_sightings(node, &open).await?;
    house.sightings.excuse(node, &open);
    Ok(())
}

pub(crate) async fn open_on(house: &House, node: NodeId) -> Result<Vec<Sighting>, StoreError> {
    Ok(open_sends(house).await?.iter().filter_map(|it| it.on(node)).collect())
}

/// A payment that has not ended.
pub(crate) struct OpenSend {
    pub(crate) org: OrgId,
    pub(crate) payment: Arc<Outgoing>,
}

impl OpenSend {
    /// If it is open on the node.
    pub(crate) fn on(&self, node: NodeId) -> Option<Sighting> {
        let (_, open) = self.payment.open_attempt()?;
        let (org, payment, hash) = (self.org, self.payment.id, self.payment.hash());
        (open.node == node).then_some(Sighting { node, org, payment, hash })
    }
}

/// Payments that have not ended, whether or not a node has shown them, and whichever process runs their
/// organisation.
pub(crate) async fn open_sends(house: &House) -> Result<Vec<OpenSend>, StoreError> {
    let mut open = Vec::new();
    for org in house.sockets.reads.orgs_with_open_work().await? {
        for row in in_flight(&*house.sockets.reads, org).await? {
            if let Row::Outgoing(payment) = row {
                open.push(OpenSend { org, payment });
            }
        }
    }
    Ok(open)
}

async fn in_flight(reads: &dyn Reads, org: OrgId) -> Result<Vec<Row>, StoreError> {
    let mut found = Vec::new();
    for row in reads.standing(org).await? {
        let Row::Environment(environment, _) = row else { continue };
        let filter = PaymentFilter {
            direction: Some(Direction::Send),
            statuses: vec![PaymentStatus::Sending],
            ..PaymentFilter::all(environment)
        };
        let (mut after, limit) = (None, limits::OPEN_PAGE);
        loop {
            let order = PaymentOrder::Created;
            let page = reads.find_payments(org, &filter, order, true, after, 0, limit).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.place(order));
            found.extend(page.into_iter().map(|listed| listed.row));
        }
    }
    Ok(found)
}

/// Takes the payments of a node that is new here as they are. What the house has paid there before its books
/// begin is not asked of another node.
pub(crate) async fn accept(
    sockets: &Sockets,
    record: &NodeRecord,
    lightning: &dyn LightningNode,
) -> Result<(), ReconcileError> {
    let mut last = 0;
    while let Some((unaccounted, next)) = page_after(sockets, record, lightning, last).await? {
        if !unaccounted.is_empty() {
            sockets.guard.record_foreign(record.id, &unaccounted, Foreign::Older).await?;
        }
        last = next;
    }
    Ok(sockets.guard.move_payment_cursor(record.id, last).await?)
}

/// The node's payments as they are now.
pub(crate) async fn paid_by(
    sockets: &Sockets,
    record: &NodeRecord,
    lightning: &dyn LightningNode,
) -> Result<Paid, ReconcileError> {
    let (mut all, mut cursor) = (BTreeSet::new(), 0);
    while let Some((unaccounted, next)) = page_after(sockets, record, lightning, cursor).await? {
        all.extend(unaccounted);
        cursor = next;
    }
    Ok(Paid { unaccounted: all.into_iter().collect(), cursor })
}

/// What the house has paid by a page of the node's payments that nothing accounts for, and the last of the
/// page. A customer's own node stands in for no other, so nothing of it has to be accounted for.
pub(crate) async fn page_after(
    sockets: &Sockets,
    record: &NodeRecord,
    lightning: &dyn LightningNode,
    last: u64,
) -> Result<Option<(Vec<PaymentHash>, u64)>, ReconcileError> {
    let page = lightning.payments(last).await?;
    let Some(next) = page.iter().map(|payment| payment.payment_index).max() else {
        return Ok(None);
    };
    let unaccounted = match record.owner {
        None => foreign::unaccounted(&*sockets.journal, record.id, &page).await?,
        Some(_) => Vec::new(),
    };
    Ok(Some((unaccounted, next)))
}
