//! Whether the history is the one that was left, as a life of a run asks for it.

use async_trait::async_trait;
use domain::{NodeId, PaymentHash};
use ports::{
    Guard, StoreError,
    guard::{Accepted, Foreign, Generation, Sighting},
};

use super::Store;

#[async_trait]
impl Guard for Store {
    async fn generation(&self) -> Result<Generation, StoreError> {
        self.around("a read", self.rest.generation()).await
    }

    async fn frozen(&self) -> Result<Option<String>, StoreError> {
        self.around("a read", self.rest.frozen()).await
    }

    async fn freeze(&self, why: &str) -> Result<(), StoreError> {
        self.sim.violate(format!("the installation is frozen: {why}"));
        self.around("a write", self.rest.freeze(why)).await
    }

    async fn thaw(&self, accepted: &[Accepted]) -> Result<Option<String>, StoreError> {
        self.around("a write", self.rest.thaw(accepted)).await
    }

    async fn payment_cursor(&self, node: NodeId) -> Result<u64, StoreError> {
        self.around("a read", self.rest.payment_cursor(node)).await
    }

    async fn move_payment_cursor(&self, node: NodeId, to: u64) -> Result<(), StoreError> {
        self.around("a write", self.rest.move_payment_cursor(node, to)).await
    }

    async fn unknown_payments(
        &self,
        node: NodeId,
        hashes: &[PaymentHash],
    ) -> Result<Vec<PaymentHash>, StoreError> {
        self.around("a read", self.rest.unknown_payments(node, hashes)).await
    }

    async fn sightings(&self, node: NodeId) -> Result<Vec<(Sighting, bool)>, StoreError> {
        self.around("a read", self.rest.sightings(node)).await
    }

    async fn change_sightings(
        &self,
        added: &[Sighting],
        dropped: &[Sighting],
    ) -> Result<(), StoreError> {
        self.around("a write", self.rest.change_sightings(added, dropped)).await
    }

    async fn record_foreign(
        &self,
        node: NodeId,
        hashes: &[PaymentHash],
        how: Foreign,
    ) -> Result<(), StoreError> {
        self.around("a write", self.rest.record_foreign(node, hashes, how)).await
    }

    async fn lost_payments(&self, node: NodeId) -> Result<Vec<PaymentHash>, StoreError> {
        self.around("a read", self.rest.lost_payments(node)).await
    }

    async fn excuse_sightings(&self, node: NodeId, also: &[Sighting]) -> Result<(), StoreError> {
        self.around("a write", self.rest.excuse_sightings(node, also)).await
    }
}
