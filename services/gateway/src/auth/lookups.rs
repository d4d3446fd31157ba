//! Looks keys up, many at a time: what gathers while one look-up runs is asked together. A key's callers all
//! need it anew at the same moment, and there may be thousands of them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use ports::{Directory, StoreError, directory::KeyRecord};
use tokio::sync::{mpsc, oneshot};

use crate::limits;

type Found = Result<Option<Arc<KeyRecord>>, StoreError>;
type Asked = ([u8; 32], oneshot::Sender<Found>);

pub(super) struct KeyLookUps {
    asked: mpsc::Sender<Asked>,
}

impl KeyLookUps {
    pub(super) fn start(directory: Arc<dyn Directory>) -> KeyLookUps {
        let (asked, digests) = mpsc::channel(limits::KEYS_ASKED_FOR_MAX);
        tokio::spawn(look_up(directory, digests));
        KeyLookUps { asked }
    }

    pub(super) async fn ask(&self, digest: [u8; 32]) -> Found {
        let (reply, found) = oneshot::channel();
        self.asked
            .try_send((digest, reply))
            .map_err(|_| StoreError::Unavailable("too many keys are looked up".to_owned()))?;
        let gone = |_| StoreError::Unavailable("stopping".to_owned());
        found.await.map_err(gone)?
    }
}

/// Ends with whoever asks.
async fn look_up(directory: Arc<dyn Directory>, mut digests: mpsc::Receiver<Asked>) {
    let mut asked = Vec::new();
    while digests.recv_many(&mut asked, limits::KEYS_LOOKED_UP_AT_ONCE).await > 0 {
        let once: BTreeSet<_> = asked.iter().map(|(digest, _)| *digest).collect();
        let found = directory.keys_of(&Vec::from_iter(once)).await.map(|found| {
            found.into_iter().map(|key| (key.digest, Arc::new(key))).collect::<HashMap<_, _>>()
        });
        for (digest, reply) in asked.drain(..) {
            let found = found.as_ref().map(|found| found.get(&digest).cloned());
            // The caller may have hung up.
            let _ = reply.send(found.map_err(StoreError::clone));
        }
    }
}
