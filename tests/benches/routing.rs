//! W5: which of fifty nodes pays, from what is known of them in memory, on one core.

use std::hint::black_box;
use std::time::{Duration, Instant};

use domain::routing::{Candidate, Wanted, choose};
use domain::{Msat, NodeId};
use uuid::Uuid;

use crate::cpu::Meter;
use crate::latency::Latency;
use crate::table::Workload;
use crate::{Bench, Outcome};

/// With twenty channels each, which a node's actor has summed up.
const NODES: u32 = 50;
const CHANNELS: u32 = 20;
const HTLCS_OF_A_CHANNEL: u32 = 483;

/// Between two looks at the clock.
const DECISIONS: u64 = 1_000;

pub(crate) fn run(bench: &Bench) -> Outcome<Vec<Workload>> {
    let nodes: Vec<Candidate> = (0..NODES).map(candidate).collect();
    decide(&nodes, bench.timing.warmup);
    let meter = Meter::default();
    let cpu = meter.read();
    let (done, elapsed) = decide(&nodes, bench.timing.measure);
    Ok(vec![Workload {
        id: "W5",
        rate: done as f64 / elapsed.as_secs_f64(),
        done,
        elapsed,
        latency: Latency::default(),
        cpu: meter.read().since(&cpu),
        checks: Vec::new(),
        ..Workload::default()
    }])
}

/// Most can pay, each at another cost; some are full, empty, or away.
fn candidate(number: u32) -> Candidate {
    let spread = number * 7 % NODES;
    let channel_msat = 1_000_000_000 + u64::from(spread) * 10_000_000;
    Candidate {
        node: NodeId::new(Uuid::from_u128(u128::from(number))),
        usable: !number.is_multiple_of(13),
        outbound_msat: msat(if number.is_multiple_of(11) { 1_000 } else { channel_msat * 20 }),
        largest_channel_msat: msat(channel_msat),
        slots: CHANNELS * HTLCS_OF_A_CHANNEL,
        in_flight: if number.is_multiple_of(17) { CHANNELS * HTLCS_OF_A_CHANNEL } else { spread },
        success_ppm: 990_000 - spread * 1_000,
        cost_ppm: 100 + spread * 3,
        latency_ms: 100 + spread * 9,
    }
}

fn decide(nodes: &[Candidate], time: Duration) -> (u64, Duration) {
    let (mut done, started) = (0, Instant::now());
    while started.elapsed() < time {
        for number in 0..DECISIONS {
            let wanted =
                Wanted { amount_msat: msat(1_000_000 + number), fee_limit_msat: msat(10_000) };
            black_box(choose(black_box(nodes), black_box(wanted)));
        }
        done += DECISIONS;
    }
    (done, started.elapsed())
}

fn msat(amount: u64) -> Msat {
    Msat::new(amount).expect("below the supply")
}
