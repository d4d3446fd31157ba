//! Stories and properties of an organisation's decisions.
//!
//! A story is a script for [`script::check`]: one command a line, told back with its events (`+`), its
//! effects (`>`), and the wallets whose funds have moved (`=`). A property holds whatever arrives.

mod any;
mod attempts;
mod by_hand;
mod cancels;
mod claims;
mod contradictions;
mod house;
mod limits;
mod names;
mod proof;
mod properties;
mod receives;
mod revisions;
mod script;
mod sends;
mod told;
mod wallets;
mod words;
