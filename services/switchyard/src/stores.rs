//! Opening the store, and what may be wrong with it.

use std::sync::Arc;

use bootstrap::{Config, Exit, StoreChoice, files};
use ports::StoreError;
use store::{Postgres, SealKeys, postgres, sqlite};

use crate::failure::{Failure, chain};

pub(crate) const SEAL_KEYS: &str = "SWITCHYARD_SEAL_KEYS";

/// The keys that were given, if any were.
pub(crate) fn given_keys() -> Option<String> {
    std::env::var(SEAL_KEYS).ok()
}

pub(crate) fn name(choice: &StoreChoice) -> &'static str {
    match choice {
        StoreChoice::Sqlite => "sqlite",
        StoreChoice::Postgres(_) => "postgres",
    }
}

/// A database elsewhere is sealed with the keys given, or with those of the data folder, which are
/// made for a database that has none yet.
pub(crate) async fn connect(config: &Config, url: &str) -> Result<Arc<Postgres>, Failure> {
    if let Some(keys) = given_keys() {
        return Ok(Postgres::connect(url, Some(&keys), config.lease_ms).await?);
    }
    let file = config.data.join(store::seal::KEYS_FILE);
    let made = !file.exists();
    SealKeys::find(None, &config.data, made).map_err(|error| sealed(&error))?;
    let keys = files::read_secret(&file)?;
    let connected = Postgres::connect(url, Some(&keys), config.lease_ms).await;
    if made && matches!(connected, Err(postgres::OpenError::Seal(_))) {
        // The database was sealed with another key: one that never sealed must not lie about.
        files::remove(&file)?;
    }
    Ok(connected?)
}

/// The database that the pods of a cluster share. Its keys are given: those of one pod's folder would be
/// no use to the others.
pub(crate) async fn shared(config: &Config) -> Result<Arc<Postgres>, Failure> {
    let StoreChoice::Postgres(url) = &config.store else {
        let message = "the pods of a cluster share a database: give --store postgres://…, \
                       or SWITCHYARD_STORE";
        return Err(Failure::invalid(message));
    };
    Ok(Postgres::connect(url, given_keys().as_deref(), config.lease_ms).await?)
}

fn sealed(error: &store::SealError) -> Failure {
    let message = format!("{}; the keys are in {SEAL_KEYS}, or in seal.keys", chain(error));
    Failure::new(Exit::Invalid, "seal_keys_invalid", message)
}

impl From<sqlite::OpenError> for Failure {
    fn from(error: sqlite::OpenError) -> Failure {
        let message = chain(&error);
        match error {
            sqlite::OpenError::InUse(_) => {
                Failure::new(Exit::AlreadyRunning, "already_running", message)
            }
            sqlite::OpenError::Seal(error) => sealed(&error),
            sqlite::OpenError::NewerSchema { .. } => {
                Failure::new(Exit::Invalid, "store_newer", message)
            }
            sqlite::OpenError::Store(StoreError::Corrupt(_)) => {
                let message = format!("{message}; put a copy of the data folder back");
                Failure::new(Exit::Bug, "store_corrupt", message)
            }
            sqlite::OpenError::Store(error) => {
                Failure::new(error.class().into(), "store_unusable", message)
            }
            sqlite::OpenError::Folder(_)
            | sqlite::OpenError::NoWriteAheadLog(_)
            | sqlite::OpenError::Sql(_) => {
                Failure::new(Exit::Unavailable, "store_unusable", message)
            }
        }
    }
}

impl From<postgres::OpenError> for Failure {
    fn from(error: postgres::OpenError) -> Failure {
        let message = chain(&error);
        match error {
            postgres::OpenError::BadUrl(_) => Failure::invalid(message),
            postgres::OpenError::Seal(error) => sealed(&error),
            postgres::OpenError::NewerSchema { .. } => {
                Failure::new(Exit::Invalid, "store_newer", message)
            }
            postgres::OpenError::Store(error) => {
                Failure::new(error.class().into(), "store_unusable", message)
            }
        }
    }
}
