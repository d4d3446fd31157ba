//! What is global: organisations, API keys, nodes.

use std::{collections::BTreeSet, fmt};

use async_trait::async_trait;
use domain::{EnvironmentId, KeyId, Network, NodeId, OrgId, Permission, PublicKey, Timestamp};
pub use ipnet::IpNet;

use crate::StoreError;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgRecord {
    pub id: OrgId,
    pub name: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    pub id: KeyId,
    pub org: OrgId,
    pub environment: EnvironmentId,
    pub name: String,
    /// SHA-256 of the secret; the secret itself is shown once and never stored.
    pub digest: [u8; 32],
    pub permissions: BTreeSet<Permission>,
    /// From then on it is as if it had been revoked.
    pub expires_at: Option<Timestamp>,
    /// Where it may be used from; empty means from everywhere. At most [`VALID_IPS_MAX`].
    pub valid_ips: Vec<IpNet>,
    pub created_at: Timestamp,
    /// When it was made or revoked; using it is no change.
    pub updated_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
}

/// The most networks that one key names: they are looked through at every call.
pub const VALID_IPS_MAX: usize = 100;

#[derive(Clone, PartialEq, Eq)]
pub struct NodeRecord {
    pub id: NodeId,
    /// `None`: a node of the credit pool.
    pub owner: Option<OrgId>,
    pub name: String,
    /// `host:port` of the gRPC listener.
    pub address: String,
    /// Certificates to pin, PEM; `None` for one of a public authority.
    pub certificate: Option<String>,
    /// Sealed at rest.
    pub macaroon: Vec<u8>,
    pub identity: PublicKey,
    pub network: Network,
    /// Why it gets no sends, if it does not.
    pub stopped: Option<String>,
}

/// The macaroon is spending power and stays out (`money-safety` rule 31).
impl fmt::Debug for NodeRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeRecord")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .field("name", &self.name)
            .field("address", &self.address)
            .field("identity", &self.identity)
            .field("network", &self.network)
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}

/// Adding the same record again changes nothing; another record under the same id, or a name that is
/// taken, is [`StoreError::AlreadyThere`].
#[async_trait]
pub trait Directory: Send + Sync {
    async fn add_org(&self, org: &OrgRecord) -> Result<(), StoreError>;
    async fn orgs(&self) -> Result<Vec<OrgRecord>, StoreError>;

    async fn add_key(&self, key: &KeyRecord) -> Result<(), StoreError>;
    async fn key(&self, digest: [u8; 32]) -> Result<Option<KeyRecord>, StoreError>;
    /// Those that there are of these, in any order.
    async fn keys_of(&self, digests: &[[u8; 32]]) -> Result<Vec<KeyRecord>, StoreError> {
        let mut found = Vec::new();
        for digest in digests {
            found.extend(self.key(*digest).await?);
        }
        Ok(found)
    }
    /// All keys of an organisation, the revoked ones too, by their ids.
    async fn keys(&self, org: OrgId) -> Result<Vec<KeyRecord>, StoreError>;
    /// Notes when keys were last used. Never moves back; a key that is not there is passed over.
    async fn touch_keys(&self, used: &[(KeyId, Timestamp)]) -> Result<(), StoreError>;
    /// `false`: there is no such key.
    async fn revoke_key(&self, id: KeyId, at: Timestamp) -> Result<bool, StoreError>;

    async fn add_node(&self, node: &NodeRecord) -> Result<(), StoreError>;
    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError>;
    /// Stops a node's sends, with the reason, or lets them go on. `false`: there is no such node.
    async fn stop_node(&self, id: NodeId, why: Option<&str>) -> Result<bool, StoreError>;
}
