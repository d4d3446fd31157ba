//! Comparing a node's own books with ours: before its first send, and on a schedule (rule 24).

use std::{collections::BTreeSet, sync::Arc};

use domain::NodeId;
use ports::{Guard, LightningNode, StoreError, lightning::NodeError};

use crate::{house::House, node::NodeHandle};

#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// Matches the node's payments after our cursor. On a pool node, one that we do not know, or a history
/// that ends before our cursor, means that the database or the node was restored: every outgoing send is
/// frozen.
pub(crate) async fn newer_payments(
    house: &Arc<House>,
    node: &NodeHandle,
) -> Result<(), ReconcileError> {
    let (id, guard) = (node.record.id, &house.sockets.guard);
    let mut cursor = guard.payment_cursor(id).await?;
    if let Some(before) = cursor.checked_sub(1)
        && node.lightning.payments(before).await?.is_empty()
    {
        let why = format!("node {id} no longer has payments that it had: it was restored");
        house.freeze(why).await;
        return Ok(());
    }
    loop {
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
    }
}

/// Takes the node's payments as they are now: it is new here, or a person has looked.
pub(crate) async fn accept(
    guard: &dyn Guard,
    id: NodeId,
    lightning: &dyn LightningNode,
) -> Result<(), ReconcileError> {
    let mut last = 0;
    while let Some(next) =
        lightning.payments(last).await?.iter().map(|payment| payment.payment_index).max()
    {
        last = next;
    }
    guard.move_payment_cursor(id, last).await?;
    Ok(())
}
