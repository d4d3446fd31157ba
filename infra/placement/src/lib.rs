//! Between the pods of a cluster: finds the engine that owns an organisation and calls it, and takes in such
//! calls.
//!
//! Whoever calls may be wrong about the owner, and whoever is called may be gone in the middle. Neither
//! costs money: every call carries an id that is the same on each retry, the owner looks it up before
//! anything else, and only the store's epoch says who can write.
//!
//! Calls that are made often go over one stream from one pod to another, as a call of its own costs several times
//! what is done for it.

mod announced;
mod bell;
mod channels;
mod failure;
mod forward;
mod limits;
mod nodes;
mod owners;
mod redis;
mod restored;
mod road;
mod rows;
mod secret;
mod server;
mod trace;

pub use announced::Announced;
pub use bell::Bell;
pub use forward::Forward;
pub use owners::Owners;
pub use redis::Redis;
pub use secret::{ClusterSecret, SecretUnusable};
pub use server::{ServeError, Served, serve, serve_with_places};
