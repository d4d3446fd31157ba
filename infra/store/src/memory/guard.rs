use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::{NodeId, PaymentHash};
use ports::{
    Guard, StoreError,
    guard::{Foreign, Generation, Sighting},
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

    async fn accept_generation(&self) -> Result<(), StoreError> {
        let generation = &mut self.tables().generation;
        generation.recorded = generation.found;
        Ok(())
    }

    async fn frozen(&self) -> Result<Option<String>, StoreError> {
        Ok(self.tables().frozen.clone())
    }

    async fn freeze(&self, why: &str) -> Result<(), StoreError> {
        self.tables().frozen.get_or_insert_with(|| why.to_owned());
        Ok(())
    }

    async fn thaw(&self) -> Result<(), StoreError> {
        self.tables().frozen = None;
        Ok(())
    }

    async fn payment_cursor(&self, node: NodeId) -> Result<u64, StoreError> {
        Ok(self.tables().node_cursor.get(&node).map_or(0, |cursors| cursors.payment_index))
    }

    async fn move_payment_cursor(&self, node: NodeId, to: u64) -> Result<(), StoreError> {
        // It may go back: a person has accepted a restored node.
        self.tables().node_cursor.entry(node).or_default().payment_index = to;
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
        let foreign = &mut self.tables().foreign_payment;
        for hash in hashes {
            foreign.entry(*hash).or_insert((node, how));
        }
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
        let shown = &mut self.tables().sighting;
        shown.extend(also.iter().map(|sighting| (*sighting, true)));
        let of_node = shown.iter_mut().filter(|(sighting, _)| sighting.node == node);
        of_node.for_each(|(_, excused)| *excused = true);
        Ok(())
    }
}

impl Tables {
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
