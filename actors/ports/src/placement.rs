//! Who is alive. For now one process; leases bound what its permissions allow.

use async_trait::async_trait;
use domain::{SessionId, Timestamp};

use crate::StoreError;

/// How long a lease lasts: long enough to renew five times, short enough to wait for.
pub const LEASE_MS: i64 = 5_000;

#[async_trait]
pub trait Placement: Send + Sync {
    /// Begins a life: a new row with a lease of [`LEASE_MS`] by the store's clock. Every other life is
    /// over: for now there is one process, and whoever begins has taken over.
    async fn begin(&self, session: SessionId) -> Result<Timestamp, StoreError>;

    /// Renews the lease and answers until when it is good. `None`: the row is gone, another has taken
    /// over, and this life is over; never an insert.
    async fn renew(&self, session: SessionId) -> Result<Option<Timestamp>, StoreError>;
}
