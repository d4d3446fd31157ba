//! Every bound and time-out at the edge, each with its reason.

use std::time::Duration;

/// The largest message taken in: far above the longest invoice, far below what would hurt.
pub(crate) const MESSAGE_BYTES_MAX: usize = 256 * 1_024;

/// A body of that size arrives in far less, also over a bad line; a slow sender is cut off.
pub(crate) const BODY_WITHIN_SECONDS: u64 = 20;

/// What is left of a body whose answer is known is taken in for so long: less than a stop waits, and no sender
/// keeps a stream by being slow. And up to so much, of which nothing is kept: one that is refused for its size is
/// still being sent.
pub(crate) const REST_OF_BODY_WITHIN: Duration = Duration::from_secs(5);
pub(crate) const REST_OF_BODY_BYTES_MAX: usize = 4 * 1_024 * 1_024;

/// Headers of one request: room for a key and tracing, nothing more.
pub(crate) const HEADER_LIST_BYTES_MAX: u32 = 16 * 1_024;

/// Connections of one listener: one for each of as many callers as wait in the largest test, with a
/// descriptor and about 40 kB each. More belong on more gateways.
pub(crate) const CONNECTIONS_MAX: usize = 16_000;

/// Calls in flight on one connection. Each may wait a minute, so a busy caller needs many.
pub(crate) const STREAMS_PER_CONNECTION_MAX: u32 = 2_000;

/// Bound on one call's work: the longest wait that a caller may ask for, and time to answer.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(70);

/// Bound on an audit, a restore or a thaw, which ask every node for its books.
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

/// Calls that may wait for their key, and keys of one look-up: as many as it takes in a millisecond or two.
pub(crate) const KEYS_ASKED_FOR_MAX: usize = 50_000;
pub(crate) const KEYS_LOOKED_UP_AT_ONCE: usize = 1_000;

/// How often the use of keys is written down, for people who look for keys that nobody uses.
pub(crate) const KEPT_EVERY: Duration = Duration::from_secs(30);
pub(crate) const KEYS_WRITTEN_AT_ONCE: usize = 1_000;

/// Longer than any secret that was handed out.
pub(crate) const SECRET_BYTES_MAX: usize = 256;

/// Shorter tokens could be guessed.
pub(crate) const ADMIN_TOKEN_BYTES_MIN: usize = 16;

/// Names of nodes are decoration and may be a little old.
pub(crate) const NODE_NAMES_TRUSTED_FOR: Duration = Duration::from_secs(10);

/// Wallets whose environment is remembered: about 6 MB.
pub(crate) const WALLETS_CACHED_MAX: usize = 100_000;

/// A receive's 202 waits so long for the invoice, so that a caller who polls finds it at once.
pub(crate) const INVOICE_WAIT: Duration = Duration::from_secs(2);

/// Calls between two looks for keys that have not called for a while.
pub(crate) const RATES_SWEPT_EVERY: usize = 100_000;

/// A request under an `Idempotency-Key` that began longer ago has lost its process: no answer takes
/// longer than [`ANSWER_WITHIN`].
pub(crate) const IDEMPOTENCY_RUNS_MS: i64 = 90_000;

/// Answers under an `Idempotency-Key` are kept 30 days, as the contract says.
pub(crate) const ANSWERS_KEPT_MS: i64 = 30 * 86_400_000;

/// Every half minute: as many as one key can make in that time.
pub(crate) const ANSWERS_FORGOTTEN_AT_ONCE: u32 = 100_000;

/// Longer than any UUID or hash that serves as such a key.
pub(crate) const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Answers on their way to one reader of a stream.
pub(crate) const UNREAD_MAX: usize = 256;
/// Pages of events on their way to one reader, of [`EVENTS_READ_AT_ONCE`] each.
pub(crate) const PAGES_UNREAD_MAX: usize = 2;

/// A reader that takes nothing for so long is cut off, and comes back with its cursor.
pub(crate) const READ_WITHIN: Duration = Duration::from_secs(30);

/// Rows of the journal that are read for a stream at once.
pub(crate) const EVENTS_READ_AT_ONCE: u32 = 100;

/// How often the journal is looked at for an idle stream.
pub(crate) const EVENTS_EVERY: Duration = Duration::from_millis(500);

/// A comment is sent on an idle stream, so that nothing between us takes it for dead.
pub(crate) const EVENTS_ALIVE_EVERY: Duration = Duration::from_secs(15);

/// How often a watched payment is looked at while it has not ended.
pub(crate) const WATCH_EVERY: Duration = Duration::from_secs(1);

/// One watch; a payment that takes longer is watched again.
pub(crate) const WATCH_FOR: Duration = Duration::from_secs(3_600);

/// Watches under way in this process: each asks its organisation once a second.
pub(crate) const WATCHES_MAX: usize = 2_000;

/// Sends under way on one stream: what the fastest merchant has in flight at once.
pub(crate) const SENDS_PER_STREAM_MAX: usize = 1_000;

/// Streams of sends in this process, each of as many sends: more belong on more gateways.
pub(crate) const SEND_STREAMS_MAX: usize = 200;

/// How often a send is looked at whose end is waited for: only its attempts change before.
pub(crate) const SEND_EVERY: Duration = Duration::from_secs(5);

/// How often an open stream looks whether its key is still good.
pub(crate) const KEY_EVERY: Duration = Duration::from_secs(1);

/// When to ask again while sends are frozen: a person thaws them, not the next second.
pub(crate) const FROZEN_SENDS_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// So long before a caller's deadline it is answered: longer than an answer travels.
pub(crate) const DEADLINE_MARGIN: Duration = Duration::from_millis(50);

/// How old an answer about our health may be, however often it is asked for.
pub(crate) const HEALTH_TRUSTED_FOR: Duration = Duration::from_secs(1);

/// Watches of our health, by anybody: balancers and probes are few.
pub(crate) const HEALTH_WATCHES_MAX: usize = 64;

/// Size of a page by weight: half of what gRPC clients take in one message.
pub(crate) const PAGE_BYTES_MAX: usize = 2 * 1_024 * 1_024;

/// Findings listed by an audit, and differences by a restore; the rest are counted.
pub(crate) const FINDINGS_MAX: usize = 1_000;

/// How often gateways tell each other what they have let in: until then a key may have its limit at each.
pub(crate) const COUNTS_SHARED_EVERY: Duration = Duration::from_millis(100);

/// For how many rounds a key that no longer calls is asked about.
pub(crate) const QUIET_ROUNDS: u32 = 20;

/// What others may take of a key's refill at the most: fifteen of sixteen parts, so that a store of counts
/// that lies can slow a key down and not stop it.
pub(crate) const OTHERS_SHARE: (u128, u128) = (15, 16);

/// For how many rounds at the most a key pays for what others have let in: two seconds, as long as its
/// burst lasts.
pub(crate) const ROUNDS_BEHIND: u32 = 20;
