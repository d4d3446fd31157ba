use std::sync::PoisonError;

use async_trait::async_trait;
use domain::{NodeId, PaymentHash};
use ports::{
    Guard, StoreError,
    guard::{Accepted, Foreign, Generation, Paid, Sighting},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Sqlite, generation,
    reads::rows,
    sql::{SqlError, bytes, id},
};
use crate::{
    records::tried_on,
    shape::{from_signed, to_signed},
};

#[async_trait]
impl Guard for Sqlite {
    async fn generation(&self) -> Result<Generation, StoreError> {
        Ok(self.generation.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn frozen(&self) -> Result<Option<String>, StoreError> {
        self.read(frozen).await
    }

    async fn freeze(&self, why: &str) -> Result<(), StoreError> {
        let why = why.to_owned();
        self.change(move |open| {
            // The first reason is the cause of what follows.
            open.execute("update installation set frozen = coalesce(frozen, ?1)", [why])?;
            Ok(())
        })
        .await
    }

    async fn thaw(&self, accepted: &[Accepted]) -> Result<Option<String>, StoreError> {
        let (accepted, folder) = (accepted.to_vec(), self.folder.clone());
        let is_another = self.generation().await? != Generation::Same;
        let was = self.change(move |open| {
            let was = frozen(open)?;
            if was.is_none() {
                return Ok(None);
            }
            for found in &accepted {
                accept(open, found)?;
            }
            open.execute("update installation set frozen = null", [])?;
            if is_another {
                // The file beside the database is written before the commit: should that fail, the two stay
                // unlike, and sends frozen.
                generation::accept(open, &folder)
                    .map_err(|error| StoreError::Unavailable(error.to_string()))?;
            }
            Ok(was)
        });
        let was = was.await?;
        if was.is_some() {
            *self.generation.lock().unwrap_or_else(PoisonError::into_inner) = Generation::Same;
        }
        Ok(was)
    }

    async fn payment_cursor(&self, node: NodeId) -> Result<u64, StoreError> {
        self.read(move |open| {
            let sql = "select payment_index from node_cursor where node_id = ?1";
            let cursor = open.query_row(sql, [bytes(&node)], |row| row.get(0)).optional()?;
            Ok(cursor.map_or(0, from_signed))
        })
        .await
    }

    async fn move_payment_cursor(&self, node: NodeId, to: u64) -> Result<(), StoreError> {
        self.change(move |open| move_payment_cursor(open, node, to)).await
    }

    async fn unknown_payments(
        &self,
        node: NodeId,
        hashes: &[PaymentHash],
    ) -> Result<Vec<PaymentHash>, StoreError> {
        let hashes = hashes.to_vec();
        self.read(move |open| {
            let mut unknown = Vec::new();
            for hash in hashes {
                if !is_known(open, node, hash)? {
                    unknown.push(hash);
                }
            }
            Ok(unknown)
        })
        .await
    }

    async fn record_foreign(
        &self,
        node: NodeId,
        hashes: &[PaymentHash],
        how: Foreign,
    ) -> Result<(), StoreError> {
        let hashes = hashes.to_vec();
        self.change(move |open| record_foreign(open, node, &hashes, how)).await
    }

    async fn lost_payments(&self, node: NodeId) -> Result<Vec<PaymentHash>, StoreError> {
        self.read(move |open| {
            let sql = "select hash from foreign_payment where node_id = ?1 and lost order by hash";
            let mut find = open.prepare_cached(sql)?;
            let lost = find.query_map([bytes(&node)], |row| Ok(PaymentHash(row.get(0)?)))?;
            Ok(lost.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn sightings(&self, node: NodeId) -> Result<Vec<(Sighting, bool)>, StoreError> {
        self.read(move |open| {
            let sql = "select org_id, payment_id, hash, excused from sighting where node_id = ?1
                       order by org_id, payment_id";
            let mut find = open.prepare_cached(sql)?;
            let found = find.query_map([bytes(&node)], |row| {
                let (org, payment) = (id(row.get(0)?), id(row.get(1)?));
                Ok((Sighting { node, org, payment, hash: PaymentHash(row.get(2)?) }, row.get(3)?))
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn change_sightings(
        &self,
        added: &[Sighting],
        dropped: &[Sighting],
    ) -> Result<(), StoreError> {
        let (added, dropped) = (added.to_vec(), dropped.to_vec());
        self.change(move |open| {
            let mut drop = open.prepare_cached(
                "delete from sighting where node_id = ?1 and org_id = ?2 and payment_id = ?3",
            )?;
            for Sighting { node, org, payment, .. } in &dropped {
                drop.execute(params![bytes(node), bytes(org), bytes(payment)])?;
            }
            add_sightings(open, &added)
        })
        .await
    }

    async fn excuse_sightings(&self, node: NodeId, also: &[Sighting]) -> Result<(), StoreError> {
        let also = also.to_vec();
        self.change(move |open| excuse_sightings(open, node, &also)).await
    }
}

fn frozen(open: &Connection) -> Result<Option<String>, SqlError> {
    Ok(open.query_row("select frozen from installation", [], |row| row.get(0))?)
}

fn accept(open: &Connection, found: &Accepted) -> Result<(), SqlError> {
    let node = found.node;
    if let Some(lost) = &found.lost {
        excuse_sightings(open, node, lost)?;
    }
    let excuse = "update unknown_receipt set excused_msat = paid_msat where node_id = ?1";
    open.execute(excuse, [bytes(&node)])?;
    if let Some(Paid { unaccounted, cursor }) = &found.paid {
        record_foreign(open, node, unaccounted, Foreign::Lost)?;
        move_payment_cursor(open, node, *cursor)?;
    }
    Ok(())
}

/// It may go back: a person has accepted a restored node.
fn move_payment_cursor(open: &Connection, node: NodeId, to: u64) -> Result<(), SqlError> {
    let sql = "insert into node_cursor (node_id, payment_index) values (?1, ?2)
               on conflict do update set payment_index = excluded.payment_index";
    open.execute(sql, params![bytes(&node), to_signed(to)])?;
    Ok(())
}

fn record_foreign(
    open: &Connection,
    node: NodeId,
    hashes: &[PaymentHash],
    how: Foreign,
) -> Result<(), SqlError> {
    let sql = "insert into foreign_payment (hash, node_id, lost) values (?1, ?2, ?3)
               on conflict do nothing";
    let mut record = open.prepare_cached(sql)?;
    for PaymentHash(hash) in hashes {
        record.execute(params![hash, bytes(&node), how == Foreign::Lost])?;
    }
    Ok(())
}

fn excuse_sightings(open: &Connection, node: NodeId, also: &[Sighting]) -> Result<(), SqlError> {
    add_sightings(open, also)?;
    open.execute("update sighting set excused = 1 where node_id = ?1", [bytes(&node)])?;
    Ok(())
}

fn add_sightings(open: &Connection, added: &[Sighting]) -> Result<(), SqlError> {
    let sql = "insert into sighting (node_id, org_id, payment_id, hash) values (?1, ?2, ?3, ?4)
               on conflict do nothing";
    let mut add = open.prepare_cached(sql)?;
    for Sighting { node, org, payment, hash } in added {
        add.execute(params![bytes(node), bytes(org), bytes(payment), hash.0])?;
    }
    Ok(())
}

/// Whether a payment of ours was ever tried on the node with this hash.
fn is_known(open: &Connection, node: NodeId, hash: PaymentHash) -> Result<bool, SqlError> {
    let sql = "select 1 from outgoing_hash where hash = ?1 and node_id = ?2";
    if open.prepare_cached(sql)?.exists(params![hash.0, bytes(&node)])? {
        return Ok(true);
    }
    // It may be on its next node by now, or have failed for good.
    let sql = "select body from payment where failed_hash = ?1";
    Ok(rows(open, sql, [hash.0])?.iter().any(|row| tried_on(row, node)))
}
