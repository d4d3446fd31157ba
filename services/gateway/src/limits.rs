//! Every bound and time-out at the edge, each with its reason.

use std::time::Duration;

/// The largest message taken in: far above the longest invoice, far below what would hurt.
pub(crate) const MESSAGE_BYTES_MAX: usize = 256 * 1_024;

/// Headers of one request: room for a key and tracing, nothing more.
pub(crate) const HEADER_LIST_BYTES_MAX: u32 = 16 * 1_024;

/// Calls in flight on one connection. Each may wait a minute, so a busy caller needs many.
pub(crate) const STREAMS_PER_CONNECTION_MAX: u32 = 2_000;

/// Bound on one call's work: the longest wait that a caller may ask for, and time to answer.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(70);

/// Bound on an audit, which asks every node for its books.
pub(crate) const AUDIT_WITHIN: Duration = Duration::from_secs(600);

/// Added to the bound of the work: ends a call whose request never arrives whole.
pub(crate) const TRANSPORT_MARGIN: Duration = Duration::from_secs(5);

/// A peer that is gone without a word is noticed after both.
pub(crate) const KEEPALIVE_EVERY: Duration = Duration::from_secs(30);
pub(crate) const KEEPALIVE_WITHIN: Duration = Duration::from_secs(20);

/// Calls under way may end before the listener's owner is told that it has stopped.
pub(crate) const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A revoked key stops within five seconds; the rest is for a call that has just been let in.
pub(crate) const KEY_TRUSTED_FOR: Duration = Duration::from_secs(4);
pub(crate) const KEYS_CACHED_MAX: usize = 10_000;

/// Longer than any secret that was handed out.
pub(crate) const SECRET_BYTES_MAX: usize = 256;

/// Shorter tokens could be guessed.
pub(crate) const ADMIN_TOKEN_BYTES_MIN: usize = 16;

/// Names of nodes are decoration and may be a little old.
pub(crate) const NODE_NAMES_TRUSTED_FOR: Duration = Duration::from_secs(10);

/// Wallets whose environment is remembered: about 6 MB.
pub(crate) const WALLETS_CACHED_MAX: usize = 100_000;

/// How often a watched payment is looked at while it has not ended.
pub(crate) const WATCH_EVERY: Duration = Duration::from_secs(1);

/// One watch; a payment that takes longer is watched again.
pub(crate) const WATCH_FOR: Duration = Duration::from_secs(3_600);

/// Watches under way in this process: each asks its organisation once a second.
pub(crate) const WATCHES_MAX: usize = 2_000;

/// Size of a page by weight: half of what gRPC clients take in one message.
pub(crate) const PAGE_BYTES_MAX: usize = 2 * 1_024 * 1_024;

/// Findings listed by an audit; the rest are counted.
pub(crate) const FINDINGS_MAX: usize = 1_000;
