//! Seeded simulation: the actors on the memory store and a simulated network, on a paused clock.
//!
//! One seed is one run: a small world, commands and hazards as the dice fall, then calm until everything
//! has ended. An auditor of its own reads along (`auditor.rs`, `books.rs`).
//!
//! `SWITCHYARD_SIM_SEED=n cargo test -p tests --test sim` plays one seed and shows what happened;
//! `SWITCHYARD_SIM_SEEDS=n` plays so many. `SWITCHYARD_CLUSTER_SEED=n` plays one with several engines.

#![allow(clippy::wildcard_enum_match_arm, reason = "a trace has words for some events only")]

mod auditor;
mod books;
mod breaks;
mod clients;
mod hazards;
mod life;
mod line;
mod pods;
mod run;
mod script;
mod sim;
mod store;
mod trace;
mod world;

use std::env;

use run::{Outcome, play, play_all};
use tests::random;

/// How many seeds are played when nothing is said; half as many with several engines.
const SEEDS: u64 = 2_000;

/// How many engines live at once.
const ALONE: u64 = 1;
const ENGINES: u64 = 3;

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number: {text}")))
}

#[test]
fn nothing_is_lost_and_nothing_paid_twice() {
    if let Some(seed) = number("SWITCHYARD_SIM_SEED") {
        run::tell();
        let outcome = play(seed, ALONE);
        return assert_eq!(outcome.violation, None, "seed {seed}");
    }
    let seeds = number("SWITCHYARD_SIM_SEEDS").unwrap_or(SEEDS);
    none_fails(&play_all(0..seeds, ALONE));
}

/// Three engines over one store: leases, owners, moves, and pods that are paused past their lease.
#[test]
fn three_engines_are_as_safe_as_one() {
    if let Some(seed) = number("SWITCHYARD_CLUSTER_SEED") {
        run::tell();
        let outcome = play(seed, ENGINES);
        return assert_eq!(outcome.violation, None, "seed {seed}");
    }
    let seeds = number("SWITCHYARD_SIM_SEEDS").unwrap_or(SEEDS);
    none_fails(&play_all(0..seeds / 2, ENGINES));
}

#[track_caller]
fn none_fails(failed: &[Outcome]) {
    if let Some(outcome) = failed.first() {
        outcome.show();
        let seeds: Vec<u64> = failed.iter().map(|outcome| outcome.seed).collect();
        panic!("seed {} failed: {:?}; all: {seeds:?}", outcome.seed, outcome.violation);
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let hash = |outcome: Outcome| outcome.hash;
    for seed in [1, 2, 3, 5, 8] {
        for engines in [ALONE, ENGINES] {
            let (one, other) = (hash(play(seed, engines)), hash(play(seed, engines)));
            assert_eq!(one, other, "seed {seed}, engines: {engines}");
        }
    }
}
