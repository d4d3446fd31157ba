use std::collections::BTreeSet;

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use domain::{NodeId, OrgId, PaymentHash, PaymentId};
use ports::{
    Guard, StoreError,
    guard::{Accepted, Foreign, Generation, Paid, Sighting},
};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::{
    Postgres,
    session::{no_connection, not_committed, unavailable},
};
use crate::{
    records::tried_on,
    shape::{from_signed, to_signed},
};

/// Which history this is: the cluster, and the timeline that it writes now. The control file's own
/// timeline is behind for a while after a promotion.
const FOUND: &str = "
    (select system_identifier::text from pg_control_system())
    || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)";

const FROZEN: &str = "select frozen from installation";

/// The first reason stands.
const FREEZE: &str = "update installation set frozen = coalesce(frozen, $1)";

/// Whoever freezes or thaws meanwhile waits until what is done about this is committed.
const HOLD_FROZEN: &str = "select frozen from installation for update";

const EXCUSE_RECEIPTS: &str =
    "update unknown_receipt set excused_msat = paid_msat where node_id = $1";

const PAYMENT_CURSOR: &str = "select payment_index from node_cursor where node_id = $1";

/// It may go back: a person has accepted a restored node.
const MOVE_PAYMENT_CURSOR: &str = "
    insert into node_cursor (node_id, payment_index) values ($1, $2)
    on conflict (node_id) do update set payment_index = excluded.payment_index";

/// Hashes that are with the node now: nearly all, and no payment has to be read for them.
const WITH_NODE: &str = "
    select outgoing_hash.hash
    from unnest($1::bytea[]) as asked (hash), lateral (
        select hash, node_id from outgoing_hash where outgoing_hash.hash = asked.hash
        offset 0
    ) as outgoing_hash
    where outgoing_hash.node_id = $2";

/// Payments that failed on some node: the hash may be on its next node by now, or with none.
const FAILED: &str = "
    select asked.hash, payment.body
    from unnest($1::bytea[]) as asked (hash), lateral (
        select body from payment where payment.failed_hash = asked.hash
        offset 0
    ) as payment";

/// So many at once: a database that has lost much would not take all of them within the time of one statement.
const FOREIGN_MAX: usize = 4_096;

const RECORD_FOREIGN: &str = "
    insert into foreign_payment (hash, node_id, lost)
    select hash, $2, $3 from unnest($1::bytea[]) as paid (hash)
    on conflict do nothing";

const LOST: &str = "select hash from foreign_payment where node_id = $1 and lost order by hash";

const SIGHTINGS: &str = "
    select org_id, payment_id, hash, excused from sighting where node_id = $1
    order by org_id, payment_id";

const CHANGE_SIGHTINGS: &str = "
    with dropped as (
        delete from sighting where ctid = any (array(
            select known.ctid
            from unnest($5::uuid[], $6::uuid[], $7::uuid[]) as gone (node_id, org_id, payment_id),
                lateral (
                    select sighting.ctid from sighting
                    where sighting.node_id = gone.node_id
                        and sighting.org_id = gone.org_id
                        and sighting.payment_id = gone.payment_id
                    offset 0
                ) as known))
    )
    insert into sighting (node_id, org_id, payment_id, hash)
    select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[])
    on conflict do nothing";

/// What is there already is marked by the first part.
const EXCUSE_SIGHTINGS: &str = "
    with marked as (update sighting set excused = true where node_id = $5)
    insert into sighting (node_id, org_id, payment_id, hash, excused)
    select shown.*, true
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[]) as shown
    on conflict do nothing";

#[async_trait]
impl Guard for Postgres {
    async fn generation(&self) -> Result<Generation, StoreError> {
        // The first who asks puts it on record.
        let first =
            format!("update installation set generation = {FOUND} where generation is null");
        self.write(&first, &[]).await?;
        let both = format!("select generation, {FOUND} from installation");
        let rows = self.read(&both, &[]).await?;
        let row = rows.first().ok_or_else(no_installation)?;
        let recorded: String = row.try_get(0).map_err(unavailable)?;
        let found: String = row.try_get(1).map_err(unavailable)?;
        Ok(match recorded == found {
            true => Generation::Same,
            false => Generation::Changed { recorded, found },
        })
    }

    async fn frozen(&self) -> Result<Option<String>, StoreError> {
        frozen(self.read(FROZEN, &[]).await?.first())
    }

    async fn freeze(&self, why: &str) -> Result<(), StoreError> {
        self.write(FREEZE, &[&why]).await?;
        Ok(())
    }

    async fn thaw(&self, accepted: &[Accepted]) -> Result<Option<String>, StoreError> {
        let mut client = self.readers.get().await.map_err(no_connection)?;
        let transaction = client.transaction().await.map_err(unavailable)?;
        let held = transaction.query_opt(HOLD_FROZEN, &[]).await.map_err(unavailable)?;
        let was = frozen(held.as_ref())?;
        if was.is_none() {
            return Ok(None);
        }
        for found in accepted {
            accept(&transaction, found).await.map_err(unavailable)?;
        }
        let thaw = format!("update installation set frozen = null, generation = {FOUND}");
        transaction.execute(&thaw, &[]).await.map_err(unavailable)?;
        transaction.commit().await.map_err(not_committed)?;
        Ok(was)
    }

    async fn payment_cursor(&self, node: NodeId) -> Result<u64, StoreError> {
        let rows = self.read(PAYMENT_CURSOR, &[node.uuid()]).await?;
        let cursor = rows.first().map(|row| row.try_get(0).map(from_signed));
        Ok(cursor.transpose().map_err(unavailable)?.unwrap_or(0))
    }

    async fn move_payment_cursor(&self, node: NodeId, to: u64) -> Result<(), StoreError> {
        self.write(MOVE_PAYMENT_CURSOR, &[node.uuid(), &to_signed(to)]).await?;
        Ok(())
    }

    async fn unknown_payments(
        &self,
        node: NodeId,
        hashes: &[PaymentHash],
    ) -> Result<Vec<PaymentHash>, StoreError> {
        let mut unknown: BTreeSet<PaymentHash> = hashes.iter().copied().collect();
        let asked: Vec<&[u8]> = hashes.iter().map(|hash| &hash.0[..]).collect();
        for row in self.read(WITH_NODE, &[&asked, node.uuid()]).await? {
            unknown.remove(&hash(&row, 0)?);
        }
        if !unknown.is_empty() {
            let left: Vec<&[u8]> = hashes
                .iter()
                .filter(|hash| unknown.contains(*hash))
                .map(|hash| &hash.0[..])
                .collect();
            for row in self.read(FAILED, &[&left]).await? {
                let body = row.try_get(1).map_err(unavailable)?;
                if tried_on(&codec::row_from_bytes(body)?, node) {
                    unknown.remove(&hash(&row, 0)?);
                }
            }
        }
        Ok(hashes.iter().filter(|hash| unknown.contains(*hash)).copied().collect())
    }

    async fn record_foreign(
        &self,
        node: NodeId,
        hashes: &[PaymentHash],
        how: Foreign,
    ) -> Result<(), StoreError> {
        for some in hashes.chunks(FOREIGN_MAX) {
            let paid: Vec<&[u8]> = some.iter().map(|hash| &hash.0[..]).collect();
            self.write(RECORD_FOREIGN, &[&paid, node.uuid(), &(how == Foreign::Lost)]).await?;
        }
        Ok(())
    }

    async fn lost_payments(&self, node: NodeId) -> Result<Vec<PaymentHash>, StoreError> {
        self.read(LOST, &[node.uuid()]).await?.iter().map(|row| hash(row, 0)).collect()
    }

    async fn sightings(&self, node: NodeId) -> Result<Vec<(Sighting, bool)>, StoreError> {
        let rows = self.read(SIGHTINGS, &[node.uuid()]).await?;
        rows.iter().map(|row| sighting(node, row)).collect()
    }

    async fn change_sightings(
        &self,
        added: &[Sighting],
        dropped: &[Sighting],
    ) -> Result<(), StoreError> {
        let (added, dropped) = (Columns::of(added), Columns::of(dropped));
        self.write(
            CHANGE_SIGHTINGS,
            &[
                &added.nodes,
                &added.orgs,
                &added.payments,
                &added.hashes,
                &dropped.nodes,
                &dropped.orgs,
                &dropped.payments,
            ],
        )
        .await?;
        Ok(())
    }

    async fn excuse_sightings(&self, node: NodeId, also: &[Sighting]) -> Result<(), StoreError> {
        let Columns { nodes, orgs, payments, hashes } = Columns::of(also);
        self.write(EXCUSE_SIGHTINGS, &[&nodes, &orgs, &payments, &hashes, node.uuid()]).await?;
        Ok(())
    }
}

fn frozen(installation: Option<&Row>) -> Result<Option<String>, StoreError> {
    installation.ok_or_else(no_installation)?.try_get(0).map_err(unavailable)
}

fn no_installation() -> StoreError {
    StoreError::Corrupt("the installation has no row".to_owned())
}

async fn accept(open: &Transaction<'_>, found: &Accepted) -> Result<(), Error> {
    let node = found.node.uuid();
    if let Some(lost) = &found.lost {
        let Columns { nodes, orgs, payments, hashes } = Columns::of(lost);
        open.execute(EXCUSE_SIGHTINGS, &[&nodes, &orgs, &payments, &hashes, node]).await?;
    }
    open.execute(EXCUSE_RECEIPTS, &[node]).await?;
    if let Some(Paid { unaccounted, cursor }) = &found.paid {
        for some in unaccounted.chunks(FOREIGN_MAX) {
            let paid: Vec<&[u8]> = some.iter().map(|hash| &hash.0[..]).collect();
            open.execute(RECORD_FOREIGN, &[&paid, node, &true]).await?;
        }
        open.execute(MOVE_PAYMENT_CURSOR, &[node, &to_signed(*cursor)]).await?;
    }
    Ok(())
}

struct Columns<'a> {
    nodes: Vec<&'a Uuid>,
    orgs: Vec<&'a Uuid>,
    payments: Vec<&'a Uuid>,
    hashes: Vec<&'a [u8]>,
}

impl Columns<'_> {
    fn of(sightings: &[Sighting]) -> Columns<'_> {
        Columns {
            nodes: sightings.iter().map(|sighting| sighting.node.uuid()).collect(),
            orgs: sightings.iter().map(|sighting| sighting.org.uuid()).collect(),
            payments: sightings.iter().map(|sighting| sighting.payment.uuid()).collect(),
            hashes: sightings.iter().map(|sighting| &sighting.hash.0[..]).collect(),
        }
    }
}

fn sighting(node: NodeId, row: &Row) -> Result<(Sighting, bool), StoreError> {
    let sighting = Sighting {
        node,
        org: OrgId::new(row.try_get(0).map_err(unavailable)?),
        payment: PaymentId::new(row.try_get(1).map_err(unavailable)?),
        hash: hash(row, 2)?,
    };
    Ok((sighting, row.try_get(3).map_err(unavailable)?))
}

fn hash(row: &Row, at: usize) -> Result<PaymentHash, StoreError> {
    let bytes: &[u8] = row.try_get(at).map_err(unavailable)?;
    let wrong = |_| StoreError::Corrupt("a hash of another length".to_owned());
    Ok(PaymentHash(bytes.try_into().map_err(wrong)?))
}
