//! What whoever watches the process may know of its engine.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bootstrap::watch::{Check, Watched};
use ports::Guard;
use runtime::Platform;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

/// A store that takes longer than this for one row does not serve payments either.
const STORE_WITHIN: Duration = Duration::from_secs(2);

/// What costs a query is asked for less often than what is in memory.
const ASK_STORE_EVERY: Duration = Duration::from_secs(10);

pub(crate) struct Gauges {
    pub(crate) platform: Platform,
    pub(crate) guard: Arc<dyn Guard>,
    pub(crate) asked: Mutex<Option<Instant>>,
}

#[async_trait]
impl Watched for Gauges {
    async fn observe(&self) {
        self.platform.observe();
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|asked| asked.elapsed() < ASK_STORE_EVERY) {
            return;
        }
        *asked = Some(Instant::now());
        match timeout(STORE_WITHIN, self.platform.observe_store()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the store could not be asked for its gauges"),
            Err(_) => tracing::warn!("the store did not answer for its gauges in time"),
        }
    }

    /// A freeze is not among them: whoever asks for a payment must be told of it.
    async fn checks(&self) -> Vec<Check> {
        let lease = (!self.platform.holds_lease())
            .then(|| "its lease has run out or was taken over".to_owned());
        vec![
            Check { name: "lease", failure: lease },
            Check { name: "store", failure: self.store_failure().await },
        ]
    }
}

impl Gauges {
    /// What the store says may name its address, so it stays in the log.
    async fn store_failure(&self) -> Option<String> {
        match timeout(STORE_WITHIN, self.guard.frozen()).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the store does not answer");
                Some("it does not answer".to_owned())
            }
            Err(_) => Some(format!("it does not answer within {} s", STORE_WITHIN.as_secs())),
        }
    }
}
