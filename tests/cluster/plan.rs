//! Which faults strike, whom, and when. Everything follows from the seed.

use std::collections::BTreeMap;

use tests::random::Random;

pub(crate) const ENGINES: [&str; 3] = ["engine-1", "engine-2", "engine-3"];
pub(crate) const NODES: [&str; 2] = ["pool-1", "pool-2"];

/// Customers have begun to pay by then.
const FIRST_MS: u64 = 1_000;
/// Between two faults, at the most: often the next strikes while the last one lasts.
const PAUSE_MS: u64 = 2_500;
/// How long whoever was struck is left alone, so that it may be itself again.
const RESTS_MS: u64 = 3_000;
/// Less than a lease, and more than one with its takeover.
const LASTS_MS: (u64, u64) = (500, 9_000);

/// By which customers lose no more than time.
const NODE_FAULTS: [&str; 10] = [
    "no_route",
    "timeout:300",
    "incorrect_payment_details",
    "slow:1500",
    "late_success:1500",
    "stream_cut",
    "silent",
    "twice",
    "late_request:800",
    "handler_stall:800",
];

/// A way over which something is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// An engine's to the database.
    Database(&'static str),
    /// The other pods' to an engine.
    Engine(&'static str),
    Node(&'static str),
    Redis,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Kill(&'static str),
    Terminate(&'static str),
    Start(&'static str),
    Stop(&'static str),
    Continue(&'static str),
    Shut(Line),
    Silence(Line),
    Mend(Line),
    /// What is connected breaks, and may be connected again.
    Cut(Line),
    /// The next payments of a node go wrong so.
    Fault {
        node: &'static str,
        fault: &'static str,
        times: u64,
    },
    /// A node dies, and is back so much later.
    KillNode {
        node: &'static str,
        down_ms: u64,
    },
    ClockOff(&'static str),
    ClockRight(&'static str),
    RestartDatabase,
    CrashDatabase,
    FlushRedis,
    LieByRedis,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at_ms: u64,
    pub(crate) act: Act,
}

/// One fault from its beginning to its end.
struct Strike {
    whom: &'static str,
    begins: Act,
    lasts_ms: u64,
    /// `None`: it ends by itself.
    ends: Option<Act>,
}

/// What happens in the given time, in order; whatever was begun is ended by then. A longer time begins with
/// the same faults.
pub(crate) fn plan(seed: u64, time_ms: u64) -> Vec<Event> {
    let (mut random, mut now, mut events) = (Random::new(seed), FIRST_MS, Vec::new());
    let mut busy: BTreeMap<&str, u64> = BTreeMap::new();
    while now < time_ms {
        let strike = Strike::draw(&mut random);
        now += random.between(0, PAUSE_MS);
        if busy.get(strike.whom).is_some_and(|until| now < *until) || now >= time_ms {
            continue;
        }
        let ends_at = now + strike.lasts_ms;
        busy.insert(strike.whom, ends_at + RESTS_MS);
        events.push(Event { at_ms: now, act: strike.begins });
        events.extend(strike.ends.map(|act| Event { at_ms: ends_at.min(time_ms), act }));
    }
    events.sort_by_key(|event| event.at_ms);
    events
}

impl Strike {
    fn draw(random: &mut Random) -> Strike {
        let engine = ENGINES[random.index(ENGINES.len())];
        let node = NODES[random.index(NODES.len())];
        let lasts_ms = random.between(LASTS_MS.0, LASTS_MS.1);
        match random.below(20) {
            0 | 1 => Strike::of(engine, Act::Kill(engine), lasts_ms, Act::Start(engine)),
            2 => Strike::of(engine, Act::Terminate(engine), lasts_ms, Act::Start(engine)),
            3..=5 => Strike::of(engine, Act::Stop(engine), lasts_ms, Act::Continue(engine)),
            6 | 7 => Strike::cut(random, engine, Line::Database(engine), lasts_ms),
            8 | 9 => Strike::cut(random, engine, Line::Engine(engine), lasts_ms),
            10 | 11 => Strike::cut(random, node, Line::Node(node), lasts_ms),
            12 => Strike::cut(random, "redis", Line::Redis, lasts_ms),
            13..=15 => {
                let fault = NODE_FAULTS[random.index(NODE_FAULTS.len())];
                let times = random.between(1, 10);
                Strike::alone(node, Act::Fault { node, fault, times })
            }
            16 => Strike::alone(node, Act::KillNode { node, down_ms: lasts_ms / 4 }),
            17 => Strike::of(node, Act::ClockOff(node), lasts_ms, Act::ClockRight(node)),
            18 => {
                let act = [Act::RestartDatabase, Act::CrashDatabase][random.index(2)].clone();
                Strike::alone("database", act)
            }
            _ => {
                Strike::alone("redis", [Act::FlushRedis, Act::LieByRedis][random.index(2)].clone())
            }
        }
    }

    fn of(whom: &'static str, begins: Act, lasts_ms: u64, ends: Act) -> Strike {
        Strike { whom, begins, lasts_ms, ends: Some(ends) }
    }

    fn alone(whom: &'static str, act: Act) -> Strike {
        Strike { whom, begins: act, lasts_ms: 0, ends: None }
    }

    fn cut(random: &mut Random, whom: &'static str, line: Line, lasts_ms: u64) -> Strike {
        match random.index(3) {
            0 => Strike::of(whom, Act::Shut(line), lasts_ms, Act::Mend(line)),
            1 => Strike::of(whom, Act::Silence(line), lasts_ms, Act::Mend(line)),
            _ => Strike::alone(whom, Act::Cut(line)),
        }
    }
}

#[test]
fn a_seed_is_a_plan() {
    let acts = |seed, time_ms| plan(seed, time_ms).into_iter().map(|event| event.act);
    assert_eq!(plan(7, 60_000), plan(7, 60_000));
    assert_ne!(plan(7, 60_000), plan(8, 60_000));
    let count = |wanted: fn(&Act) -> bool| acts(7, 600_000).filter(wanted).count();
    for (begins, ends) in [
        (count(|act| matches!(act, Act::Stop(_))), count(|act| matches!(act, Act::Continue(_)))),
        (
            count(|act| matches!(act, Act::Shut(_) | Act::Silence(_))),
            count(|act| matches!(act, Act::Mend(_))),
        ),
        (
            count(|act| matches!(act, Act::Kill(_) | Act::Terminate(_))),
            count(|act| matches!(act, Act::Start(_))),
        ),
    ] {
        assert!(begins > 0);
        assert_eq!(begins, ends, "what was begun is ended");
    }
}
