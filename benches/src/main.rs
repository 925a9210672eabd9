//! Benches of the project: ratios against a floor or a peer that is measured in the same run.
//!
//! `cargo xtask bench` builds what this needs and runs it; README.md says what each line means.

mod load;
mod passkeys;
mod report;
mod server;
mod verification;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures Claviger against floors and peers.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Cli {
    #[command(subcommand)]
    product: Product,
}

#[derive(Subcommand)]
enum Product {
    /// P1 to P7: ceremonies of the Passkey Flex service
    Passkeys(passkeys::Passkeys),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Product::Passkeys(passkeys) = Cli::parse().product;
    match passkeys.run().await {
        Ok(report) => {
            report.print(passkeys.json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\nbench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
