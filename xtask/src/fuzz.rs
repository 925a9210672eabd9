//! Runs the fuzzers of `fuzz/`, one after the other.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::run::{find_program, heading, output, run};

/// What to fuzz, and how long.
#[derive(clap::Args)]
pub(crate) struct Fuzz {
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Put what the runs found worth keeping into `fuzz/corpus`
    #[arg(long)]
    keep: bool,
    /// Which targets; all when none is named
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

pub(crate) fn run_all(fuzz: &Fuzz) -> anyhow::Result<()> {
    check_tools()?;
    let known = known_targets()?;
    if let Some(unknown) = fuzz.targets.iter().find(|name| !known.contains(name)) {
        bail!(
            "there is no target {unknown}; there are: {}",
            known.join(", ")
        );
    }
    let targets = match fuzz.targets.is_empty() {
        true => &known,
        false => &fuzz.targets,
    };
    heading("Building the fuzzers");
    run(&mut cargo_fuzz("build"))?;
    for target in targets {
        heading(&format!("Fuzzing {target} for {} seconds", fuzz.seconds));
        let (found, kept) = (Path::new(FOUND).join(target), corpus(target));
        fs::create_dir_all(&found)?;
        run(cargo_fuzz("run")
            .arg(target)
            .args([&found, &kept])
            .arg("--")
            .arg(format!("-max_total_time={}", fuzz.seconds))
            .args(["-timeout=10", "-print_final_stats=1"]))
        .with_context(|| {
            format!("{target} found a fault; its input is in fuzz/artifacts/{target}")
        })?;
        if fuzz.keep {
            keep(target, &found, &kept)?;
        }
    }
    Ok(())
}

/// Replaces the corpus by the smallest set of inputs that reaches all that it and the found ones reach.
fn keep(target: &str, found: &Path, kept: &Path) -> anyhow::Result<()> {
    let merged = Path::new(FOUND).join(format!("{target}.merged"));
    if merged.exists() {
        fs::remove_dir_all(&merged)?;
    }
    fs::create_dir_all(&merged)?;
    run(cargo_fuzz("run")
        .arg(target)
        .args([&merged, kept, found])
        // How often a line was run makes no input worth keeping.
        .args(["--", "-set_cover_merge=1", "-use_counters=0"]))?;
    fs::remove_dir_all(kept)?;
    fs::rename(&merged, kept)?;
    Ok(())
}

/// Without AddressSanitizer, which watches unsafe code: the parsers have none, and are twice as fast without it.
fn cargo_fuzz(subcommand: &str) -> Command {
    let mut command = Command::new("cargo");
    // The cargo of this chore is of the project's toolchain.
    command.env_remove("RUSTUP_TOOLCHAIN");
    command.args(["+nightly", "fuzz", subcommand, "--sanitizer", "none"]);
    command
}

fn check_tools() -> anyhow::Result<()> {
    let nightly = output(
        Command::new("cargo")
            .env_remove("RUSTUP_TOOLCHAIN")
            .args(["+nightly", "--version"]),
    );
    if nightly.is_err() {
        bail!("nightly Rust is missing. Install it with: rustup toolchain install nightly");
    }
    if find_program("cargo-fuzz").is_none() {
        bail!("cargo-fuzz is missing. Install it with: cargo install cargo-fuzz");
    }
    Ok(())
}

fn known_targets() -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("fuzz/fuzz_targets")? {
        let file = entry?.path();
        names.extend(
            file.file_stem()
                .and_then(|name| name.to_str())
                .map(str::to_owned),
        );
    }
    names.sort();
    Ok(names)
}

fn corpus(target: &str) -> PathBuf {
    Path::new("fuzz/corpus").join(target)
}

/// What runs find stays out of sight of git until it is kept.
const FOUND: &str = "fuzz/target/found";
