use async_trait::async_trait;
use domain::{EnvironmentId, KeyId, Network, NodeId, OrgId, PublicKey, Timestamp};
use ports::{
    Directory, StoreError,
    directory::{KeyRecord, NodeRecord, OrgRecord},
};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Postgres, session::unavailable};
use crate::{
    records::{
        ips_of, ips_text, last_uses, permissions_number, permissions_of, same_key, same_node,
        same_org,
    },
    seal::{Place, Sealed},
};

/// With its head, in one statement: an organisation that can be found can be loaded.
const ADD_ORG: &str = "
    with added as (
        insert into org (org_id, name, created_at_ms) values ($1, $2, $3)
        on conflict do nothing returning org_id
    )
    insert into org_head (org_id, seq, epoch) select org_id, 0, 0 from added";

const ORG: &str = "select org_id, name, created_at_ms from org where org_id = $1";

const ORGS: &str = "select org_id, name, created_at_ms from org order by org_id";

const ADD_KEY: &str = "
    insert into api_key
        (key_id, digest, org_id, environment_id, name, created_at_ms, revoked_at_ms, permissions,
        expires_at_ms, valid_ips, updated_at_ms, last_used_at_ms)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    on conflict do nothing";

const KEY: &str = "
    select key_id, digest, org_id, environment_id, name, created_at_ms, revoked_at_ms, permissions,
        expires_at_ms, valid_ips, updated_at_ms, last_used_at_ms
    from api_key";

/// The first revocation stands.
const REVOKE_KEY: &str = "
    update api_key
    set revoked_at_ms = coalesce(revoked_at_ms, $2),
        updated_at_ms = case when revoked_at_ms is null then $2 else updated_at_ms end
    where key_id = $1";

/// Null is no greater than any instant.
const TOUCH_KEYS: &str = "
    update api_key set last_used_at_ms = greatest(api_key.last_used_at_ms, used.at_ms)
    from unnest($1::uuid[], $2::bigint[]) as used (key_id, at_ms)
    where api_key.key_id = used.key_id";

const ADD_NODE: &str = "
    insert into node
        (node_id, owner_id, name, address, certificate, seal_key_id, macaroon_sealed, identity,
        network, stopped)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    on conflict do nothing";

const NODES: &str = "
    select node_id, owner_id, name, address, certificate, seal_key_id, macaroon_sealed, identity,
        network, stopped
    from node where $1::uuid is null or node_id = $1
    order by node_id";

const STOP_NODE: &str = "update node set stopped = $2 where node_id = $1";

#[async_trait]
impl Directory for Postgres {
    async fn add_org(&self, org: &OrgRecord) -> Result<(), StoreError> {
        let OrgRecord { id, name, created_at } = org;
        if self.write(ADD_ORG, &[id.uuid(), name, &created_at.millis()]).await? == 1 {
            return Ok(());
        }
        let stored = self.read(ORG, &[id.uuid()]).await?;
        let stored = stored.first().map(org_record).transpose()?;
        unchanged(stored.is_some_and(|stored| same_org(&stored, org)))
    }

    async fn orgs(&self) -> Result<Vec<OrgRecord>, StoreError> {
        self.read(ORGS, &[]).await?.iter().map(org_record).collect()
    }

    async fn add_key(&self, key: &KeyRecord) -> Result<(), StoreError> {
        let KeyRecord { id, org, environment, name, digest, created_at, revoked_at, .. } = key;
        let added = self
            .write(
                ADD_KEY,
                &[
                    id.uuid(),
                    &&digest[..],
                    org.uuid(),
                    environment.uuid(),
                    name,
                    &created_at.millis(),
                    &revoked_at.map(Timestamp::millis),
                    &permissions_number(&key.permissions),
                    &key.expires_at.map(Timestamp::millis),
                    &ips_text(&key.valid_ips),
                    &key.updated_at.millis(),
                    &key.last_used_at.map(Timestamp::millis),
                ],
            )
            .await?;
        if added == 1 {
            return Ok(());
        }
        let by_id = format!("{KEY} where key_id = $1");
        let stored = self.read(&by_id, &[id.uuid()]).await?;
        let stored = stored.first().map(key_record).transpose()?;
        unchanged(stored.is_some_and(|stored| same_key(&stored, key)))
    }

    async fn key(&self, digest: [u8; 32]) -> Result<Option<KeyRecord>, StoreError> {
        let by_digest = format!("{KEY} where digest = $1");
        let rows = self.read(&by_digest, &[&&digest[..]]).await?;
        rows.first().map(key_record).transpose()
    }

    async fn keys_of(&self, digests: &[[u8; 32]]) -> Result<Vec<KeyRecord>, StoreError> {
        let by_digest = format!("{KEY} where digest = any($1)");
        let digests: Vec<&[u8]> = digests.iter().map(|digest| &digest[..]).collect();
        self.read(&by_digest, &[&digests]).await?.iter().map(key_record).collect()
    }

    async fn keys(&self, org: OrgId) -> Result<Vec<KeyRecord>, StoreError> {
        let of_org = format!("{KEY} where org_id = $1 order by key_id");
        self.read(&of_org, &[org.uuid()]).await?.iter().map(key_record).collect()
    }

    async fn touch_keys(&self, used: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        // In one order, so that two who touch the same keys do not wait for each other.
        let used = last_uses(used);
        let keys: Vec<Uuid> = used.keys().map(|key| *key.uuid()).collect();
        let times: Vec<i64> = used.values().map(|at| at.millis()).collect();
        self.write(TOUCH_KEYS, &[&keys, &times]).await.map(|_| ())
    }

    async fn revoke_key(&self, id: KeyId, at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.write(REVOKE_KEY, &[id.uuid(), &at.millis()]).await? == 1)
    }

    async fn add_node(&self, node: &NodeRecord) -> Result<(), StoreError> {
        let sealed = self.keys.seal(Place::Macaroon(node.id), &node.macaroon);
        let sealed = sealed.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let owner = node.owner.map(|owner| *owner.uuid());
        let added = self
            .write(
                ADD_NODE,
                &[
                    node.id.uuid(),
                    &owner,
                    &node.name,
                    &node.address,
                    &node.certificate,
                    &sealed.key_id,
                    &sealed.bytes,
                    &&node.identity.0[..],
                    &node.network.name(),
                    &node.stopped,
                ],
            )
            .await?;
        if added == 1 {
            return Ok(());
        }
        let stored = self.read_nodes(Some(node.id)).await?.pop();
        unchanged(stored.is_some_and(|stored| same_node(&stored, node)))
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        self.read_nodes(None).await
    }

    async fn stop_node(&self, id: NodeId, why: Option<&str>) -> Result<bool, StoreError> {
        Ok(self.write(STOP_NODE, &[id.uuid(), &why]).await? == 1)
    }
}

impl Postgres {
    async fn read_nodes(&self, id: Option<NodeId>) -> Result<Vec<NodeRecord>, StoreError> {
        let id = id.map(|id| *id.uuid());
        self.read(NODES, &[&id]).await?.iter().map(|row| self.node_record(row)).collect()
    }

    fn node_record(&self, row: &Row) -> Result<NodeRecord, StoreError> {
        let id = NodeId::new(row.try_get(0).map_err(unavailable)?);
        let sealed = Sealed {
            key_id: row.try_get(5).map_err(unavailable)?,
            bytes: row.try_get(6).map_err(unavailable)?,
        };
        let macaroon = self.keys.open(Place::Macaroon(id), &sealed);
        let identity: &[u8] = row.try_get(7).map_err(unavailable)?;
        let identity = identity.try_into().map(PublicKey).ok();
        let network = Network::from_name(row.try_get(8).map_err(unavailable)?);
        let wrong = || StoreError::Corrupt(format!("node {id} has no identity or network"));
        let owner: Option<Uuid> = row.try_get(1).map_err(unavailable)?;
        Ok(NodeRecord {
            id,
            owner: owner.map(OrgId::new),
            name: row.try_get(2).map_err(unavailable)?,
            address: row.try_get(3).map_err(unavailable)?,
            certificate: row.try_get(4).map_err(unavailable)?,
            macaroon: macaroon.map_err(|error| StoreError::Corrupt(error.to_string()))?,
            identity: identity.ok_or_else(wrong)?,
            network: network.ok_or_else(wrong)?,
            stopped: row.try_get(9).map_err(unavailable)?,
        })
    }
}

fn unchanged(same: bool) -> Result<(), StoreError> {
    if same { Ok(()) } else { Err(StoreError::AlreadyThere) }
}

fn org_record(row: &Row) -> Result<OrgRecord, StoreError> {
    Ok(OrgRecord {
        id: OrgId::new(row.try_get(0).map_err(unavailable)?),
        name: row.try_get(1).map_err(unavailable)?,
        created_at: Timestamp::from_millis(row.try_get(2).map_err(unavailable)?),
    })
}

fn key_record(row: &Row) -> Result<KeyRecord, StoreError> {
    let digest: &[u8] = row.try_get(1).map_err(unavailable)?;
    let wrong = || StoreError::Corrupt("a key with a digest of another length".to_owned());
    let time = |column: usize| -> Result<Option<Timestamp>, StoreError> {
        let millis: Option<i64> = row.try_get(column).map_err(unavailable)?;
        Ok(millis.map(Timestamp::from_millis))
    };
    Ok(KeyRecord {
        id: KeyId::new(row.try_get(0).map_err(unavailable)?),
        digest: digest.try_into().map_err(|_| wrong())?,
        org: OrgId::new(row.try_get(2).map_err(unavailable)?),
        environment: EnvironmentId::new(row.try_get(3).map_err(unavailable)?),
        name: row.try_get(4).map_err(unavailable)?,
        created_at: Timestamp::from_millis(row.try_get(5).map_err(unavailable)?),
        revoked_at: time(6)?,
        permissions: permissions_of(row.try_get(7).map_err(unavailable)?)?,
        expires_at: time(8)?,
        valid_ips: ips_of(row.try_get(9).map_err(unavailable)?)?,
        updated_at: Timestamp::from_millis(row.try_get(10).map_err(unavailable)?),
        last_used_at: time(11)?,
    })
}
