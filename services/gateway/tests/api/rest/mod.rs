//! The REST face, one file per subject, over HTTP/1.1 where nothing else is said.

mod bad_input;
mod cancel;
mod client;
mod document;
mod events;
mod examples;
mod http2;
mod keys;
mod ledger;
mod lines;
mod lists;
mod once;
mod payments;
mod preview;
mod wallets;
