use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::{NodeId, PaymentHash};
use ports::{
    Guard, StoreError,
    guard::{Accepted, Foreign, Generation, Paid, Sighting},
};

use super::{Memory, Tables};
use crate::records::tried_on;

#[async_trait]
impl Guard for Memory {
    async fn generation(&self) -> Result<Generation, StoreError> {
        let generation = self.tables().generation;
        let (recorded, found) = (generation.recorded, generation.found);
        Ok(match recorded == found {
            true => Generation::Same,
            false => {
                Generation::Changed { recorded: recorded.to_string(), found: found.to_string() }
            }
        })
    }

    async fn frozen(&self) -> Result<Option<String>, StoreError> {
        Ok(self.tables().frozen.clone())
    }

    async fn freeze(&self, why: &str) -> Result<(), StoreError> {
        self.tables().frozen.get_or_insert_with(|| why.to_owned());
        Ok(())
    }

    async fn thaw(&self, accepted: &[Accepted]) -> Result<Option<String>, StoreError> {
        let tables = &mut *self.tables();
        let Some(was) = tables.frozen.take() else { return Ok(None) };
        accepted.iter().for_each(|found| tables.accept(found));
        tables.generation.recorded = tables.generation.found;
        Ok(Some(was))
    }

    async fn payment_cursor(&self, node: NodeId) -> Result<u64, StoreError> {
        Ok(self.tables().node_cursor.get(&node).map_or(0, |cursors| cursors.payment_index))
    }

    async fn move_payment_cursor(&self, node: NodeId, to: u64) -> Result<(), StoreError> {
        self.tables().move_payment_cursor(node, to);
        Ok(())
    }

    async fn unknown_payments(
        &self,
        node: NodeId,
        hashes: &[PaymentHash],
    ) -> Result<Vec<PaymentHash>, StoreError> {
        let tables = self.tables();
        let failed = tables.tried_and_failed(node)?;
        let holds = |hash| tables.outgoing_hash.get(hash).and_then(|held| held.attempt);
        let on_it = |hash| holds(hash).is_some_and(|(holder, _)| holder == node);
        let unknown = hashes.iter().filter(|hash| !failed.contains(hash) && !on_it(hash));
        Ok(unknown.copied().collect())
    }

    async fn record_foreign(
        &self,
        node: NodeId,
        hashes: &[PaymentHash],
        how: Foreign,
    ) -> Result<(), StoreError> {
        self.tables().record_foreign(node, hashes, how);
        Ok(())
    }

    async fn lost_payments(&self, node: NodeId) -> Result<Vec<PaymentHash>, StoreError> {
        let tables = self.tables();
        let of_node = tables.foreign_payment.iter().filter(|(_, of)| **of == (node, Foreign::Lost));
        Ok(of_node.map(|(hash, _)| *hash).collect())
    }

    async fn sightings(&self, node: NodeId) -> Result<Vec<(Sighting, bool)>, StoreError> {
        let tables = self.tables();
        let shown = tables.sighting.iter().filter(|(sighting, _)| sighting.node == node);
        Ok(shown.map(|(sighting, excused)| (*sighting, *excused)).collect())
    }

    async fn change_sightings(
        &self,
        added: &[Sighting],
        dropped: &[Sighting],
    ) -> Result<(), StoreError> {
        let shown = &mut self.tables().sighting;
        for sighting in dropped {
            shown.remove(sighting);
        }
        for sighting in added {
            shown.entry(*sighting).or_insert(false);
        }
        Ok(())
    }

    async fn excuse_sightings(&self, node: NodeId, also: &[Sighting]) -> Result<(), StoreError> {
        self.tables().excuse_sightings(node, also);
        Ok(())
    }
}

impl Tables {
    fn accept(&mut self, found: &Accepted) {
        let node = found.node;
        if let Some(lost) = &found.lost {
            self.excuse_sightings(node, lost);
        }
        let receipts = self.unknown_receipt.iter_mut().filter(|((of, _), _)| *of == node);
        receipts.for_each(|(_, receipt)| receipt.excused_msat = receipt.paid_msat);
        if let Some(Paid { unaccounted, cursor }) = &found.paid {
            self.record_foreign(node, unaccounted, Foreign::Lost);
            self.move_payment_cursor(node, *cursor);
        }
    }

    fn move_payment_cursor(&mut self, node: NodeId, to: u64) {
        // It may go back: a person has accepted a restored node.
        self.node_cursor.entry(node).or_default().payment_index = to;
    }

    fn record_foreign(&mut self, node: NodeId, hashes: &[PaymentHash], how: Foreign) {
        for hash in hashes {
            self.foreign_payment.entry(*hash).or_insert((node, how));
        }
    }

    fn excuse_sightings(&mut self, node: NodeId, also: &[Sighting]) {
        self.sighting.extend(also.iter().map(|sighting| (*sighting, true)));
        let of_node = self.sighting.iter_mut().filter(|(sighting, _)| sighting.node == node);
        of_node.for_each(|(_, excused)| *excused = true);
    }

    /// Hashes of payments that have failed somewhere and were once tried on the node: it may be
    /// with another by now, or have failed for good.
    fn tried_and_failed(&self, node: NodeId) -> Result<BTreeSet<PaymentHash>, StoreError> {
        let mut hashes = BTreeSet::new();
        for row in self.payment.values() {
            if let Some(hash) = row.failed_hash
                && tried_on(&codec::row_from_bytes(&row.body)?, node)
            {
                hashes.insert(hash);
            }
        }
        Ok(hashes)
    }
}
