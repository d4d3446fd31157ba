//! The schema: forward only, one process at a time.

use ports::StoreError;
use tokio_postgres::{Client, Config};

use super::{
    OpenError, backfill,
    session::{self, cause, unavailable},
};
use crate::seal::{Place, SealKeys, Sealed};

/// Each once, in this order, for ever; the number of a migration is its place from 1.
const MIGRATIONS: [&str; 13] = [
    include_str!("../../migrations/postgres/0001_begin.sql"),
    include_str!("../../migrations/postgres/0002_sighting.sql"),
    include_str!("../../migrations/postgres/0003_foreign.sql"),
    include_str!("../../migrations/postgres/0004_bytes.sql"),
    include_str!("../../migrations/postgres/0005_lists.sql"),
    include_str!("../../migrations/postgres/0006_keys.sql"),
    include_str!("../../migrations/postgres/0007_shards.sql"),
    include_str!("../../migrations/postgres/0008_unknown_receipt.sql"),
    include_str!("../../migrations/postgres/0009_lost_payment.sql"),
    include_str!("../../migrations/postgres/0010_revision.sql"),
    include_str!("../../migrations/postgres/0011_runner.sql"),
    include_str!("../../migrations/postgres/0012_open_payment.sql"),
    include_str!("../../migrations/postgres/0013_ended_payments.sql"),
];

/// Any number that nobody else in the database locks.
const LOCK: i64 = 0x5377_6974_6368;

const VERSION_TABLE: &str = "
    create table if not exists schema_version (
        version int primary key,
        applied_at timestamptz not null default now()
    )";

/// Waits for whoever is at it, and then does what is left to do.
pub(super) async fn migrate(config: &Config) -> Result<(), OpenError> {
    let mut client = session::connect(config).await.map_err(unavailable)?;
    // A migration takes as long as it takes, and waits for those of other processes. The lock goes
    // with the connection.
    let patience = "set statement_timeout = 0; set lock_timeout = 0";
    client.batch_execute(patience).await.map_err(unavailable)?;
    client.execute("select pg_advisory_lock($1)", &[&LOCK]).await.map_err(unavailable)?;
    client.batch_execute(VERSION_TABLE).await.map_err(unavailable)?;
    let known = i32::try_from(MIGRATIONS.len()).expect("a few migrations");
    let found = version(&client).await.map_err(unavailable)?;
    if found > known {
        return Err(OpenError::NewerSchema { found, known });
    }
    for (version, statements) in (1..).zip(MIGRATIONS) {
        if version > found {
            apply(&mut client, version, statements).await.map_err(|error| {
                StoreError::Unavailable(format!("migration {version}: {}", cause(&error)))
            })?;
        }
    }
    backfill::lists(&mut client).await?;
    Ok(())
}

async fn version(client: &Client) -> Result<i32, tokio_postgres::Error> {
    let newest = "select coalesce(max(version), 0) from schema_version";
    client.query_one(newest, &[]).await?.try_get(0)
}

async fn apply(
    client: &mut Client,
    version: i32,
    statements: &str,
) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(statements).await?;
    transaction.execute("insert into schema_version (version) values ($1)", &[&version]).await?;
    transaction.commit().await
}

/// Refuses to start without a key that a row needs: a wrong key would only show when a payment needs
/// it (`money-safety` rule 31). Records the key that seals from now on.
pub(super) async fn check_keys(config: &Config, keys: &SealKeys) -> Result<(), OpenError> {
    let client = session::connect(config).await.map_err(unavailable)?;
    open_proofs(&client, keys).await?;
    let id = keys.sealing_id();
    let proof = keys.seal(Place::Key(id), b"")?;
    let first_use = "insert into seal_key (key_id, proof) values ($1, $2) on conflict do nothing";
    client.execute(first_use, &[&id, &proof.bytes]).await.map_err(unavailable)?;
    // Another process may have been first, with another key under the same name.
    open_proofs(&client, keys).await
}

async fn open_proofs(client: &Client, keys: &SealKeys) -> Result<(), OpenError> {
    let used = "select key_id, proof from seal_key order by key_id";
    for row in client.query(used, &[]).await.map_err(unavailable)? {
        let id: String = row.try_get(0).map_err(unavailable)?;
        let proof = Sealed { key_id: id.clone(), bytes: row.try_get(1).map_err(unavailable)? };
        if let Err(error) = keys.open(Place::Key(&id), &proof) {
            if id == keys.sealing_id() || seals(client, &id).await.map_err(unavailable)? {
                return Err(error.into());
            }
            let retire = "delete from seal_key where key_id = $1";
            client.execute(retire, &[&id]).await.map_err(unavailable)?;
        }
    }
    Ok(())
}

/// Walks through every row; only asked about a key that is missing or another.
async fn seals(client: &Client, id: &str) -> Result<bool, tokio_postgres::Error> {
    let any = "select exists (select from node where seal_key_id = $1)
                   or exists (select from incoming_hash where seal_key_id = $1)";
    client.query_one(any, &[&id]).await?.try_get(0)
}
