//! The durable side: SQLite, PostgreSQL, and memory for simulation.

#[cfg(test)]
mod agreement;
pub mod faulty;
pub mod memory;
pub mod postgres;
mod records;
pub mod seal;
mod shape;
pub mod sqlite;
#[cfg(test)]
mod testing;

pub use faulty::Faulty;
pub use memory::Memory;
pub use postgres::Postgres;
pub use seal::{SealError, SealKeys};
pub use sqlite::{OpenError, Sqlite};
