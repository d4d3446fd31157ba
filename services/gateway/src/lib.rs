//! The door of Switchyard: REST and gRPC for callers with an API key, and gRPC for the operator on a listener of
//! its own. Stateless: it parses, authenticates, asks an organisation or the store, and translates.
//!
//! A caller that hangs up cancels nothing: what was asked of an organisation is decided and
//! committed whether or not somebody still waits for the answer ([`ports::Orgs`]).

mod access;
mod admin;
mod auth;
mod cancel;
mod cursor;
mod edge;
mod estimate;
mod faces;
mod feed;
mod headers;
mod limits;
mod lines;
mod problem;
mod public;
mod rate;
mod rest;
mod serve;
mod share;
mod streams;
mod typed;
mod unread;
mod wallets;
mod watch;

use std::sync::Arc;

use domain::{Network, SessionId};
use ports::{Clock, Directory, Idempotency, Operations, Orgs, Reads, SharedCounts, Wakes};

pub use auth::{AdminToken, TokenTooShort};
pub use rate::RateLimit;
pub use serve::{ServeError, serve_admin, serve_public};

/// What the door opens onto.
#[derive(Clone)]
pub struct Gateway {
    pub orgs: Arc<dyn Orgs>,
    pub reads: Arc<dyn Reads>,
    pub directory: Arc<dyn Directory>,
    pub idempotency: Arc<dyn Idempotency>,
    pub operations: Arc<dyn Operations>,
    pub clock: Arc<dyn Clock>,
    pub network: Network,
    pub rate_limit: RateLimit,
    /// Word of what was committed, for those who follow events.
    pub wakes: Arc<dyn Wakes>,
    /// What other gateways count of the same keys; `None`: there are no others.
    pub counts: Option<Arc<dyn SharedCounts>>,
    /// As what this process says to the store that it lives.
    pub session: SessionId,
}
