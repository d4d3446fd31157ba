//! The binary as a user has it: processes, exit codes, ready files.

#![allow(clippy::unwrap_used, reason = "tests")]

mod cluster;
mod config;
mod demo;
mod help;
mod platform;
mod rest;
mod sim;
mod stream;
mod support;
