//! Transactions, and what an error in one of them means.

use domain::{Timestamp, id::Id};
use ports::{
    StoreError,
    journal::{AppendError, LoadError},
};
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use uuid::Uuid;

#[derive(Debug)]
pub(super) enum SqlError {
    /// Before COMMIT: certainly not done.
    Statement(rusqlite::Error),
    Commit(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> SqlError {
        SqlError::Statement(error)
    }
}

impl From<StoreError> for SqlError {
    fn from(error: StoreError) -> SqlError {
        SqlError::Store(error)
    }
}

impl From<SqlError> for StoreError {
    fn from(error: SqlError) -> StoreError {
        match error {
            SqlError::Statement(error) => {
                corrupt(&error).unwrap_or_else(|| StoreError::Unavailable(error.to_string()))
            }
            SqlError::Commit(error) if is_busy(&error) => {
                StoreError::Unavailable(error.to_string())
            }
            SqlError::Commit(error) => StoreError::Unknown(error.to_string()),
            SqlError::Store(error) => error,
        }
    }
}

impl From<SqlError> for LoadError {
    fn from(error: SqlError) -> LoadError {
        LoadError::Store(error.into())
    }
}

impl From<SqlError> for AppendError {
    fn from(error: SqlError) -> AppendError {
        match StoreError::from(error) {
            StoreError::Unknown(why) => AppendError::Unknown(why),
            error @ (StoreError::Unavailable(_)
            | StoreError::Corrupt(_)
            | StoreError::AlreadyThere) => AppendError::Aborted(error.to_string()),
        }
    }
}

/// The file is damaged or no database at all, or a value is not of its column: no repeat finds it better.
pub(super) fn corrupt(error: &rusqlite::Error) -> Option<StoreError> {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };

    let damaged = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    );
    let other = matches!(
        error,
        FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | Utf8Error(..)
    );
    (damaged || other).then(|| StoreError::Corrupt(error.to_string()))
}

/// Another connection held a lock, so nothing was written. After any other error of COMMIT, the
/// frames of the transaction may already lie in the write-ahead log.
fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Commits what `work` writes, or nothing of it.
pub(super) fn write<T, E: From<SqlError>>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let open = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(SqlError::Statement)?;
    let done = work(&open)?;
    open.commit().map_err(SqlError::Commit)?;
    Ok(done)
}

/// Reads as of one instant.
pub(super) fn read<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    let open = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
    work(&open)
}

pub(super) fn bytes<Kind>(id: &Id<Kind>) -> &[u8; 16] {
    id.uuid().as_bytes()
}

pub(super) fn id<Kind>(bytes: [u8; 16]) -> Id<Kind> {
    Id::new(Uuid::from_bytes(bytes))
}

pub(super) fn instant(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}
