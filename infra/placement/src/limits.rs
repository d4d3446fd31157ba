//! Every bound and time-out between pods, each with its reason.

use std::time::Duration;

/// How old a map may be while nothing says that it is wrong.
pub(crate) const MAP_EVERY: Duration = Duration::from_secs(1);

/// However many calls find the map wrong at once, the store is asked for it no more often.
pub(crate) const MAP_GAP: Duration = Duration::from_millis(20);

/// A store that takes longer for its map is asked again.
pub(crate) const MAP_WITHIN: Duration = Duration::from_secs(2);

/// A map that could not be read anew for so long is no longer what a ready gateway goes by.
pub(crate) const MAP_TRUSTED_FOR: Duration = Duration::from_secs(5);

/// Calls that follow what an engine says about the owner, before the first pause.
pub(crate) const HOPS_MAX: u8 = 2;

/// A planned move is over by then, so that a caller who does not wait at all is held for so long.
pub(crate) const HOLD: Duration = Duration::from_millis(250);

/// A crash is over so long after the lease of who crashed: loading takes a second and a half at the most.
pub(crate) const SERVED_AGAIN_WITHIN: Duration = Duration::from_millis(1_500);

/// An attempt that lasted so long was with an owner who was well: a connection is made or refused sooner.
pub(crate) const IN_HAND_FOR: Duration = Duration::from_secs(1);

/// Between two attempts: the first is shorter than a load, the last as long as nobody notices.
pub(crate) const PAUSE_FIRST: Duration = Duration::from_millis(2);
pub(crate) const PAUSE_LONGEST: Duration = Duration::from_millis(100);

/// A pod in the same data centre answers at once, or not at all.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_millis(500);

/// A pod that is paused or cut off is noticed after both, well before the usual lease is over.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(1);
pub(crate) const PONG_WITHIN: Duration = Duration::from_secs(2);

/// How often a pod that is lost is greeted, and how long its answer takes at the most.
pub(crate) const GREET_EVERY: Duration = Duration::from_millis(50);
pub(crate) const GREETED_WITHIN: Duration = Duration::from_millis(500);

/// The largest request: the longest invoice and everything that a caller may add to it.
pub(crate) const REQUEST_BYTES_MAX: usize = 512 * 1_024;

/// The largest payment in an answer: twice one with all the metadata and attempts that rules let it have. A
/// larger one is read from the store, as answers of more than `REQUEST_BYTES_MAX` are not taken.
pub(crate) const ROW_BYTES_MAX: usize = 256 * 1_024;

/// The largest answer: an audit with tens of thousands of findings.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1_024 * 1_024;

/// Of a request: secret, version and trace. Of an answer: the details of a refusal.
pub(crate) const HEADER_LIST_BYTES_MAX: u32 = 32 * 1_024;

/// Connections to an engine: each pod has one, and another while that one is being replaced. More pods than
/// half of this would want more connections of the database than it has.
pub(crate) const CONNECTIONS_MAX: usize = 256;

/// A pod connects when it has a call to make, so its secret comes at once; others give their place back.
pub(crate) const SECRET_SHOWN_WITHIN: Duration = Duration::from_secs(10);

/// Calls in flight on the one connection of a pod, and on the stream over it, each of which may wait a minute:
/// more than the callers of one gateway.
pub(crate) const STREAMS_MAX: u32 = 50_000;

/// For calls under way on the one stream, on both of its sides.
pub(crate) fn places_on_a_stream() -> usize {
    usize::try_from(STREAMS_MAX).expect("a usize has 32 bits or more")
}

/// Calls that wait for the connection's task, or to be written to its stream; more wait in their callers.
pub(crate) const CALLS_QUEUED: usize = 4_096;

/// Bytes of calls or answers after which no more are added to a message.
pub(crate) const BATCH_BYTES: usize = 64 * 1_024;

/// The largest call that goes by stream. With it a full message, that also tells who has left, is still within
/// `REQUEST_BYTES_MAX`.
pub(crate) const STREAMED_BYTES_MAX: usize = 128 * 1_024;

/// What a stream may be ahead of its reader: many full messages, as one stream carries what thousands of calls
/// would have had a window each for.
pub(crate) const STREAM_WINDOW: u32 = 1 << 20;

/// Streams that were left before their end, as their organisation had moved. Those of more would count as
/// faults of the peer, and end the connection under all others.
pub(crate) const STREAMS_LEFT: usize = 4_096;

/// One call that is slow to be read must not hold up thousands of others.
pub(crate) const CONNECTION_WINDOW: u32 = 16 << 20;

/// Bound on what an operator asks of one engine, which may ask a node.
pub(crate) const OPERATION_WITHIN: Duration = Duration::from_secs(60);

/// Bound on an audit, a restore or a thaw, which ask every node for its books.
pub(crate) const AUDIT_WITHIN: Duration = Duration::from_secs(600);

/// Calls under way may end before the listener's owner is told that it has stopped.
pub(crate) const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Shorter secrets could be guessed.
pub(crate) const SECRET_BYTES_MIN: usize = 32;
