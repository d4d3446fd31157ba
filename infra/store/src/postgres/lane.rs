//! One connection that writes the journal, and its COMMIT.

use std::sync::{Mutex, PoisonError};

use tokio::sync::MutexGuard;
use tokio_postgres::{Client, Config};

use super::{
    session::{self, cause, is_refusal},
    statements::Statements,
};

/// Where transactions of one half of the organisations are written, one at a time.
pub(super) struct Lane {
    config: Mutex<Config>,
    connection: tokio::sync::Mutex<Option<Connection>>,
}

pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) statements: Statements,
}

/// The lane for the time of one transaction. A transaction that is dropped half way takes its
/// connection with it, and with that its locks.
pub(super) struct Turn<'a> {
    slot: MutexGuard<'a, Option<Connection>>,
}

impl Lane {
    pub(super) fn new(config: Config) -> Lane {
        Lane { config: Mutex::new(config), connection: tokio::sync::Mutex::default() }
    }

    /// Waits for the transaction before, and connects if that has lost the connection.
    pub(super) async fn turn(&self) -> Result<(Turn<'_>, Connection), tokio_postgres::Error> {
        let mut slot = self.connection.lock().await;
        let connection = match slot.take().filter(|connection| !connection.client.is_closed()) {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok((Turn { slot }, connection))
    }

    /// Connects anew under a name by which the server can tell whose connection it is.
    pub(super) async fn rename(&self, name: &str) -> Result<(), tokio_postgres::Error> {
        let mut slot = self.connection.lock().await;
        *slot = None;
        self.config.lock().unwrap_or_else(PoisonError::into_inner).application_name(name);
        *slot = Some(self.connect().await?);
        Ok(())
    }

    async fn connect(&self) -> Result<Connection, tokio_postgres::Error> {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let client = session::connect(&config).await?;
        let statements = Statements::prepare(&client).await?;
        Ok(Connection { client, statements })
    }
}

impl Turn<'_> {
    /// Gives the connection back for the next transaction.
    pub(super) fn end(mut self, connection: Connection) {
        *self.slot = Some(connection);
    }

    /// Rolls back and gives the connection back, unless it is lost.
    pub(super) async fn roll_back(self, connection: Connection) {
        if connection.client.batch_execute("rollback").await.is_ok() {
            self.end(connection);
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The server said so, over a connection that goes on.
    #[error("the server rolled back: {0}")]
    RolledBack(String),
    #[error("the connection was lost: {0}")]
    Lost(String),
}

/// Commits, and believes it only of a transaction that was whole until then.
///
/// In a transaction that has failed COMMIT is answered like any other, but with the tag ROLLBACK,
/// which the client library does not show. So a SELECT goes before it in the same message: there it
/// fails, and the server does not read on.
pub async fn commit(client: &Client) -> Result<(), CommitError> {
    match client.batch_execute("select; commit").await {
        Ok(()) => Ok(()),
        Err(error) if is_refusal(&error) => Err(CommitError::RolledBack(cause(&error))),
        Err(error) => Err(CommitError::Lost(cause(&error))),
    }
}
