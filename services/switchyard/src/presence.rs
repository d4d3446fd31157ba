//! What a running process shows of itself, and puts down in order when it stops: its ready files, the
//! listener for whoever watches, log and traces.

use std::{path::PathBuf, sync::Arc};

use bootstrap::{
    Config, Telemetry,
    files::{self, FolderLock},
    watch::{Watched, Watching},
};
use serde::Serialize;
use tokio::net::TcpListener;

use crate::{failure::Failure, ready};

pub(crate) struct Presence {
    ready_files: Vec<PathBuf>,
    /// Until everything else has stopped.
    watching: Option<Watching>,
    telemetry: Telemetry,
    _lock: FolderLock,
}

impl Presence {
    /// From now on it can be watched; it is not ready yet.
    pub(crate) fn begin(
        config: &Config,
        lock: FolderLock,
        metrics: Option<TcpListener>,
        telemetry: Telemetry,
    ) -> Result<Presence, Failure> {
        // The lock is ours: a ready file can only be of an earlier life.
        let ready_files = ready_files(config);
        ready_files.iter().try_for_each(|file| files::remove(file))?;
        let watching = match (metrics, telemetry.metrics.clone()) {
            (Some(listener), Some(metrics)) => Some(Watching::begin(listener, metrics)),
            (None, _) | (_, None) => None,
        };
        Ok(Presence { ready_files, watching, telemetry, _lock: lock })
    }

    /// It serves: says how it is to whoever watches, and then where in the ready files, so that who has read one
    /// finds it ready.
    pub(crate) fn serves<T: Serialize>(
        &self,
        ready: &T,
        watched: Arc<dyn Watched>,
    ) -> Result<(), Failure> {
        if let Some(watching) = &self.watching {
            watching.of(watched);
        }
        self.ready_files.iter().try_for_each(|file| ready::write(file, ready))
    }

    /// No more requests should come here.
    pub(crate) fn is_stopping(&self) -> Result<(), Failure> {
        self.ready_files.iter().try_for_each(|file| files::remove(file))?;
        if let Some(watching) = &self.watching {
            watching.is_stopping();
        }
        Ok(())
    }

    pub(crate) async fn end(self) {
        if let Some(watching) = self.watching {
            watching.end().await;
        }
        self.telemetry.end().await;
    }
}

/// In the data folder, where every command looks, and where else it was asked for.
fn ready_files(config: &Config) -> Vec<PathBuf> {
    let own = config.data.join(ready::FILE);
    let asked = std::path::absolute(&config.ready_file).unwrap_or(config.ready_file.clone());
    if asked == own { vec![own] } else { vec![own, asked] }
}
