use async_trait::async_trait;
use domain::{NodeId, PaymentHash};
use ports::{Guard, StoreError, guard::Generation};

use super::{Postgres, session::unavailable};
use crate::{
    codec,
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

const THAW: &str = "update installation set frozen = null";

const PAYMENT_CURSOR: &str = "select payment_index from node_cursor where node_id = $1";

/// It may go back: a person has accepted a restored node.
const MOVE_PAYMENT_CURSOR: &str = "
    insert into node_cursor (node_id, payment_index) values ($1, $2)
    on conflict (node_id) do update set payment_index = excluded.payment_index";

/// Payments that hold one of the hashes, or held it and failed on some node.
const TRIED: &str = "
    select asked.hash, payment.body
    from unnest($1::bytea[]) as asked (hash)
    join outgoing_hash on outgoing_hash.hash = asked.hash
    join payment
        on payment.org_id = outgoing_hash.org_id
        and payment.payment_id = outgoing_hash.payment_id
    union all
    select asked.hash, payment.body
    from unnest($1::bytea[]) as asked (hash)
    join payment on payment.failed_hash = asked.hash";

#[async_trait]
impl Guard for Postgres {
    async fn generation(&self) -> Result<Generation, StoreError> {
        // The first who asks puts it on record.
        let first =
            format!("update installation set generation = {FOUND} where generation is null");
        self.write(&first, &[]).await?;
        let both = format!("select generation, {FOUND} from installation");
        let rows = self.read(&both, &[]).await?;
        let none = || StoreError::Corrupt("the installation has no row".to_owned());
        let row = rows.first().ok_or_else(none)?;
        let recorded: String = row.try_get(0).map_err(unavailable)?;
        let found: String = row.try_get(1).map_err(unavailable)?;
        Ok(match recorded == found {
            true => Generation::Same,
            false => Generation::Changed { recorded, found },
        })
    }

    async fn accept_generation(&self) -> Result<(), StoreError> {
        let accept = format!("update installation set generation = {FOUND}");
        self.write(&accept, &[]).await?;
        Ok(())
    }

    async fn frozen(&self) -> Result<Option<String>, StoreError> {
        let rows = self.read(FROZEN, &[]).await?;
        let none = || StoreError::Corrupt("the installation has no row".to_owned());
        rows.first().ok_or_else(none)?.try_get(0).map_err(unavailable)
    }

    async fn freeze(&self, why: &str) -> Result<(), StoreError> {
        self.write(FREEZE, &[&why]).await?;
        Ok(())
    }

    async fn thaw(&self) -> Result<(), StoreError> {
        self.write(THAW, &[]).await?;
        Ok(())
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
        let asked: Vec<&[u8]> = hashes.iter().map(|hash| &hash.0[..]).collect();
        let mut known: Vec<Vec<u8>> = Vec::new();
        for row in self.read(TRIED, &[&asked]).await? {
            let body = row.try_get(1).map_err(unavailable)?;
            if tried_on(&codec::row_from_text(body)?, node) {
                known.push(row.try_get(0).map_err(unavailable)?);
            }
        }
        let unknown = hashes.iter().filter(|hash| !known.iter().any(|known| *known == hash.0));
        Ok(unknown.copied().collect())
    }
}
