//! What happened, line by line, and a hash of it all: the same seed must give the same.

use std::sync::atomic::{AtomicBool, Ordering};

/// FNV-1a.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Lines are shown as they come: of one seed, played by itself.
pub(crate) static LIVE: AtomicBool = AtomicBool::new(false);

pub(crate) struct Trace {
    pub(crate) hash: u64,
    pub(crate) lines: Vec<String>,
}

impl Trace {
    pub(crate) fn new() -> Trace {
        Trace { hash: OFFSET, lines: Vec::new() }
    }

    pub(crate) fn say(&mut self, at_ms: i64, text: &str) {
        let line = format!("{:>4}.{:03} {text}", at_ms / 1_000, at_ms % 1_000);
        for byte in line.bytes().chain([b'\n']) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
        if LIVE.load(Ordering::Relaxed) {
            eprintln!("{line}");
        }
        self.lines.push(line);
    }
}

/// A name that people can follow through a trace.
pub(crate) fn short(hash: &domain::PaymentHash) -> String {
    hash.0.iter().take(3).map(|byte| format!("{byte:02x}")).collect()
}

/// Ids of a run are small numbers.
pub(crate) fn tag<Kind>(prefix: char, id: domain::id::Id<Kind>) -> String {
    format!("{prefix}{}", id.uuid().as_u128())
}
