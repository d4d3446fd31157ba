//! How often one key may call.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use domain::{ErrorClass, KeyId};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::{StateInformationMiddleware, StateSnapshot},
    state::keyed::HashMapStateStore,
};
use proto::Problem;

use crate::limits;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Calls of one key: so many at once, and so many a second in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub per_second: NonZeroU32,
    pub burst: NonZeroU32,
}

impl RateLimit {
    /// Twice as many at once as a second refills.
    pub fn per_second(per_second: NonZeroU32) -> RateLimit {
        RateLimit { per_second, burst: per_second.saturating_add(per_second.get()) }
    }
}

type Limiter =
    RateLimiter<KeyId, HashMapStateStore<KeyId>, MonotonicClock, StateInformationMiddleware>;

/// What is left to every key.
pub(crate) struct Rates {
    limiter: Limiter,
    limit: RateLimit,
    taken: AtomicUsize,
}

impl Rates {
    pub(crate) fn new(limit: RateLimit) -> Rates {
        let quota = Quota::per_second(limit.per_second).allow_burst(limit.burst);
        let store = HashMapStateStore::default();
        let limiter: RateLimiter<_, _, _> = RateLimiter::new(quota, store, MonotonicClock);
        let limiter = limiter.with_middleware();
        Rates { limiter, limit, taken: AtomicUsize::new(0) }
    }

    /// Takes one call of the key, if it has one left.
    pub(crate) fn take(&self, key: KeyId) -> Result<Allowance, Exceeded> {
        // Keys that have not called for a while have their full quota, and need no memory.
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        if taken.is_multiple_of(limits::RATES_SWEPT_EVERY) {
            self.limiter.retain_recent();
        }
        let Rates { limit, .. } = *self;
        match self.limiter.check_key(&key) {
            Ok(state) => Ok(Allowance { limit, left: left(&state) }),
            Err(until) => {
                let wait = until.wait_time_from(self.limiter.clock().now());
                let wait_s = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                Err(Exceeded { limit, wait_s: wait_s.max(1) })
            }
        }
    }
}

fn left(state: &StateSnapshot) -> u32 {
    state.remaining_burst_capacity()
}

/// A call that was let in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    limit: RateLimit,
    left: u32,
}

/// A call that was not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exceeded {
    limit: RateLimit,
    wait_s: u64,
}

impl Allowance {
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        let used = self.limit.burst.get().saturating_sub(self.left);
        let full_in_s = used.div_ceil(self.limit.per_second.get());
        write(headers, self.limit, self.left, u64::from(full_in_s));
    }
}

impl Exceeded {
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        write(headers, self.limit, 0, self.wait_s);
    }

    pub(crate) fn retry_after_s(self) -> u64 {
        self.wait_s
    }

    pub(crate) fn problem(self) -> Problem {
        let message = format!("too many calls of this key; wait {} s", self.wait_s);
        Problem::new(ErrorClass::Unavailable, "rate_limited", message)
    }
}

/// The headers of the IETF draft: the policy, and what is left of it.
fn write(headers: &mut HeaderMap, limit: RateLimit, left: u32, reset_s: u64) {
    let RateLimit { per_second, burst } = limit;
    let window_s = burst.get().div_ceil(per_second.get());
    let policy = format!("\"key\";q={burst};w={window_s}");
    let state = format!("\"key\";r={left};t={reset_s}");
    for (name, value) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, state)] {
        let value = HeaderValue::try_from(value).expect("numbers are plain ASCII");
        headers.insert(name, value);
    }
}
