//! Arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser as _;
use claviger::{cli::Cli, commands};

/// A request allocates some hundred times; the system's allocator takes an eighth of its time (decision 7).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match commands::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("claviger: {error}");
            ExitCode::FAILURE
        }
    }
}
