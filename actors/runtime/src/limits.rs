//! Every bound and time-out of the runtime, each with its reason.

use std::time::Duration;

/// Decisions in one transaction: beyond this the commit only gets longer (`performance` §1).
pub(crate) const BATCH_MAX: usize = 512;

/// So many that wait need no turn at the store: a transaction of them is worth its cost. With 64 two small
/// transactions ran side by side at high load and cost a fifth more for each payment (`make bench`, W2).
pub(crate) const CROWD: usize = 320;

/// So many questions need no turn: a look-up costs far less than a commit and changes nothing, and its callers
/// have two commits to wait for yet.
pub(crate) const LOOK_UP_CROWD: usize = 32;

/// Several times what a transaction takes.
pub(crate) const TURN_WITHIN: Duration = Duration::from_millis(50);

/// So many of what customers begin on one lane are under way at once, from the look-up to the commit: half of
/// them gather while the others are committed, and with what follows from those before them a batch is full.
/// More would only cost more (`gate.rs`).
pub(crate) const INSIDE_MAX: usize = BATCH_MAX;

/// So many of them are begun by one commit while more wait.
pub(crate) const BEGUN_BY_A_COMMIT: usize = INSIDE_MAX / 2;

/// How long a new decision may have to wait for those before it. Ten thousand callers at once, served at
/// five thousand payments a second, wait for two seconds and are all served, on a machine of half the
/// speed too; whoever would wait for longer than this has mostly given up by then. It is as long as the store
/// gives a statement, so a store that stands still closes the door when its first statement fails, or
/// sooner where many wait.
pub(crate) const LANE_WAIT_MAX: Duration = Duration::from_secs(5);

/// Decisions that may be before a new one, however quick commits are: about 60 MB. An organisation counts
/// with its share, so that one alone never closes the door to the others.
pub(crate) const LANE_QUEUE_MAX: usize = 20_000;

/// When a refused caller is asked to come back, at the earliest and at the latest.
pub(crate) const RETRY_AFTER_MIN: Duration = Duration::from_millis(100);
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);

/// How long a commit may become by one organisation's flood while others want little: half as long again as
/// one that carries nearly nothing, so that their wait, for the one under way and for their own, stays within
/// twice that of quiet (`tests/flood`).
pub(crate) const SHARED_COMMIT: Duration = Duration::from_millis(3);

/// The smallest share of a batch: less would cost more commits than it saves time.
pub(crate) const SHARE_MIN: usize = 16;

/// How long shares are kept to after somebody who wanted little was there: who asks a few times a second
/// never finds a full batch of somebody else's under way.
pub(crate) const SHARED_FOR: Duration = Duration::from_secs(1);

/// Nothing takes longer at the store: its statements end after five seconds, and a lost connection is
/// noticed after four.
pub(crate) const LANE_STANDS_STILL_AFTER: Duration = Duration::from_secs(15);

/// Questions answered by one look-up.
pub(crate) const LOOK_UP_BATCH_MAX: usize = 512;

/// How often a pod looks at its place among the others: with this, what a dead pod ran is served again within
/// a second after its lease.
pub(crate) const PLACE_EVERY: Duration = Duration::from_millis(500);

/// How old the map may be when somebody asks for an organisation that is not known to be here.
pub(crate) const MAP_FRESH: Duration = Duration::from_millis(20);

/// A free shard that was not taken for so long by the pod that should may be taken by the next in rank.
pub(crate) const TAKEN_WITHIN: Duration = Duration::from_secs(2);

/// Shards with organisations in memory that are moved in one step while pods come and go: half a per cent,
/// so one per cent a second. Each loads its organisations again.
pub(crate) const MOVES_AT_ONCE: usize = 20;

/// How long a move waits for commits that are under way: callers are told to ask elsewhere meanwhile.
pub(crate) const DRAIN_WITHIN: Duration = Duration::from_millis(250);

/// How often a pod whose name is in use looks whether it still is.
pub(crate) const JOIN_POLL: Duration = Duration::from_millis(500);

/// A request with less than this left of its permission is not sent: it would arrive too late.
pub(crate) const PERMISSION_MARGIN_MS: i64 = 500;

/// A call that the node had checked before its permission lapsed may make its record this much later.
pub(crate) const LAPSE_GRACE_MS: i64 = 1_000;
pub(crate) const LAPSE_GRACE: Duration = Duration::from_millis(LAPSE_GRACE_MS.unsigned_abs());

/// How often a node is asked whether a permission is over: a small part of a lease.
pub(crate) const LAPSE_POLL: Duration = Duration::from_millis(500);

/// First and longest pause between two tries to reach a node.
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(100);
pub(crate) const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// How often a node's health is read. Liquidity a few seconds old is good enough to choose by.
pub(crate) const HEALTH_POLL: Duration = Duration::from_secs(2);

/// How often one is looked at that cannot be used: until it is seen to be back, what only it could pay fails.
pub(crate) const UNFIT_POLL: Duration = Duration::from_millis(250);

/// How long a node may take to say how it is, at the most: as long as the usual permission lasts, or ours if
/// that is shorter, as one that takes longer could not be sent to anyway. Where nothing comes back, its own
/// calls are given up much later, and until this is over payments go to a node that nobody hears.
pub(crate) const LOOK_WITHIN: Duration = Duration::from_secs(5);

/// How far a node's clock may be from ours: permissions last two seconds at the least.
pub const CLOCK_TOLERANCE_MS: i64 = 1_000;

/// How often an organisation looks for payments without news, and for how long they must have had none.
pub(crate) const DRIVE_EVERY: Duration = Duration::from_secs(5);
pub(crate) const DRIVE_AFTER_MS: i64 = 15_000;

/// How long a payment that has ended stays in memory to answer repeats.
pub(crate) const FORGET_AFTER_MS: i64 = 4_000;

/// How long nobody has asked for an organisation that is put to rest, and how long where there are too
/// many of them: a load costs a few milliseconds.
pub(crate) const REST_AFTER_MS: i64 = 600_000;
pub(crate) const REST_AFTER_CROWDED_MS: i64 = 10_000;

/// How old may be what a command brings from the store: half of that, so that nothing that memory has
/// forgotten since comes back, even if the clock is put back by seconds.
pub(crate) const LOOKED_UP_WITHIN_MS: i64 = FORGET_AFTER_MS / 2;

/// How often all nodes' settled invoices and newer payments are compared with the ledger.
pub(crate) const RECONCILE_EVERY: Duration = Duration::from_secs(60);

/// How long a gentle comparison rests after each page, in multiples of what the page took: a minute of
/// payments is then looked through in a few seconds, and no payment waits for more than one page.
pub(crate) const GENTLE_REST: u32 = 4;

/// When a node is asked once more about a payment that it has failed, and for how many at a time: longer
/// than any settlement that was on its way, soon enough to stop a node that lies.
pub(crate) const SECOND_LOOK_AFTER: Duration = Duration::from_secs(10);
pub(crate) const SECOND_LOOKS_MAX: usize = 10_000;

/// Failures of one organisation's actor within [`QUARANTINE_WINDOW_MS`] after which it is left alone.
pub(crate) const QUARANTINE_FAILURES: usize = 3;
pub(crate) const QUARANTINE_WINDOW_MS: i64 = 60_000;

/// Workers of the router pool: choosing is short, two keep both cores of a small machine busy.
pub(crate) const ROUTER_WORKERS: usize = 2;

/// How often, and how many times, a stop looks whether the lanes have finished: five seconds in all.
pub(crate) const STOP_POLL: Duration = Duration::from_millis(20);
pub(crate) const STOP_POLLS: u32 = 250;

/// How far behind its cursor a follower of settled invoices starts: their order has gaps.
pub(crate) const SETTLE_WINDOW: u64 = 100;

/// Settled invoices taken into the inbox in one transaction.
pub(crate) const SETTLE_BATCH_MAX: usize = 256;

/// How often what nodes have shown is put on record: four small transactions a second do not show
/// beside the payments', and most payments end within the time and need not be written.
pub(crate) const SIGHTINGS_EVERY: Duration = Duration::from_millis(250);

/// Of payments that are open for longer than that, of all nodes: thousands that wait for a slow node do not
/// make the writes larger, and one that stays gets its turn.
pub(crate) const LASTING_WRITTEN_AT_ONCE: usize = 64;

/// How many of a node's newest payments are kept on record after they have ended: eight seconds of them
/// at the most, and each is looked up at every start.
pub(crate) const WITNESSES_MAX: usize = 32;

/// How long a node may take to say what it knows of one payment that a person asks about.
pub(crate) const SAYS_WITHIN: Duration = Duration::from_secs(10);

/// How often a node is asked about one payment that it must have before all of them are asked again.
pub(crate) const SIGHTING_TRIES: u32 = 3;

/// Open payments read at once when a person lets a restored node go on.
pub(crate) const OPEN_PAGE: u32 = 500;

/// How long a restore waits for permissions to end and for payments to be ended by their organisations: the
/// longest lease, the grace after it, and the longest pause between two looks at a node.
pub(crate) const RESTORED_WITHIN: Duration = Duration::from_secs(20);
pub(crate) const RESTORE_POLL: Duration = Duration::from_millis(100);

/// How many payments a node is asked about at once.
pub(crate) const SIGHTINGS_AT_ONCE: usize = 32;

/// How long a start waits for nodes to answer: most do at once, and one that is away must not hold up
/// the others.
pub(crate) const FIRST_LOOK: Duration = Duration::from_secs(3);
