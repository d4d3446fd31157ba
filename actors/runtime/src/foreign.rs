//! What a node of the pool has paid and no payment of ours accounts for (rule 24).

use std::{collections::BTreeSet, sync::Arc};

use domain::{NodeId, OrgId, PaymentHash, PaymentId, payment::AttemptEnd};
use ports::{
    Journal, StoreError,
    guard::Generation,
    journal::Question,
    lightning::{NodePayment, PayUpdate},
};

use crate::{house::House, limits, node::NodeHandle, reconcile, reconcile::ReconcileError};

/// Hashes that the node has paid, or may yet, that nothing on record explains.
pub(crate) async fn unaccounted(
    journal: &dyn Journal,
    node: NodeId,
    shown: &[NodePayment],
) -> Result<Vec<PaymentHash>, StoreError> {
    let paid = shown.iter().filter(|payment| !payment.probe && may_have_paid(&payment.last));
    unaccounted_of(journal, node, paid.map(|payment| payment.hash).collect()).await
}

/// The same of hashes that the node has paid, or may yet.
pub(crate) async fn unaccounted_of(
    journal: &dyn Journal,
    node: NodeId,
    paid: BTreeSet<PaymentHash>,
) -> Result<Vec<PaymentHash>, StoreError> {
    let told = explained(journal, node, paid).await?;
    let nobodys = told.into_iter().filter(|(_, why)| *why == Explained::Not);
    Ok(nobodys.map(|(hash, _)| hash).collect())
}

pub(crate) fn may_have_paid(last: &PayUpdate) -> bool {
    match last {
        PayUpdate::InFlight | PayUpdate::Succeeded { .. } => true,
        PayUpdate::Failed { .. } => false,
    }
}

/// Those that are on record of the node as lost, and that no payment of ours accounts for still.
pub(crate) async fn lost(house: &House, node: NodeId) -> Result<Vec<PaymentHash>, StoreError> {
    let lost = house.sockets.guard.lost_payments(node).await?.into_iter().collect();
    let told = explained(&*house.sockets.journal, node, lost).await?;
    let nobodys = told.into_iter().filter(|(_, why)| *why != Explained::ByOurs);
    Ok(nobodys.map(|(hash, _)| hash).collect())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Explained {
    /// An attempt of ours on the node is open or was paid. One that has failed there does not explain that
    /// the node has paid: that was a later payment of the hash.
    ByOurs,
    OnRecord,
    Not,
}

async fn explained(
    journal: &dyn Journal,
    node: NodeId,
    hashes: BTreeSet<PaymentHash>,
) -> Result<Vec<(PaymentHash, Explained)>, StoreError> {
    let hashes: Vec<_> = hashes.into_iter().collect();
    let mut told = Vec::with_capacity(hashes.len());
    for some in hashes.chunks(limits::LOOK_UP_BATCH_MAX) {
        let asked: Vec<_> = some.iter().map(|hash| whose(node, *hash)).collect();
        let known = journal.look_up(&asked).await?;
        let asked: Vec<_> = known.iter().map(|known| about(node, known.paid_by)).collect();
        let held = journal.look_up(&asked).await?;
        for ((hash, known), held) in some.iter().zip(known).zip(held) {
            let attempt = held.payment.as_ref().and_then(|row| reconcile::attempt_on(row, node));
            let why = match (attempt.map(|attempt| attempt.end), known.foreign_on) {
                (Some(None | Some(AttemptEnd::Paid { .. })), _) => Explained::ByOurs,
                (Some(Some(AttemptEnd::Failed { .. })) | None, Some(_)) => Explained::OnRecord,
                (Some(Some(AttemptEnd::Failed { .. })) | None, None) => Explained::Not,
            };
            told.push((*hash, why));
        }
    }
    Ok(told)
}

/// Whose the hash is. There is no organisation with a node's id, and so nothing else is answered.
fn whose(node: NodeId, hash: PaymentHash) -> Question {
    Question { hash: Some(hash), ..about(node, None) }
}

fn about(node: NodeId, holder: Option<(OrgId, PaymentId)>) -> Question {
    let nobody = (OrgId::new(*node.uuid()), PaymentId::new(*node.uuid()));
    let (org, payment) = holder.unwrap_or(nobody);
    Question { org, payment, hash: None, claim: None }
}

/// Whether anything shows that the database is an older copy: itself, a payment or a receipt of the pool's
/// that it does not know. What it has as open may then have been made by a request that it has forgotten.
pub(crate) async fn database_is_older(house: &Arc<House>) -> Result<bool, StoreError> {
    let sockets = &house.sockets;
    if sockets.guard.generation().await? != Generation::Same
        || !sockets.receipts.unknown_receipts().await?.is_empty()
    {
        return Ok(true);
    }
    for node in house.nodes().iter().filter(|node| node.record.owner.is_none()) {
        match has_unaccounted(house, node).await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(ReconcileError::Store(error)) => return Err(error),
            // Whoever asks goes to each node anyway.
            Err(ReconcileError::Node(_)) => {}
        }
    }
    Ok(false)
}

async fn has_unaccounted(house: &House, node: &NodeHandle) -> Result<bool, ReconcileError> {
    let (record, lightning) = (&node.record, node.lightning.as_ref());
    let mut last = 0;
    while let Some((unaccounted, next)) =
        reconcile::page_after(&house.sockets, record, lightning, last).await?
    {
        if !unaccounted.is_empty() {
            return Ok(true);
        }
        last = next;
    }
    Ok(false)
}
