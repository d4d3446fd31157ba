use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{NodeId, PaymentHash};
use ports::{
    Receipts, StoreError,
    lightning::Settlement,
    receipts::{OpenReceipt, TakenIn, Unknown, UnknownReceipt},
};

use super::{Excusable, Memory, Receipt, Tables};

#[async_trait]
impl Receipts for Memory {
    async fn settle_cursor(&self, node: NodeId) -> Result<u64, StoreError> {
        Ok(self.tables().node_cursor.get(&node).map_or(0, |cursors| cursors.settle_index))
    }

    async fn begin_receipts(&self, node: NodeId, settle_index: u64) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let cursors = tables.node_cursor.entry(node).or_default();
        cursors.settle_index = cursors.settle_index.max(settle_index);
        cursors.settle_begin = cursors.settle_begin.max(settle_index);
        Ok(())
    }

    async fn take_in(
        &self,
        node: NodeId,
        settlements: &[Settlement],
        unknown: Unknown,
    ) -> Result<TakenIn, StoreError> {
        let mut tables = self.tables();
        let old = tables.node_cursor.get(&node).copied().unwrap_or_default();
        let mut cursors = old;
        let (mut open, mut lost) = (Vec::new(), BTreeMap::new());
        for settlement in settlements {
            cursors.settle_index = cursors.settle_index.max(settlement.settle_index);
            let issued = tables.incoming_hash.get(&settlement.hash);
            if issued.is_none_or(|it| it.node != node) {
                // Seen again behind the cursor, it was counted before.
                cursors.unknown += u64::from(settlement.settle_index > old.settle_index);
                if is_kept(settlement, unknown, old.settle_begin) {
                    let receipt = tables.unknown_receipt(node, settlement);
                    lost.insert(settlement.hash, receipt);
                }
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
        Ok(TakenIn {
            open: by_hash.into_values().collect(),
            unknown: lost.into_values().flatten().collect(),
        })
    }

    async fn unknown_receipts(&self) -> Result<Vec<UnknownReceipt>, StoreError> {
        let tables = self.tables();
        let all = tables.unknown_receipt.iter();
        Ok(all.filter_map(|((node, hash), it)| it.left(*node, *hash)).collect())
    }

    async fn open_receipts(&self) -> Result<Vec<OpenReceipt>, StoreError> {
        let tables = self.tables();
        let all = tables.inbox.keys();
        Ok(all.filter_map(|(node, hash)| tables.open_receipt(*node, *hash)).collect())
    }
}

/// Whether a settlement that the ledger does not know is put on record.
fn is_kept(settlement: &Settlement, unknown: Unknown, begin: u64) -> bool {
    unknown == Unknown::Kept && !settlement.spontaneous && settlement.settle_index > begin
}

impl Excusable {
    /// `None` once a person has taken all of it as it is.
    fn left(&self, node: NodeId, hash: PaymentHash) -> Option<UnknownReceipt> {
        let paid_msat = self.paid_msat;
        (paid_msat > self.excused_msat).then_some(UnknownReceipt { node, hash, paid_msat })
    }
}

impl Tables {
    fn unknown_receipt(&mut self, node: NodeId, settlement: &Settlement) -> Option<UnknownReceipt> {
        let receipt = self.unknown_receipt.entry((node, settlement.hash)).or_default();
        receipt.paid_msat = receipt.paid_msat.max(settlement.paid_msat);
        receipt.left(node, settlement.hash)
    }

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
