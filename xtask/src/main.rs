//! The project's chores, each one command: `cargo xtask --help`.

mod bench;
mod demo;
mod fuzz;
mod openapi;
mod refresh;
mod run;
mod services;
mod test;
mod triggers;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Chores of the project.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Measure against floors and peers: `cargo xtask bench passkeys`
    Bench(bench::Bench),
    /// Run the guide: Claviger, the example server and the example web app, wired together
    Demo(demo::Demo),
    /// Run the fuzzers; needs nightly Rust and cargo-fuzz
    Fuzz(fuzz::Fuzz),
    /// Take newer data from where others keep it
    #[command(subcommand)]
    Refresh(refresh::Refresh),
    /// Run every check there is: format, lints, unit, acceptance, guide and browser tests
    Test(test::Test),
    /// Check a running server against its OpenAPI document, with requests made up from it
    Openapi,
    /// Package the three triggers as zips for a `provided.al2023` function on x86_64
    Triggers {
        /// Folder to put the zips into
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        out_dir: PathBuf,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse().chore).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(chore: Chore) -> anyhow::Result<()> {
    std::env::set_current_dir(run::root())?;
    match chore {
        Chore::Bench(bench) => bench::run_all(&bench),
        Chore::Demo(demo) => demo::run(demo).await,
        Chore::Fuzz(fuzz) => fuzz::run_all(&fuzz),
        Chore::Refresh(what) => refresh::refresh(&what),
        Chore::Openapi => openapi::check(),
        Chore::Test(test) => test::run_all(&test),
        Chore::Triggers { out_dir } => triggers::package(&out_dir),
    }
}
