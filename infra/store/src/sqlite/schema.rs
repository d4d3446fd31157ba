//! The schema: forward only. A database that a later version has changed is not touched.

use rusqlite::{Connection, OpenFlags};

use super::OpenError;

pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_first.sql"),
    include_str!("../../migrations/sqlite/0002_sighting.sql"),
    include_str!("../../migrations/sqlite/0003_foreign.sql"),
    include_str!("../../migrations/sqlite/0004_bytes.sql"),
    include_str!("../../migrations/sqlite/0005_lists.sql"),
    include_str!("../../migrations/sqlite/0006_keys.sql"),
    include_str!("../../migrations/sqlite/0007_unknown_receipt.sql"),
    include_str!("../../migrations/sqlite/0008_lost_payment.sql"),
    include_str!("../../migrations/sqlite/0009_revision.sql"),
    include_str!("../../migrations/sqlite/0010_runner.sql"),
];

/// A commit must be on disk when it is acknowledged. The log is carried into the database when it
/// has grown to 32 MiB: often enough that one such pause stays short, seldom enough that pages
/// which are written again and again are carried once.
const WRITER: &str = "
    pragma journal_mode = wal;
    pragma synchronous = full;
    pragma foreign_keys = on;
    pragma busy_timeout = 2000;
    pragma cache_size = -131072;
    pragma wal_autocheckpoint = 8192;
    pragma temp_store = memory;
";

const READER: &str = "
    pragma busy_timeout = 2000;
    pragma cache_size = -16384;
    pragma temp_store = memory;
";

/// More than there are statements: none is ever prepared twice.
const STATEMENTS: usize = 128;

pub(super) fn open_writer(path: &std::path::Path) -> Result<Connection, OpenError> {
    let mut connection = Connection::open(path)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.execute_batch(WRITER)?;
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        return Err(OpenError::NoWriteAheadLog(mode));
    }
    migrate(&mut connection)?;
    Ok(connection)
}

pub(super) fn open_reader(path: &std::path::Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.execute_batch(READER)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = MIGRATIONS.len();
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    if done > known {
        return Err(OpenError::NewerSchema { found, known });
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        let open = connection.transaction()?;
        open.execute_batch(migration)?;
        let version = i64::try_from(index + 1).expect("there are few migrations");
        open.pragma_update(None, "user_version", version)?;
        open.commit()?;
    }
    Ok(())
}
