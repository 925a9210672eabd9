//! Running other programs, with words for the person who waits.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

/// The root of the workspace, wherever the chore was started.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

/// Says what begins.
pub(crate) fn heading(text: &str) {
    eprintln!("\n\x1b[1m==> {text}\x1b[0m");
}

/// Runs a command in sight of the person; an error when it fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = describe(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start: {name}"))?;
    if !status.success() {
        bail!("failed ({status}): {name}");
    }
    Ok(())
}

/// Runs a command and gives what it printed; an error that holds its complaints when it fails.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = describe(command);
    let output = command
        .output()
        .with_context(|| format!("cannot start: {name}"))?;
    if !output.status.success() {
        bail!(
            "failed ({}): {name}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The cargo that runs this chore.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Set for this chore's own package; another cargo must not think it is meant.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME"] {
        command.env_remove(name);
    }
    command
}

/// Where a program is on the PATH.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Installs Debian packages when this may be done without asking, else says what to install.
pub(crate) fn install(packages: &[&str], purpose: &str) -> anyhow::Result<()> {
    let list = packages.join(" ");
    let by_hand = format!("{purpose} is missing. Install it with: sudo apt-get install {list}");
    if !nix::unistd::Uid::effective().is_root() || find_program("apt-get").is_none() {
        bail!(by_hand);
    }
    heading(&format!("Installing {list}"));
    let apt = |arguments: &[&str]| {
        run(Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-q", "-y"])
            .args(arguments))
    };
    apt(&["update"])
        .and_then(|()| apt(&[&["install", "--no-install-recommends"], packages].concat()))
        .context(by_hand)
}

fn describe(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
