use async_trait::async_trait;
use domain::{Msat, NodeId, PaymentHash};
use ports::{
    Receipts, StoreError,
    lightning::Settlement,
    receipts::{OpenReceipt, TakenIn, Unknown, UnknownReceipt},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Sqlite,
    sql::{SqlError, bytes, id, write},
    worker::Lost,
};
use crate::shape::{from_signed, to_signed};

#[async_trait]
impl Receipts for Sqlite {
    async fn settle_cursor(&self, node: NodeId) -> Result<u64, StoreError> {
        self.read(move |open| settle_cursor(open, node)).await
    }

    async fn begin_receipts(&self, node: NodeId, settle_index: u64) -> Result<(), StoreError> {
        self.change(move |open| {
            let sql = "insert into node_cursor (node_id, settle_index, settle_begin)
                       values (?1, ?2, ?2)
                       on conflict do update
                       set settle_index = max(settle_index, excluded.settle_index),
                           settle_begin = max(settle_begin, excluded.settle_begin)";
            open.execute(sql, params![bytes(&node), to_signed(settle_index)])?;
            Ok(())
        })
        .await
    }

    async fn take_in(
        &self,
        node: NodeId,
        settlements: &[Settlement],
        unknown: Unknown,
    ) -> Result<TakenIn, StoreError> {
        let mut settlements = settlements.to_vec();
        settlements.sort_by_key(|settlement| (settlement.hash, settlement.paid_msat));
        let taken = self.writer.run(move |connection| {
            let open = write(connection, |open| {
                let receipts = take_in(open, node, &settlements, unknown)?;
                fail::fail_point!("store::take_in_before_commit", |_| Err(SqlError::Store(
                    StoreError::Unavailable("fail point".to_owned())
                )));
                Ok::<_, SqlError>(receipts)
            })?;
            fail::fail_point!("store::take_in_after_commit", |_| Err(SqlError::Store(
                StoreError::Unknown("fail point".to_owned())
            )));
            Ok::<_, SqlError>(open)
        });
        let taken = taken.await.map_err(|_: Lost| StoreError::Unknown(Lost::WHY.to_owned()))?;
        taken.map_err(StoreError::from)
    }

    async fn unknown_receipts(&self) -> Result<Vec<UnknownReceipt>, StoreError> {
        self.read(|open| {
            let sql = "select node_id, hash, paid_msat from unknown_receipt
                       where paid_msat > excused_msat order by node_id, hash";
            let mut find = open.prepare_cached(sql)?;
            let found = find.query_map([], |row| {
                let (node, hash) = (id(row.get(0)?), PaymentHash(row.get(1)?));
                Ok(UnknownReceipt { node, hash, paid_msat: amount(row, 2)? })
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn open_receipts(&self) -> Result<Vec<OpenReceipt>, StoreError> {
        self.read(|open| {
            let sql = "select org_id, payment_id, inbox.node_id, hash, paid_msat
                       from inbox join incoming_hash using (hash)
                       where paid_msat > booked_msat order by inbox.node_id, hash";
            let mut find = open.prepare_cached(sql)?;
            let found = find.query_map([], receipt)?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn settle_cursor(open: &Connection, node: NodeId) -> Result<u64, SqlError> {
    let sql = "select settle_index from node_cursor where node_id = ?1";
    let cursor = open.query_row(sql, [bytes(&node)], |row| row.get(0)).optional()?;
    Ok(cursor.map_or(0, from_signed))
}

/// Settlements come sorted by hash, so that each receipt is answered once, with its greatest
/// amount.
fn take_in(
    open: &Connection,
    node: NodeId,
    settlements: &[Settlement],
    unknown: Unknown,
) -> Result<TakenIn, SqlError> {
    let old = settle_cursor(open, node)?;
    let (mut cursor, mut foreign) = (old, 0_i64);
    let mut taken = TakenIn::default();
    // An invoice belongs to one node for ever; what another node says of its hash is not about it.
    let mut keep = open.prepare_cached(
        "insert into inbox (node_id, hash, paid_msat)
         select node_id, hash, ?3 from incoming_hash where hash = ?2 and node_id = ?1
         on conflict do update set paid_msat = max(paid_msat, excluded.paid_msat)",
    )?;
    let mut kept = open.prepare_cached(
        "select org_id, payment_id, inbox.node_id, hash, paid_msat
         from inbox join incoming_hash using (hash)
         where inbox.node_id = ?1 and hash = ?2 and paid_msat > booked_msat",
    )?;
    for settlement in settlements {
        let Settlement { hash, paid_msat, settle_index, spontaneous } = settlement;
        cursor = cursor.max(*settle_index);
        let paid = to_signed(paid_msat.get());
        if keep.execute(params![bytes(&node), hash.0, paid])? == 0 {
            // Seen again behind the cursor, it was counted before.
            foreign += i64::from(*settle_index > old);
            if unknown == Unknown::Kept && !spontaneous {
                taken.unknown.pop_if(|receipt| receipt.hash == *hash);
                taken.unknown.extend(keep_unknown(open, node, settlement)?);
            }
            continue;
        }
        taken.open.pop_if(|receipt| receipt.hash == *hash);
        taken.open.extend(kept.query_row(params![bytes(&node), hash.0], receipt).optional()?);
    }
    open.prepare_cached(
        "insert into node_cursor (node_id, settle_index, unknown) values (?1, ?2, ?3)
         on conflict do update
         set settle_index = excluded.settle_index, unknown = unknown + excluded.unknown",
    )?
    .execute(params![bytes(&node), to_signed(cursor), foreign])?;
    if foreign > 0 {
        tracing::warn!(%node, foreign, "settled invoices that are not of this installation");
    }
    Ok(taken)
}

/// Unless it is older than the node's books. `None`: a person has taken it as it is.
fn keep_unknown(
    open: &Connection,
    node: NodeId,
    settlement: &Settlement,
) -> Result<Option<UnknownReceipt>, SqlError> {
    let Settlement { hash, paid_msat, settle_index, .. } = *settlement;
    let mut keep = open.prepare_cached(
        "insert into unknown_receipt (node_id, hash, paid_msat)
         select ?1, ?2, ?3
         where ?4 > coalesce((select settle_begin from node_cursor where node_id = ?1), 0)
         on conflict do update set paid_msat = max(paid_msat, excluded.paid_msat)
         returning paid_msat, paid_msat > excused_msat",
    )?;
    let (paid, index) = (to_signed(paid_msat.get()), to_signed(settle_index));
    let values = params![bytes(&node), hash.0, paid, index];
    let kept = keep.query_row(values, |row| Ok((amount(row, 0)?, row.get(1)?))).optional()?;
    Ok(match kept {
        Some((paid_msat, true)) => Some(UnknownReceipt { node, hash, paid_msat }),
        Some((_, false)) | None => None,
    })
}

fn amount(row: &Row<'_>, column: usize) -> rusqlite::Result<Msat> {
    let amount = Msat::new(from_signed(row.get(column)?));
    amount.ok_or(rusqlite::Error::IntegralValueOutOfRange(column, 0))
}

fn receipt(row: &Row<'_>) -> rusqlite::Result<OpenReceipt> {
    Ok(OpenReceipt {
        org: id(row.get(0)?),
        payment: id(row.get(1)?),
        node: id(row.get(2)?),
        hash: PaymentHash(row.get(3)?),
        paid_msat: amount(row, 4)?,
    })
}
