//! Seeded simulation: the actors on the memory store and a simulated network, on a paused clock.
//!
//! One seed is one run: a small world, commands and hazards as the dice fall, then calm until everything
//! has ended. An auditor of its own reads along (`auditor.rs`, `books.rs`).
//!
//! `SWITCHYARD_SIM_SEED=n cargo test -p tests --test sim` plays one seed and shows what happened;
//! `SWITCHYARD_SIM_SEEDS=n` plays so many.

#![allow(clippy::wildcard_enum_match_arm, reason = "a trace has words for some events only")]

mod auditor;
mod books;
mod breaks;
mod clients;
mod hazards;
mod life;
mod line;
mod random;
mod run;
mod script;
mod sim;
mod store;
mod trace;
mod world;

use std::env;

use run::{Outcome, play, play_all};

/// How many seeds are played when nothing is said.
const SEEDS: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number: {text}")))
}

#[test]
fn nothing_is_lost_and_nothing_paid_twice() {
    if let Some(seed) = number("SWITCHYARD_SIM_SEED") {
        run::tell();
        let outcome = play(seed);
        return assert_eq!(outcome.violation, None, "seed {seed}");
    }
    let seeds = number("SWITCHYARD_SIM_SEEDS").unwrap_or(SEEDS);
    let failed = play_all(0..seeds);
    if let Some(outcome) = failed.first() {
        outcome.show();
        let seeds: Vec<u64> = failed.iter().map(|outcome| outcome.seed).collect();
        panic!("seed {} failed: {:?}; all: {seeds:?}", outcome.seed, outcome.violation);
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [1, 2, 3, 5, 8] {
        let hash = |outcome: Outcome| outcome.hash;
        assert_eq!(hash(play(seed)), hash(play(seed)), "seed {seed}");
    }
}
