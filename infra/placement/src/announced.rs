//! What a process reads that owns nothing, said again and again for as long as it lives.

use std::sync::Arc;

use ports::{Cluster, StoreError, placement::Reader};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::limits;

/// From before the first read until after the last one: meanwhile nothing is written that it cannot read.
pub struct Announced {
    cluster: Arc<dyn Cluster>,
    reader: Reader,
    keeper: JoinHandle<()>,
}

impl Announced {
    pub async fn begin(cluster: Arc<dyn Cluster>, reader: Reader) -> Result<Announced, StoreError> {
        cluster.announce(&reader).await?;
        let keeper = tokio::spawn(keep(cluster.clone(), reader.clone()));
        Ok(Announced { cluster, reader, keeper })
    }

    /// One that does not come to this is forgotten when it has not been heard of for a lease.
    pub async fn end(self) {
        self.keeper.abort();
        let withdrawn = self.cluster.withdraw(self.reader.session);
        if !matches!(timeout(limits::MAP_WITHIN, withdrawn).await, Ok(Ok(()))) {
            tracing::warn!("the store was not told that this gateway reads no more");
        }
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn keep(cluster: Arc<dyn Cluster>, reader: Reader) {
    loop {
        sleep(cluster.lease_length().renewal()).await;
        match timeout(limits::MAP_WITHIN, cluster.announce(&reader)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the store was not told what is read here"),
            Err(_) => tracing::warn!("the store did not take in time what is read here"),
        }
    }
}
