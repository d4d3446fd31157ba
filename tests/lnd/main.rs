//! Stories on real lnd nodes. `nodes/` builds them, `harness/` runs them, one module per subject.

#[allow(dead_code, unused_imports, reason = "stories use what they need of the harness")]
mod harness;

mod adapter;
mod facts;
mod platform;
