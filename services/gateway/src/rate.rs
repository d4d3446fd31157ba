//! How often one key may call.

use std::{
    collections::HashMap,
    io::Write as _,
    num::NonZeroU32,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
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
    /// The limit in the words of its header.
    policy: HeaderValue,
    taken: AtomicUsize,
    /// `None` where there are no other gateways.
    others: Option<Mutex<HashMap<KeyId, Shared>>>,
}

/// What this gateway and the others have to tell each other of one key.
#[derive(Clone, Copy, Default)]
struct Shared {
    /// Calls let in here that the others have not been told of.
    untold: u32,
    /// Calls that the others have let in: they are taken before any of here.
    owed: u32,
}

impl Rates {
    pub(crate) fn new(limit: RateLimit, shared: bool) -> Rates {
        let quota = Quota::per_second(limit.per_second).allow_burst(limit.burst);
        let store = HashMapStateStore::default();
        let limiter: RateLimiter<_, _, _> = RateLimiter::new(quota, store, MonotonicClock);
        let limiter = limiter.with_middleware();
        let others = shared.then(Mutex::default);
        Rates { limiter, limit, policy: policy(limit), taken: AtomicUsize::new(0), others }
    }

    pub(crate) fn limit(&self) -> RateLimit {
        self.limit
    }

    fn with<T>(&self, key: KeyId, change: impl FnOnce(&mut Shared) -> T) -> Option<T> {
        let mut others = self.others.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(change(others.entry(key).or_default()))
    }

    /// Calls of each key since this was asked last, for the other gateways.
    pub(crate) fn untold(&self) -> Vec<(KeyId, u32)> {
        let Some(others) = &self.others else { return Vec::new() };
        let mut others = others.lock().unwrap_or_else(PoisonError::into_inner);
        let told = others.iter_mut().map(|(key, it)| (*key, std::mem::take(&mut it.untold)));
        let told = told.filter(|(_, calls)| *calls > 0).collect();
        others.retain(|_, it| it.owed > 0);
        told
    }

    /// Other gateways have let in so many calls of the key.
    pub(crate) fn charge(&self, key: KeyId, calls: u32) {
        if calls > 0 {
            let most = self.limit.burst.get();
            self.with(key, |it| it.owed = it.owed.saturating_add(calls).min(most));
        }
    }

    /// Takes what others have let in, as far as it goes.
    fn settle(&self, key: KeyId) {
        self.with(key, |it| {
            while it.owed > 0 && self.limiter.check_key(&key).is_ok() {
                it.owed -= 1;
            }
        });
    }

    /// Takes one call of the key, if it has one left.
    pub(crate) fn take(&self, key: KeyId) -> Result<Allowance<'_>, Exceeded<'_>> {
        // Keys that have not called for a while have their full quota, and need no memory.
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        if taken.is_multiple_of(limits::RATES_SWEPT_EVERY) {
            self.limiter.retain_recent();
        }
        let Rates { limit, ref policy, .. } = *self;
        self.settle(key);
        match self.limiter.check_key(&key) {
            Ok(state) => {
                self.with(key, |it| it.untold += 1);
                Ok(Allowance { limit, policy, left: left(&state) })
            }
            Err(until) => {
                let wait = until.wait_time_from(self.limiter.clock().now());
                Err(Exceeded { policy, wait })
            }
        }
    }
}

fn left(state: &StateSnapshot) -> u32 {
    state.remaining_burst_capacity()
}

/// A call that was let in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance<'a> {
    limit: RateLimit,
    policy: &'a HeaderValue,
    left: u32,
}

/// A call that was not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exceeded<'a> {
    policy: &'a HeaderValue,
    wait: Duration,
}

impl Allowance<'_> {
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        let used = self.limit.burst.get().saturating_sub(self.left);
        let full_in_s = used.div_ceil(self.limit.per_second.get());
        write(headers, self.policy, self.left, u64::from(full_in_s));
    }
}

impl Exceeded<'_> {
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        write(headers, self.policy, 0, self.wait_s());
    }

    pub(crate) fn problem(self) -> Problem {
        let message = format!("too many calls of this key; wait {} s", self.wait_s());
        Problem::new(ErrorClass::Unavailable, "rate_limited", message).retry_after(self.wait)
    }

    fn wait_s(self) -> u64 {
        let wait_s = self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0);
        wait_s.max(1)
    }
}

/// The headers of the IETF draft: the policy, and what is left of it.
fn write(headers: &mut HeaderMap, policy: &HeaderValue, left: u32, reset_s: u64) {
    // Longer than any two numbers make it.
    let mut text = [0; 64];
    let mut end = text.as_mut_slice();
    write!(end, "\"key\";r={left};t={reset_s}").expect("there is room");
    let unused = end.len();
    let state = HeaderValue::from_bytes(&text[..text.len() - unused]);
    headers.insert(RATE_LIMIT_POLICY, policy.clone());
    headers.insert(RATE_LIMIT, state.expect("numbers are plain ASCII"));
}

fn policy(RateLimit { per_second, burst }: RateLimit) -> HeaderValue {
    let window_s = burst.get().div_ceil(per_second.get());
    let policy = format!("\"key\";q={burst};w={window_s}");
    HeaderValue::try_from(policy).expect("numbers are plain ASCII")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_others_have_let_in_is_taken_from_what_is_left() {
        let limit = |number| NonZeroU32::new(number).unwrap();
        let rates = Rates::new(RateLimit { per_second: limit(1), burst: limit(10) }, true);
        let (key, other) = (KeyId::new(Uuid::from_u128(1)), KeyId::new(Uuid::from_u128(2)));
        assert_eq!(rates.take(key).unwrap().left, 9);
        rates.charge(key, 4);
        assert_eq!(rates.take(key).unwrap().left, 4);
        // What is owed comes first.
        rates.charge(key, 1_000_000);
        assert!(rates.take(key).is_err());
        assert_eq!(rates.take(other).unwrap().left, 9);
        let mut untold = rates.untold();
        untold.sort();
        assert_eq!(untold, [(key, 2), (other, 1)]);
        assert_eq!(rates.untold(), []);
    }
}
