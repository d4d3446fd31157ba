//! Gateways and engines as processes of their own over one PostgreSQL, beside a simulated network, while
//! customers pay.
//!
//! Build the binary first: `cargo build -p switchyard`. Leases run in real time.

mod broken;
mod chaos;
mod clocks;
mod full;
mod hints;
mod keyed;
mod leases;
mod moving;
mod nodes;
mod parted;
mod plan;
mod restored;
mod starts;
mod stopped;
mod storms;
mod traced;

use tests::{bed, load};
