//! The one binary: `switchyard standalone | gateway | engine | cluster | demo | sim | …`.
//!
//! One file (or folder) for each group of commands; `output.rs` writes every answer, `failure.rs`
//! says how a command did not succeed, `bootstrap::exit` lists the codes it then ends with.

mod children;
mod cli;
mod client;
mod cluster;
mod demo;
mod door;
mod events;
mod failpoints;
mod failure;
mod installation;
mod key;
mod leash;
mod line;
mod listeners;
mod names;
mod node;
mod org;
mod output;
mod payment;
mod platform;
mod pods;
mod presence;
mod process;
mod ready;
mod restore;
mod settings;
mod show;
mod sim;
mod standalone;
mod stores;
mod wallet;

use bootstrap::Exit;
use clap::Parser as _;

/// A payment is made of many small, short-lived pieces: the system's allocator took a third of its CPU.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Exit {
    let _failpoints = failpoints::arm();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && std::env::args().any(|flag| flag == "--json") => {
            let why = error.render().to_string();
            let why = why.trim().trim_start_matches("error: ").to_owned();
            return output::Output::new(true).failure(&failure::Failure::invalid(why));
        }
        Err(error) => {
            // Whoever closed stdout does not want to know.
            drop(error.print());
            return if error.use_stderr() { Exit::Invalid } else { Exit::Done };
        }
    };
    let out = output::Output::new(cli.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return out.failure(&failure::Failure::bug(error)),
    };
    match runtime.block_on(cli.run(&out)) {
        Ok(exit) => out.end(exit),
        Err(failure) => out.failure(&failure),
    }
}
