//! What becomes of the process at its named points, in a build that has them.
//!
//! `FAILPOINTS` is the crate `fail`'s own. `STOPS_AT=name:n` stops the process as SIGSTOP does when it comes
//! to that point after `n` passes, once: a pause of any length in the middle of anything.

use std::{
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

const STOPS_AT: &str = "STOPS_AT";

/// Points count until this is dropped.
pub(crate) fn arm() -> fail::FailScenario<'static> {
    let scenario = fail::FailScenario::setup();
    if fail::has_failpoints() {
        die_where_told();
        stop_where_told();
    }
    scenario
}

/// A failpoint told to panic stops the whole process then and there, as a kill would: nothing is
/// unwound, flushed or told to anybody.
fn die_where_told() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        if panic.payload_as_str().is_some_and(|why| why.starts_with("failpoint ")) {
            std::process::abort();
        }
    }));
}

fn stop_where_told() {
    let Ok(told) = std::env::var(STOPS_AT) else { return };
    let (point, passes) = told.rsplit_once(':').expect("STOPS_AT is name:n");
    let passes: u32 = passes.parse().expect("STOPS_AT is name:n");
    let passed = AtomicU32::new(0);
    let stop = move || {
        if passed.fetch_add(1, Ordering::Relaxed) == passes {
            let own = std::process::id().to_string();
            Command::new("kill").args(["-STOP", &own]).status().expect("there is a kill");
        }
    };
    fail::cfg_callback(point, stop).expect("any name will do");
}
