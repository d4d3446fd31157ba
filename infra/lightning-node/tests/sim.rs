//! The adapter against the simulated network, over TLS on loopback.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "sim/world.rs"]
mod world;

#[path = "sim/faults.rs"]
mod faults;
#[path = "sim/receiving.rs"]
mod receiving;
#[path = "sim/registering.rs"]
mod registering;
#[path = "sim/sending.rs"]
mod sending;
