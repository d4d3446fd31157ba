//! What a payment costs in PostgreSQL: statements, transactions, rows, indexes and write-ahead log.
//!
//! Everything is read before a load and after it, and divided by the payments that are in the database
//! by then and were not before, those of the warm-up among them.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::Serialize;
use tests::postgres::Postgres;
use tokio_postgres::{Client, NoTls};

use crate::Outcome;

/// A connection tells the server what it has counted after ten idle seconds at the latest.
const COUNTED_WITHIN: Duration = Duration::from_secs(11);

/// Of a table, to know how wide its rows are.
const ROWS_LOOKED_AT: u32 = 10_000;

/// A table with fewer rows written than this for each payment is not a payment's.
const TOUCHED_AT_LEAST: f64 = 0.001;

/// Counting statements is off in every database that does not ask for it, so that the yardsticks of the same
/// server do not pay for it.
const EXTENSION: &str = "pg_stat_statements";

/// Has the server count statements, where its packages can. It is restarted for that.
pub(crate) fn can_count_statements(postgres: &Postgres) -> Outcome<()> {
    let there = format!("select count(*) from pg_available_extensions where name = '{EXTENSION}'");
    if ask(postgres, &there)? != "1" {
        return Ok(());
    }
    ask(postgres, &format!("alter system set shared_preload_libraries = '{EXTENSION}'"))?;
    postgres.restart();
    // The server knows the setting only now.
    ask(postgres, &format!("alter system set {EXTENSION}.track = 'none'"))?;
    ask(postgres, "select pg_reload_conf()")?;
    ask(postgres, &format!("create extension {EXTENSION}"))?;
    Ok(())
}

/// A new database whose statements are counted, if they can be; answers with its address.
pub(crate) fn counted(postgres: &Postgres) -> Outcome<String> {
    let name = postgres.new_database();
    // Without the extension the setting has no meaning and does no harm.
    ask(postgres, &format!("alter database {name} set {EXTENSION}.track = 'top'"))?;
    Ok(postgres.url_to(&name))
}

fn ask(postgres: &Postgres, sql: &str) -> Outcome<String> {
    let mut psql = postgres.client("psql");
    let output = psql.args(["-X", "-q", "-A", "-t", "-d", "postgres", "-c", sql]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Reads what the server has counted.
pub(crate) struct Counts {
    client: Client,
    /// Where the extension is, which is not where payments are.
    everywhere: Client,
    before: Reading,
}

impl Counts {
    /// What has been done until now does not count.
    pub(crate) async fn begin(postgres: &Postgres, url: &str) -> Outcome<Counts> {
        let (client, everywhere) = (connect(url).await?, connect(&postgres.url()).await?);
        let before = Reading::take(&client, &everywhere).await?;
        Ok(Counts { client, everywhere, before })
    }

    pub(crate) async fn end(self) -> Outcome<Cost> {
        let after = Reading::take(&self.client, &self.everywhere).await?;
        let payments = (after.payments - self.before.payments).max(1);
        let each = |after: i64, before: i64| (after - before) as f64 / payments as f64;
        let mut tables = Vec::new();
        for table in &after.tables {
            let before = self.before.tables.iter().find(|before| before.name == table.name);
            let before = before.cloned().unwrap_or_default();
            let cost = TableCost {
                name: table.name.clone(),
                inserted: each(table.inserted, before.inserted),
                updated: each(table.updated, before.updated),
                updated_in_place: each(table.in_place, before.in_place),
                deleted: each(table.deleted, before.deleted),
                indexes: table.indexes,
                row_bytes: self.row_bytes(&table.name).await?,
                heap_bytes: each(table.heap_bytes, before.heap_bytes),
                index_bytes: each(table.index_bytes, before.index_bytes),
            };
            if cost.inserted + cost.updated + cost.deleted >= TOUCHED_AT_LEAST {
                tables.push(cost);
            }
        }
        let statements = after.statements.zip(self.before.statements);
        Ok(Cost {
            payments,
            statements: statements.map(|(after, before)| each(after, before)),
            transactions: each(after.transactions, self.before.transactions),
            wal_bytes: each(after.wal_bytes, self.before.wal_bytes),
            wal_records: each(after.wal_records, self.before.wal_records),
            wal_whole_pages: each(after.wal_whole_pages, self.before.wal_whole_pages),
            indexes: tables.iter().map(|table| table.indexes).sum(),
            tables,
        })
    }

    /// The mean as rows are stored, without their header.
    async fn row_bytes(&self, table: &str) -> Outcome<f64> {
        let sql = format!(
            "select coalesce(avg(pg_column_size(part)), 0)::float8
             from (select * from \"{table}\" limit {ROWS_LOOKED_AT}) part"
        );
        Ok(self.client.query_one(&sql, &[]).await?.try_get(0)?)
    }
}

async fn connect(url: &str) -> Outcome<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A look at the payments themselves.
pub(crate) struct Payments(Client);

impl Payments {
    pub(crate) async fn of(url: &str) -> Outcome<Payments> {
        Ok(Payments(connect(url).await?))
    }

    /// What they have moved: two entries of the ledger for each that was paid.
    pub(crate) async fn entries(&self) -> Outcome<i64> {
        number(&self.0, "select count(*) from ledger").await
    }

    /// Puts all payments of the last day on record once more, a day before the oldest there are, each under
    /// an id and a hash that nobody has.
    pub(crate) async fn repeat_them_a_day_earlier(&self) -> Outcome<()> {
        Ok(self.0.batch_execute(REPEATED_A_DAY_EARLIER).await?)
    }

    /// Does now what the server would otherwise do about much that is new while something is measured.
    pub(crate) async fn settle(&self) -> Outcome<()> {
        Ok(self.0.batch_execute("vacuum (analyze)").await?)
    }

    /// Those that have not ended.
    pub(crate) async fn open(&self) -> Outcome<i64> {
        number(&self.0, "select count(*) from payment where open").await
    }
}

/// Positions before the first are not anybody's.
const REPEATED_A_DAY_EARLIER: &str = "
    begin;
    create temporary table shift on commit drop as
        select 86400000 * days as ms, 10000000 * days as places, newest - 86400000 as since
        from (
            select max(created_at_ms) as newest,
                1 + (max(created_at_ms) - min(created_at_ms)) / 86400000 as days
            from payment
        ) as span;
    insert into journal (org_id, seq, at_ms, payment_id, body)
        select org_id, seq - places, at_ms - ms, payment_id, body from journal, shift where seq > 0;
    insert into ledger (org_id, wallet_id, seq)
        select org_id, wallet_id, seq - places from ledger, shift where seq > 0;
    insert into outgoing_hash (hash, org_id, payment_id)
        select sha256(uuid_send(gen_random_uuid())), org_id, gen_random_uuid()
        from payment, shift where created_at_ms > since;
    insert into payment (org_id, payment_id, created_at_ms, open, failed_hash, body, environment_id,
            wallet_id, direction, status, updated_at_ms, updated_seq, seqs, metadata)
        select org_id, gen_random_uuid(), created_at_ms - ms, false, failed_hash, body,
            environment_id, wallet_id, direction, status, updated_at_ms - ms, updated_seq - places,
            seqs, metadata
        from payment, shift where created_at_ms > since and not open;
    commit;";

struct Reading {
    payments: i64,
    statements: Option<i64>,
    transactions: i64,
    wal_bytes: i64,
    wal_records: i64,
    wal_whole_pages: i64,
    tables: Vec<Table>,
}

#[derive(Clone, Default)]
struct Table {
    name: String,
    inserted: i64,
    updated: i64,
    in_place: i64,
    deleted: i64,
    indexes: i64,
    heap_bytes: i64,
    index_bytes: i64,
}

impl Reading {
    async fn take(client: &Client, everywhere: &Client) -> Outcome<Reading> {
        tokio::time::sleep(COUNTED_WITHIN).await;
        let wal = "select wal_bytes::int8, wal_records, wal_fpi from pg_stat_wal";
        let wal = client.query_one(wal, &[]).await?;
        Ok(Reading {
            payments: number(client, "select count(*) from payment").await?,
            statements: statements(client, everywhere).await?,
            transactions: number(client, TRANSACTIONS).await?,
            wal_bytes: wal.try_get(0)?,
            wal_records: wal.try_get(1)?,
            wal_whole_pages: wal.try_get(2)?,
            tables: tables(client).await?,
        })
    }
}

const TRANSACTIONS: &str = "
    select xact_commit + xact_rollback from pg_stat_database where datname = current_database()";

async fn number(client: &Client, sql: &str) -> Outcome<i64> {
    Ok(client.query_one(sql, &[]).await?.try_get(0)?)
}

/// None where the server cannot count them.
async fn statements(client: &Client, everywhere: &Client) -> Outcome<Option<i64>> {
    let there = format!("select count(*) from pg_extension where extname = '{EXTENSION}'");
    if number(everywhere, &there).await? == 0 {
        return Ok(None);
    }
    let here = client.query_one("select current_database()::text", &[]).await?;
    let here: String = here.try_get(0)?;
    let sql = format!(
        "select coalesce(sum(calls), 0)::int8 from {EXTENSION}
         where dbid = (select oid from pg_database where datname = $1)"
    );
    Ok(Some(everywhere.query_one(&sql, &[&here]).await?.try_get(0)?))
}

async fn tables(client: &Client) -> Outcome<Vec<Table>> {
    let sql = "
        select relname::text, n_tup_ins, n_tup_upd, n_tup_hot_upd, n_tup_del,
               (select count(*) from pg_index where indrelid = relid),
               pg_table_size(relid), pg_indexes_size(relid)
        from pg_stat_user_tables order by relname";
    let mut tables = Vec::new();
    for row in client.query(sql, &[]).await? {
        tables.push(Table {
            name: row.try_get(0)?,
            inserted: row.try_get(1)?,
            updated: row.try_get(2)?,
            in_place: row.try_get(3)?,
            deleted: row.try_get(4)?,
            indexes: row.try_get(5)?,
            heap_bytes: row.try_get(6)?,
            index_bytes: row.try_get(7)?,
        });
    }
    Ok(tables)
}

/// Of one payment.
#[derive(Serialize)]
pub(crate) struct Cost {
    /// That everything was divided by.
    payments: i64,
    /// BEGIN and COMMIT among them.
    statements: Option<f64>,
    transactions: f64,
    wal_bytes: f64,
    wal_records: f64,
    /// Of the records: images of pages that were written for the first time since a checkpoint.
    wal_whole_pages: f64,
    /// Of all the tables below.
    indexes: i64,
    tables: Vec<TableCost>,
}

/// Rows written for one payment, and what the table is.
#[derive(Serialize)]
struct TableCost {
    name: String,
    inserted: f64,
    updated: f64,
    /// Without touching an index.
    updated_in_place: f64,
    deleted: f64,
    indexes: i64,
    row_bytes: f64,
    /// By how much it grows.
    heap_bytes: f64,
    index_bytes: f64,
}

impl Display for Cost {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Cost { statements, transactions, wal_bytes, wal_records, wal_whole_pages, .. } = self;
        let statements = match statements {
            Some(statements) => format!("{statements:.3} statements"),
            None => "statements not counted (no pg_stat_statements)".to_owned(),
        };
        writeln!(
            out,
            "a payment in the database: {statements}, {transactions:.3} transactions, \
             WAL {wal_bytes:.0} B in {wal_records:.1} records, {wal_whole_pages:.2} whole pages; \
             {} indexes",
            self.indexes,
        )?;
        for table in &self.tables {
            let TableCost { name, inserted, updated, updated_in_place, deleted, .. } = table;
            let TableCost { indexes, row_bytes, heap_bytes, index_bytes, .. } = table;
            writeln!(
                out,
                "  {name:15} {inserted:6.3} inserted {updated:6.3} updated \
                 ({updated_in_place:6.3} in place) {deleted:6.3} deleted, {indexes} indexes, \
                 row {row_bytes:4.0} B, grows {heap_bytes:4.0} + {index_bytes:4.0} B",
            )?;
        }
        Ok(())
    }
}
