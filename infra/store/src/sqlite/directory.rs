use std::sync::Arc;

use async_trait::async_trait;
use domain::{KeyId, Network, NodeId, OrgId, PublicKey, Timestamp};
use ports::{
    Directory, StoreError,
    directory::{KeyRecord, NodeRecord, OrgRecord},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Sqlite, keys,
    sql::{SqlError, bytes, id, instant},
};
use crate::{
    records::{
        ips_of, ips_text, last_uses, permissions_number, permissions_of, same_key, same_node,
        same_org,
    },
    seal::{Place, SealKeys, Sealed},
};

const KEY: &str =
    "select key_id, org_id, environment_id, name, digest, created_at, revoked_at, permissions,
         expires_at, valid_ips, updated_at, last_used_at from api_key";
const NODE: &str = "select node_id, owner_id, name, address, certificate, macaroon, seal_key,
                        identity, network, stopped from node";

#[async_trait]
impl Directory for Sqlite {
    async fn add_org(&self, org: &OrgRecord) -> Result<(), StoreError> {
        let new = org.clone();
        self.change(move |open| add_org(open, &new)).await
    }

    async fn orgs(&self) -> Result<Vec<OrgRecord>, StoreError> {
        self.read(|open| {
            let sql = "select org_id, name, created_at from org order by org_id";
            let mut find = open.prepare_cached(sql)?;
            let found = find.query_map([], org)?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn add_key(&self, key: &KeyRecord) -> Result<(), StoreError> {
        let new = key.clone();
        self.change(move |open| add_key(open, &new)).await
    }

    async fn key(&self, digest: [u8; 32]) -> Result<Option<KeyRecord>, StoreError> {
        self.read(move |open| {
            let mut find = open.prepare_cached(&format!("{KEY} where digest = ?1"))?;
            let mut found = find.query([digest])?;
            found.next()?.map(key).transpose()
        })
        .await
    }

    async fn keys(&self, org: OrgId) -> Result<Vec<KeyRecord>, StoreError> {
        self.read(move |open| {
            let mut find =
                open.prepare_cached(&format!("{KEY} where org_id = ?1 order by key_id"))?;
            let mut found = find.query([bytes(&org)])?;
            let mut keys = Vec::new();
            while let Some(row) = found.next()? {
                keys.push(key(row)?);
            }
            Ok(keys)
        })
        .await
    }

    async fn touch_keys(&self, used: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        let used = last_uses(used);
        self.change(move |open| {
            let sql = "update api_key set last_used_at = max(coalesce(last_used_at, ?2), ?2)
                       where key_id = ?1";
            let mut touch = open.prepare_cached(sql)?;
            for (id, at) in &used {
                touch.execute(params![bytes(id), at.millis()])?;
            }
            Ok(())
        })
        .await
    }

    async fn revoke_key(&self, id: KeyId, at: Timestamp) -> Result<bool, StoreError> {
        self.change(move |open| {
            // Revoking again does not move the instant.
            let sql = "update api_key set revoked_at = coalesce(revoked_at, ?2),
                           updated_at = case when revoked_at is null then ?2 else updated_at end
                       where key_id = ?1";
            Ok(open.execute(sql, params![bytes(&id), at.millis()])? == 1)
        })
        .await
    }

    async fn add_node(&self, node: &NodeRecord) -> Result<(), StoreError> {
        let (new, keys) = (node.clone(), Arc::clone(&self.keys));
        self.change(move |open| add_node(open, &new, &keys)).await
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        let keys = Arc::clone(&self.keys);
        self.read(move |open| {
            let mut find = open.prepare_cached(&format!("{NODE} order by node_id"))?;
            let mut found = find.query([])?;
            let mut nodes = Vec::new();
            while let Some(row) = found.next()? {
                nodes.push(node(row, &keys)?);
            }
            Ok(nodes)
        })
        .await
    }

    async fn stop_node(&self, id: NodeId, why: Option<&str>) -> Result<bool, StoreError> {
        let why = why.map(str::to_owned);
        self.change(move |open| {
            let sql = "update node set stopped = ?2 where node_id = ?1";
            Ok(open.execute(sql, params![bytes(&id), why])? == 1)
        })
        .await
    }
}

fn add_org(open: &Connection, new: &OrgRecord) -> Result<(), SqlError> {
    let sql = "select org_id, name, created_at from org where org_id = ?1";
    if let Some(stored) = open.query_row(sql, [bytes(&new.id)], org).optional()? {
        return unchanged(same_org(&stored, new));
    }
    let sql = "insert into org (org_id, name, created_at) values (?1, ?2, ?3)
               on conflict do nothing";
    added(open.execute(sql, params![bytes(&new.id), new.name, new.created_at.millis()])?)?;
    let sql = "insert into org_head (org_id, epoch, seq) values (?1, 0, 0)";
    added(open.execute(sql, [bytes(&new.id)])?)
}

fn add_key(open: &Connection, new: &KeyRecord) -> Result<(), SqlError> {
    let mut find = open.prepare(&format!("{KEY} where key_id = ?1"))?;
    if let Some(row) = find.query([bytes(&new.id)])?.next()? {
        return unchanged(same_key(&key(row)?, new));
    }
    let sql = "insert into api_key
                   (key_id, org_id, environment_id, name, digest, created_at, revoked_at,
                    permissions, expires_at, valid_ips, updated_at, last_used_at)
               values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) on conflict do nothing";
    let values = params![
        bytes(&new.id),
        bytes(&new.org),
        bytes(&new.environment),
        new.name,
        new.digest,
        new.created_at.millis(),
        new.revoked_at.map(Timestamp::millis),
        permissions_number(&new.permissions),
        new.expires_at.map(Timestamp::millis),
        ips_text(&new.valid_ips),
        new.updated_at.millis(),
        new.last_used_at.map(Timestamp::millis),
    ];
    added(open.execute(sql, values)?)
}

fn add_node(open: &Connection, new: &NodeRecord, keys: &SealKeys) -> Result<(), SqlError> {
    let mut find = open.prepare(&format!("{NODE} where node_id = ?1"))?;
    if let Some(row) = find.query([bytes(&new.id)])?.next()? {
        return unchanged(same_node(&node(row, keys)?, new));
    }
    let sealed = keys.seal(Place::Macaroon(new.id), &new.macaroon);
    let sealed = sealed.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let sql = "insert into node (node_id, owner_id, name, address, certificate, macaroon,
                   seal_key, identity, network, stopped)
               values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) on conflict do nothing";
    let values = params![
        bytes(&new.id),
        new.owner.as_ref().map(bytes),
        new.name,
        new.address,
        new.certificate,
        sealed.bytes,
        sealed.key_id,
        new.identity.0,
        new.network.name(),
        new.stopped,
    ];
    added(open.execute(sql, values)?)
}

fn unchanged(same: bool) -> Result<(), SqlError> {
    if same { Ok(()) } else { Err(StoreError::AlreadyThere.into()) }
}

/// Nothing was inserted: a name, or another fact of which there is only one, is taken.
fn added(rows: usize) -> Result<(), SqlError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::AlreadyThere.into()) }
}

fn org(row: &Row<'_>) -> rusqlite::Result<OrgRecord> {
    Ok(OrgRecord { id: id(row.get(0)?), name: row.get(1)?, created_at: instant(row.get(2)?) })
}

fn key(row: &Row<'_>) -> Result<KeyRecord, SqlError> {
    let ips: String = row.get(9)?;
    Ok(KeyRecord {
        id: id(row.get(0)?),
        org: id(row.get(1)?),
        environment: id(row.get(2)?),
        name: row.get(3)?,
        digest: row.get(4)?,
        created_at: instant(row.get(5)?),
        revoked_at: row.get::<_, Option<i64>>(6)?.map(instant),
        permissions: permissions_of(row.get(7)?)?,
        expires_at: row.get::<_, Option<i64>>(8)?.map(instant),
        valid_ips: ips_of(&ips)?,
        updated_at: instant(row.get(10)?),
        last_used_at: row.get::<_, Option<i64>>(11)?.map(instant),
    })
}

fn node(row: &Row<'_>, keys: &SealKeys) -> Result<NodeRecord, SqlError> {
    let node_id = id(row.get(0)?);
    let sealed = Sealed { bytes: row.get(5)?, key_id: row.get(6)? };
    let macaroon = keys.open(Place::Macaroon(node_id), &sealed);
    let network: String = row.get(8)?;
    let unknown = || StoreError::Corrupt(format!("node {node_id} is on network {network}"));
    Ok(NodeRecord {
        id: node_id,
        owner: row.get::<_, Option<_>>(1)?.map(id),
        name: row.get(2)?,
        address: row.get(3)?,
        certificate: row.get(4)?,
        macaroon: macaroon.map_err(|error| keys::corrupt(&error))?,
        identity: PublicKey(row.get(7)?),
        network: Network::from_name(&network).ok_or_else(unknown)?,
        stopped: row.get(9)?,
    })
}
