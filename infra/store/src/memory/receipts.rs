use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{NodeId, PaymentHash};
use ports::{Receipts, StoreError, lightning::Settlement, receipts::OpenReceipt};

use super::{Memory, Receipt, Tables};

#[async_trait]
impl Receipts for Memory {
    async fn settle_cursor(&self, node: NodeId) -> Result<u64, StoreError> {
        Ok(self.tables().node_cursor.get(&node).map_or(0, |cursors| cursors.settle_index))
    }

    async fn take_in(
        &self,
        node: NodeId,
        settlements: &[Settlement],
    ) -> Result<Vec<OpenReceipt>, StoreError> {
        let mut tables = self.tables();
        let old = tables.node_cursor.get(&node).copied().unwrap_or_default();
        let mut cursors = old;
        let mut open = Vec::new();
        for settlement in settlements {
            cursors.settle_index = cursors.settle_index.max(settlement.settle_index);
            let issued = tables.incoming_hash.get(&settlement.hash);
            if issued.is_none_or(|it| it.node != node) {
                // Seen again behind the cursor, it was counted before.
                cursors.unknown += u64::from(settlement.settle_index > old.settle_index);
                continue;
            }
            let receipt: &mut Receipt = tables.inbox.entry((node, settlement.hash)).or_default();
            receipt.paid_msat = receipt.paid_msat.max(settlement.paid_msat);
            open.extend(tables.open_receipt(node, settlement.hash));
        }
        tables.node_cursor.insert(node, cursors);
        // Of one hash the last has the greatest amount.
        let by_hash: BTreeMap<PaymentHash, OpenReceipt> =
            open.into_iter().map(|receipt: OpenReceipt| (receipt.hash, receipt)).collect();
        Ok(by_hash.into_values().collect())
    }

    async fn open_receipts(&self) -> Result<Vec<OpenReceipt>, StoreError> {
        let tables = self.tables();
        let all = tables.inbox.keys();
        Ok(all.filter_map(|(node, hash)| tables.open_receipt(*node, *hash)).collect())
    }
}

impl Tables {
    /// `None` once it is booked in full.
    fn open_receipt(&self, node: NodeId, hash: PaymentHash) -> Option<OpenReceipt> {
        let receipt = self.inbox.get(&(node, hash))?;
        let issued = self.incoming_hash.get(&hash)?;
        (receipt.paid_msat > receipt.booked_msat).then_some(OpenReceipt {
            org: issued.org,
            payment: issued.payment,
            node,
            hash,
            paid_msat: receipt.paid_msat,
        })
    }
}
