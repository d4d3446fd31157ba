use async_trait::async_trait;
use domain::{KeyId, NodeId, OrgId, Timestamp};
use ports::{
    Directory, StoreError,
    directory::{KeyRecord, NodeRecord, OrgRecord},
};

use super::Memory;
use crate::records::{same_key, same_node, same_org};

#[async_trait]
impl Directory for Memory {
    async fn add_org(&self, org: &OrgRecord) -> Result<(), StoreError> {
        let mut tables = self.tables();
        if let Some(stored) = tables.org.get(&org.id) {
            return unchanged(same_org(stored, org));
        }
        if tables.org.values().any(|other| other.name == org.name) {
            return Err(StoreError::AlreadyThere);
        }
        tables.org.insert(org.id, org.clone());
        tables.org_head.entry(org.id).or_default();
        Ok(())
    }

    async fn orgs(&self) -> Result<Vec<OrgRecord>, StoreError> {
        Ok(self.tables().org.values().cloned().collect())
    }

    async fn add_key(&self, key: &KeyRecord) -> Result<(), StoreError> {
        let mut tables = self.tables();
        if let Some(stored) = tables.api_key.get(&key.id) {
            return unchanged(same_key(stored, key));
        }
        let name = |key: &KeyRecord| (key.org, key.environment, key.name.clone());
        let taken = |other: &KeyRecord| other.digest == key.digest || name(other) == name(key);
        if tables.api_key.values().any(taken) {
            return Err(StoreError::AlreadyThere);
        }
        tables.api_key.insert(key.id, key.clone());
        Ok(())
    }

    async fn key(&self, digest: [u8; 32]) -> Result<Option<KeyRecord>, StoreError> {
        Ok(self.tables().api_key.values().find(|key| key.digest == digest).cloned())
    }

    async fn revoke_key(&self, id: KeyId, at: Timestamp) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let Some(key) = tables.api_key.get_mut(&id) else { return Ok(false) };
        if key.revoked_at.is_none() {
            (key.revoked_at, key.updated_at) = (Some(at), at);
        }
        Ok(true)
    }

    async fn keys(&self, org: OrgId) -> Result<Vec<KeyRecord>, StoreError> {
        Ok(self.tables().api_key.values().filter(|key| key.org == org).cloned().collect())
    }

    async fn touch_keys(&self, used: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        let mut tables = self.tables();
        for (id, at) in used {
            if let Some(key) = tables.api_key.get_mut(id) {
                key.last_used_at = key.last_used_at.max(Some(*at));
            }
        }
        Ok(())
    }

    async fn add_node(&self, node: &NodeRecord) -> Result<(), StoreError> {
        let mut tables = self.tables();
        if let Some(stored) = tables.node.get(&node.id) {
            return unchanged(same_node(stored, node));
        }
        let taken = |other: &NodeRecord| other.name == node.name || other.identity == node.identity;
        if tables.node.values().any(taken) {
            return Err(StoreError::AlreadyThere);
        }
        tables.node.insert(node.id, node.clone());
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        Ok(self.tables().node.values().cloned().collect())
    }

    async fn stop_node(&self, id: NodeId, why: Option<&str>) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let Some(node) = tables.node.get_mut(&id) else { return Ok(false) };
        node.stopped = why.map(str::to_owned);
        Ok(true)
    }
}

fn unchanged(same: bool) -> Result<(), StoreError> {
    if same { Ok(()) } else { Err(StoreError::AlreadyThere) }
}
