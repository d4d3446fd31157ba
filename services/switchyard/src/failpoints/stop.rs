//! A pause of any length in the middle of anything.

use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, raise};

const STOPS_AT: &str = "STOPS_AT";

/// `STOPS_AT=name:n`: when the process comes to that point after `n` passes, once.
///
/// The signal goes to the very thread that has come there. One sent to the process may reach another thread
/// first, and this one goes on for a while.
pub(super) fn where_told() {
    let Ok(told) = std::env::var(STOPS_AT) else { return };
    let (point, passes) = told.rsplit_once(':').expect("STOPS_AT is name:n");
    let passes: u32 = passes.parse().expect("STOPS_AT is name:n");
    let passed = AtomicU32::new(0);
    let stop = move || {
        if passed.fetch_add(1, Ordering::Relaxed) == passes {
            raise(Signal::SIGSTOP).expect("a thread may stop its process");
        }
    };
    fail::cfg_callback(point, stop).expect("any name will do");
}
