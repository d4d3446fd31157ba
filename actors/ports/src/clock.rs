//! Where the time comes from. Tests move it by hand.

use domain::Timestamp;

pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;

    /// What the store's clock has said between two readings of this one. Leases and permissions are instants
    /// of that, so a clock that is off has to agree with it from then on.
    fn told(&self, _asked: Timestamp, _store: Timestamp, _answered: Timestamp) {}
}
