use async_trait::async_trait;
use domain::{Msat, NodeId};
use ports::{Receipts, StoreError, lightning::Settlement, receipts::OpenReceipt};
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

    async fn take_in(
        &self,
        node: NodeId,
        settlements: &[Settlement],
    ) -> Result<Vec<OpenReceipt>, StoreError> {
        let mut settlements = settlements.to_vec();
        settlements.sort_by_key(|settlement| (settlement.hash, settlement.paid_msat));
        let taken = self.writer.run(move |connection| {
            let open = write(connection, |open| {
                let receipts = take_in(open, node, &settlements)?;
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
) -> Result<Vec<OpenReceipt>, SqlError> {
    let old = settle_cursor(open, node)?;
    let (mut cursor, mut unknown) = (old, 0_i64);
    let mut receipts: Vec<OpenReceipt> = Vec::new();
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
    for Settlement { hash, paid_msat, settle_index } in settlements {
        cursor = cursor.max(*settle_index);
        let paid = to_signed(paid_msat.get());
        if keep.execute(params![bytes(&node), hash.0, paid])? == 0 {
            // Seen again behind the cursor, it was counted before.
            unknown += i64::from(*settle_index > old);
            continue;
        }
        receipts.pop_if(|receipt| receipt.hash == *hash);
        receipts.extend(kept.query_row(params![bytes(&node), hash.0], receipt).optional()?);
    }
    open.prepare_cached(
        "insert into node_cursor (node_id, settle_index, unknown) values (?1, ?2, ?3)
         on conflict do update
         set settle_index = excluded.settle_index, unknown = unknown + excluded.unknown",
    )?
    .execute(params![bytes(&node), to_signed(cursor), unknown])?;
    if unknown > 0 {
        tracing::warn!(%node, unknown, "settled invoices that are not of this installation");
    }
    Ok(receipts)
}

fn receipt(row: &Row<'_>) -> rusqlite::Result<OpenReceipt> {
    let paid = from_signed(row.get(4)?);
    let paid_msat = Msat::new(paid).ok_or(rusqlite::Error::IntegralValueOutOfRange(4, 0))?;
    Ok(OpenReceipt {
        org: id(row.get(0)?),
        payment: id(row.get(1)?),
        node: id(row.get(2)?),
        hash: domain::PaymentHash(row.get(3)?),
        paid_msat,
    })
}
