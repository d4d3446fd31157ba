//! What the suites stand on: real processes, started on ports of their own and stopped with the test.

pub mod bed;
pub mod cli;
pub mod collector;
mod customer;
pub mod load;
pub mod plain_http;
pub mod postgres;
pub mod process;
pub mod random;
pub mod reach;
pub mod redis;
pub mod way;
pub mod world;
pub mod writer;
