//! What an operator may ask of the installation.

use std::sync::Arc;

use async_trait::async_trait;
use bootstrap::watch::Watched;
use domain::{Network, NodeId};
use ports::{
    Clock, Directory, Guard, Operations, Placement, StoreError,
    directory::NodeRecord,
    operations::{AuditReport, NewNode, NodeState, RegisterError, ThawError},
    placement::Pods,
    restore::{RestoreReport, Restoring, Thawing},
};
use runtime::{Platform, ReconcileError};

pub(crate) struct Operator {
    pub(crate) platform: Platform,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) guard: Arc<dyn Guard>,
    pub(crate) placement: Arc<dyn Placement>,
    pub(crate) network: Network,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) watched: Arc<dyn Watched>,
}

#[async_trait]
impl Operations for Operator {
    async fn register_node(&self, node: NewNode) -> Result<NodeRecord, RegisterError> {
        if let Some(owner) = node.owner {
            let orgs = self.directory.orgs().await.map_err(RegisterError::Store)?;
            if !orgs.iter().any(|org| org.id == owner) {
                return Err(RegisterError::OrgNotFound(owner));
            }
        }
        let clock = self.clock.clone();
        let record =
            lightning_node::register::inspect(&node, self.network, move || clock.now()).await?;
        let known = self.directory.nodes().await.map_err(RegisterError::Store)?;
        // A repeat must not explain away what the node has paid since.
        if !known.iter().any(|known| known.id == record.id) {
            self.platform.begin_books(&record).await.map_err(|error| match error {
                ReconcileError::Store(error) => RegisterError::Store(error),
                ReconcileError::Node(error) => RegisterError::Unreachable(error.to_string()),
            })?;
        }
        self.directory.add_node(&record).await.map_err(|error| match error {
            StoreError::AlreadyThere => RegisterError::AlreadyThere,
            error @ (StoreError::Unavailable(_)
            | StoreError::Unknown(_)
            | StoreError::Corrupt(_)) => RegisterError::Store(error),
        })?;
        self.platform
            .adopt(record.clone())
            .await
            .map_err(|error| RegisterError::Unreachable(error.to_string()))?;
        Ok(record)
    }

    async fn nodes(&self) -> Result<Vec<NodeState>, StoreError> {
        let records = self.directory.nodes().await?;
        Ok(records.into_iter().map(|record| self.platform.state_of(record)).collect())
    }

    async fn is_ready(&self) -> bool {
        self.watched.checks().await.iter().all(|check| check.failure.is_none())
    }

    async fn stop_node(&self, id: NodeId, why: Option<&str>) -> Result<bool, StoreError> {
        self.platform.stop_node(id, why).await
    }

    async fn frozen(&self) -> Result<Option<String>, StoreError> {
        self.guard.frozen().await
    }

    async fn thaw(&self, how: Thawing) -> Result<Option<String>, ThawError> {
        self.platform.thaw(how).await
    }

    async fn pods(&self) -> Result<Pods, StoreError> {
        let map = self.placement.map().await?;
        Ok(Pods { map, leases: self.placement.leases().await? })
    }

    async fn restore(&self, how: Restoring) -> Result<RestoreReport, StoreError> {
        self.platform.restore(how).await
    }

    async fn audit(&self) -> Result<AuditReport, StoreError> {
        self.platform.audit().await
    }
}
