//! Bad input, line by line as the issue lists it, and a history that is not the one we left (rule 24): all
//! against the real binary, started on ports of its own beside a simulated network.
//!
//! Build it first: `cargo build -p switchyard`; `restore` needs PostgreSQL's binaries as well. Each test has a
//! world of its own, so their order says nothing.

mod amounts;
mod at_once;
mod bed;
mod bolt11;
mod cancelled;
mod contradicted;
mod failed;
mod forgotten;
mod ids;
mod invoices;
mod names;
mod nodes;
mod own_nodes;
mod receipts;
mod resolved;
mod restore;
mod restored;
mod starts;
mod unloaded;
mod watched;
mod wire;
