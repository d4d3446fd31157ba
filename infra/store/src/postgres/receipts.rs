use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{Msat, NodeId, OrgId, PaymentHash, PaymentId};
use ports::{
    Receipts, StoreError,
    lightning::Settlement,
    receipts::{OpenReceipt, TakenIn, Unknown, UnknownReceipt},
};
use tokio_postgres::{Row, types::ToSql};

use super::{
    Postgres,
    session::{no_connection, not_committed, unavailable},
};
use crate::shape::{from_signed, to_signed};

const CURSOR: &str = "select settle_index from node_cursor where node_id = $1";

/// Of invoices of ours on this node; sorted, as every writer of the inbox goes through it.
const RECEIVE: &str = "
    insert into inbox (node_id, hash, paid_msat)
    select $1, settled.hash, settled.paid_msat
    from unnest($2::bytea[], $3::bigint[]) as settled (hash, paid_msat)
    join incoming_hash on incoming_hash.hash = settled.hash and incoming_hash.node_id = $1
    on conflict (node_id, hash) do update
        set paid_msat = greatest(inbox.paid_msat, excluded.paid_msat)";

/// Also counts what is not ours. Seen again behind the cursor, it was counted before.
const MOVE_CURSOR: &str = "
    insert into node_cursor (node_id, settle_index, unknown)
    select $1, $4, count(*) filter (where incoming_hash.hash is null)
    from unnest($2::bytea[], $3::bigint[]) as settled (hash, settle_index)
    left join incoming_hash
        on incoming_hash.hash = settled.hash and incoming_hash.node_id = $1
    where settled.settle_index >
        coalesce((select settle_index from node_cursor where node_id = $1), 0)
    on conflict (node_id) do update
        set settle_index = greatest(node_cursor.settle_index, excluded.settle_index),
            unknown = node_cursor.unknown + excluded.unknown";

const BEGIN: &str = "
    insert into node_cursor (node_id, settle_index, settle_begin) values ($1, $2, $2)
    on conflict (node_id) do update
        set settle_index = greatest(node_cursor.settle_index, excluded.settle_index),
            settle_begin = greatest(node_cursor.settle_begin, excluded.settle_begin)";

/// What the ledger does not know, unless it is older than the node's books. Those that a person has not
/// taken as they are come back.
const KEEP_UNKNOWN: &str = "
    with kept as (
        insert into unknown_receipt (node_id, hash, paid_msat)
        select $1, settled.hash, settled.paid_msat
        from unnest($2::bytea[], $3::bigint[], $4::bigint[])
            as settled (hash, paid_msat, settle_index)
        where settled.settle_index >
                coalesce((select settle_begin from node_cursor where node_id = $1), 0)
            and not exists (
                select from incoming_hash
                where incoming_hash.hash = settled.hash and incoming_hash.node_id = $1
            )
        order by settled.hash
        on conflict (node_id, hash) do update
            set paid_msat = greatest(unknown_receipt.paid_msat, excluded.paid_msat)
        returning node_id, hash, paid_msat, excused_msat
    )
    select node_id, hash, paid_msat from kept where paid_msat > excused_msat order by hash";

const UNKNOWN: &str = "
    select node_id, hash, paid_msat from unknown_receipt
    where paid_msat > excused_msat
    order by node_id, hash";

const OPEN_OF: &str = "
    select incoming_hash.org_id, incoming_hash.payment_id, inbox.node_id, inbox.hash,
        inbox.paid_msat
    from inbox join incoming_hash using (hash)
    where inbox.node_id = $1 and inbox.hash = any($2) and inbox.booked_msat < inbox.paid_msat
    order by inbox.hash";

const OPEN: &str = "
    select incoming_hash.org_id, incoming_hash.payment_id, inbox.node_id, inbox.hash,
        inbox.paid_msat
    from inbox join incoming_hash using (hash)
    where inbox.booked_msat < inbox.paid_msat
    order by inbox.node_id, inbox.hash";

#[async_trait]
impl Receipts for Postgres {
    async fn settle_cursor(&self, node: NodeId) -> Result<u64, StoreError> {
        let rows = self.read(CURSOR, &[node.uuid()]).await?;
        let cursor = rows.first().map(|row| row.try_get(0).map(from_signed));
        Ok(cursor.transpose().map_err(unavailable)?.unwrap_or(0))
    }

    async fn begin_receipts(&self, node: NodeId, settle_index: u64) -> Result<(), StoreError> {
        self.write(BEGIN, &[node.uuid(), &to_signed(settle_index)]).await?;
        Ok(())
    }

    async fn take_in(
        &self,
        node: NodeId,
        settlements: &[Settlement],
        unknown: Unknown,
    ) -> Result<TakenIn, StoreError> {
        let Columns { hashes, paid, indexes, last } = Columns::of(settlements.iter());
        let hashes: Vec<&[u8]> = hashes.iter().map(|hash| &hash.0[..]).collect();
        let kept = |it: &&Settlement| unknown == Unknown::Kept && !it.spontaneous;
        let kept = Columns::of(settlements.iter().filter(kept));
        let kept_hashes: Vec<&[u8]> = kept.hashes.iter().map(|hash| &hash.0[..]).collect();
        let mut client = self.readers.get().await.map_err(no_connection)?;
        let transaction = client.transaction().await.map_err(unavailable)?;
        let receive = transaction.prepare_cached(RECEIVE).await.map_err(unavailable)?;
        let keep = transaction.prepare_cached(KEEP_UNKNOWN).await.map_err(unavailable)?;
        let cursor = transaction.prepare_cached(MOVE_CURSOR).await.map_err(unavailable)?;
        let open = transaction.prepare_cached(OPEN_OF).await.map_err(unavailable)?;
        let received: [&(dyn ToSql + Sync); 3] = [node.uuid(), &hashes, &paid];
        let moved: [&(dyn ToSql + Sync); 4] = [node.uuid(), &hashes, &indexes, &last];
        let asked: [&(dyn ToSql + Sync); 2] = [node.uuid(), &hashes];
        let lost: [&(dyn ToSql + Sync); 4] = [node.uuid(), &kept_hashes, &kept.paid, &kept.indexes];
        let (received, lost, moved, open) = tokio::join!(
            biased;
            transaction.execute(&receive, &received),
            transaction.query(&keep, &lost),
            transaction.execute(&cursor, &moved),
            transaction.query(&open, &asked),
        );
        received.map_err(unavailable)?;
        moved.map_err(unavailable)?;
        let open: Result<_, _> = open.map_err(unavailable)?.iter().map(receipt).collect();
        let lost: Result<_, _> = lost.map_err(unavailable)?.iter().map(unknown_receipt).collect();
        fail::fail_point!("store::take_in_before_commit", |_| Err(StoreError::Unavailable(
            "fail point".to_owned()
        )));
        transaction.commit().await.map_err(not_committed)?;
        fail::fail_point!("store::take_in_after_commit", |_| Err(StoreError::Unknown(
            "fail point".to_owned()
        )));
        Ok(TakenIn { open: open?, unknown: lost? })
    }

    async fn unknown_receipts(&self) -> Result<Vec<UnknownReceipt>, StoreError> {
        self.read(UNKNOWN, &[]).await?.iter().map(unknown_receipt).collect()
    }

    async fn open_receipts(&self) -> Result<Vec<OpenReceipt>, StoreError> {
        self.read(OPEN, &[]).await?.iter().map(receipt).collect()
    }
}

/// One line for each hash, in order.
struct Columns {
    hashes: Vec<PaymentHash>,
    /// The greatest amount.
    paid: Vec<i64>,
    /// The last settlement.
    indexes: Vec<i64>,
    /// The last settlement of all.
    last: i64,
}

impl Columns {
    fn of<'a>(settlements: impl Iterator<Item = &'a Settlement>) -> Columns {
        let mut lines: BTreeMap<PaymentHash, (Msat, u64)> = BTreeMap::new();
        for it in settlements {
            let (paid, index) = lines.entry(it.hash).or_default();
            *paid = (*paid).max(it.paid_msat);
            *index = (*index).max(it.settle_index);
        }
        let last = lines.values().map(|(_, index)| *index).max().unwrap_or(0);
        Columns {
            hashes: lines.keys().copied().collect(),
            paid: lines.values().map(|(paid, _)| paid.signed().get()).collect(),
            indexes: lines.values().map(|(_, index)| to_signed(*index)).collect(),
            last: to_signed(last),
        }
    }
}

fn unknown_receipt(row: &Row) -> Result<UnknownReceipt, StoreError> {
    let (hash, paid_msat) = paid(row, 1)?;
    let node = NodeId::new(row.try_get(0).map_err(unavailable)?);
    Ok(UnknownReceipt { node, hash, paid_msat })
}

/// A hash and the amount in the column after it.
fn paid(row: &Row, at: usize) -> Result<(PaymentHash, Msat), StoreError> {
    let hash: &[u8] = row.try_get(at).map_err(unavailable)?;
    let paid_msat: i64 = row.try_get(at + 1).map_err(unavailable)?;
    let amount = u64::try_from(paid_msat).ok().and_then(Msat::new);
    let wrong = || StoreError::Corrupt("a receipt that is no amount of a hash".to_owned());
    let hash = hash.try_into().map_err(|_| wrong())?;
    Ok((PaymentHash(hash), amount.ok_or_else(wrong)?))
}

fn receipt(row: &Row) -> Result<OpenReceipt, StoreError> {
    let (hash, paid_msat) = paid(row, 3)?;
    Ok(OpenReceipt {
        org: OrgId::new(row.try_get(0).map_err(unavailable)?),
        payment: PaymentId::new(row.try_get(1).map_err(unavailable)?),
        node: NodeId::new(row.try_get(2).map_err(unavailable)?),
        hash,
        paid_msat,
    })
}
