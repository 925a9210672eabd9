//! Runs the benches: builds Claviger and them as for a release, and what a peer needs.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::run::{cargo, find_program, heading, install, output, run};

const PEER: &str = "benches/peer";

/// Everything but `passkeys` and the like is for the benches themselves.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Bench {
    /// What to measure, and how: `passkeys`, `passkeys --quick`, `passkeys --help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    arguments: Vec<String>,
}

pub(crate) fn run_all(bench: &Bench) -> anyhow::Result<()> {
    let has = |flag: &str| bench.arguments.iter().any(|argument| argument == flag);
    heading("Building for release (some minutes the first time)");
    run(cargo().args([
        "build",
        "--release",
        "--package",
        "claviger",
        "--package",
        "benches",
    ]))?;
    if !has("--no-peer") && !has("--help") {
        peer()?;
    }
    run(Command::new(release_program("bench")?).args(&bench.arguments))
}

/// The peer's Node packages, one of which is compiled here: from the headers of the Node.js that will run it.
fn peer() -> anyhow::Result<()> {
    let addon = "node_modules/better-sqlite3/build/Release/better_sqlite3.node";
    if Path::new(PEER).join(addon).is_file() {
        return Ok(());
    }
    if find_program("npm").is_none() {
        bail!("the peer needs Node.js with npm: https://nodejs.org; or leave it out: --no-peer");
    }
    for program in ["c++", "make", "python3"] {
        if find_program(program).is_none() {
            install(
                &["build-essential", "python3"],
                "What compiles the peer's SQLite",
            )?;
        }
    }
    heading("Installing and compiling the peer's packages (a minute)");
    let npm = |arguments: &[&str]| {
        let mut npm = Command::new("npm");
        npm.args(arguments).current_dir(PEER);
        npm
    };
    run(&mut npm(&[
        "ci",
        "--ignore-scripts",
        "--no-fund",
        "--no-audit",
    ]))?;
    let mut rebuild = npm(&["rebuild", "better-sqlite3", "--build-from-source"]);
    // Without this, npm would look for the headers on the network.
    let node = output(Command::new("node").args(["--print", "process.execPath"]))?;
    let prefix = Path::new(node.trim()).parent().and_then(Path::parent);
    if let Some(prefix) = prefix.filter(|prefix| prefix.join("include/node/node.h").is_file()) {
        rebuild.env("npm_config_nodedir", prefix);
    }
    run(&mut rebuild)
}

/// A program of the release build, in the target folder that this chore was built in.
fn release_program(name: &str) -> anyhow::Result<PathBuf> {
    let chore = std::env::current_exe()?;
    let target = chore.parent().and_then(Path::parent);
    Ok(target
        .context("a target folder")?
        .join("release")
        .join(name))
}
