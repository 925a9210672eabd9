//! What the tests need beside Rust: Node packages, a PostgreSQL server, a
//! browser, the AWS CLI. Each is found, or installed where that may be done.

use std::{
    net::TcpListener,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use nix::unistd::{Uid, User};

use crate::run::{find_program, heading, install, output, root, run};

const NODE_MAJOR_MIN: u32 = 20;

/// Installs the Node packages of the lock file unless they are there already.
pub(crate) fn node_packages() -> anyhow::Result<()> {
    let Some(node) = find_program("node").filter(|_| find_program("npm").is_some()) else {
        bail!("Node.js {NODE_MAJOR_MIN} or later with npm is needed: https://nodejs.org");
    };
    let version = output(Command::new(node).arg("--version"))?;
    let major: Option<u32> = version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    if major.is_none_or(|major| major < NODE_MAJOR_MIN) {
        bail!(
            "Node.js {NODE_MAJOR_MIN} or later is needed; this is {}",
            version.trim()
        );
    }
    // npm leaves its own copy of the lock file; when it is as new, nothing is missing.
    let modified = |file: &str| {
        std::fs::metadata(file)
            .and_then(|file| file.modified())
            .ok()
    };
    let installed = modified("node_modules/.package-lock.json");
    if installed.is_some() && installed >= modified("package-lock.json") {
        return Ok(());
    }
    heading("Installing the Node packages");
    run(Command::new("npm").args(["ci", "--no-fund", "--no-audit"]))
}

/// OpenSSL, for the tests alone: Passage's published Rust client is built on its
/// library, and the published browser client needs a certificate for its hosts.
pub(crate) fn openssl() -> anyhow::Result<()> {
    // Elsewhere than on Linux that client uses the system's own TLS.
    let is_library_found = || {
        !cfg!(target_os = "linux")
            || output(Command::new("pkg-config").args(["--exists", "openssl"])).is_ok()
    };
    if find_program("openssl").is_some() && is_library_found() {
        return Ok(());
    }
    install(&["openssl", "libssl-dev", "pkg-config"], "OpenSSL")
}

/// The browser for the browser tests.
pub(crate) fn chromium() -> anyhow::Result<PathBuf> {
    let find = || {
        ["chromium", "chromium-browser", "google-chrome"]
            .into_iter()
            .find_map(find_program)
    };
    if let Some(found) = find() {
        return Ok(found);
    }
    install(&["chromium"], "A Chromium browser")?;
    find().context("Chromium was installed but is not on the PATH")
}

/// The AWS CLI, from the Python package index, in a folder of its own.
pub(crate) fn aws_cli() -> anyhow::Result<PathBuf> {
    python_programs("aws-cli", &["awscli"]).map(|bin| bin.join("aws"))
}

/// Programs from the Python package index, in a folder of their own below
/// `target`: gives where they are. What is there already stays as it is, so a
/// version that matters belongs into the folder's name.
pub(crate) fn python_programs(folder: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let folder = root().join("target").join(folder);
    let bin = folder.join("bin");
    // Written last, so that an installation that was cut short begins again.
    let complete = folder.join("complete");
    if complete.is_file() {
        return Ok(bin);
    }
    if find_program("python3").is_none() {
        install(&["python3", "python3-venv"], "Python 3")?;
    }
    heading(&format!("Installing {}", packages.join(" ")));
    let venv = || {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder))
    };
    if venv().is_err() {
        install(&["python3-venv"], "Python's venv module")?;
        venv()?;
    }
    run(Command::new(bin.join("pip"))
        .args(["install", "--quiet"])
        .args(packages))?;
    std::fs::write(complete, "")?;
    Ok(bin)
}

/// A PostgreSQL server of our own in a temporary folder; gone when dropped.
pub(crate) struct Postgres {
    bin: PathBuf,
    owner: Option<User>,
    folder: tempfile::TempDir,
    port: u16,
}

impl Postgres {
    /// Starts a server on a free port. It may lose data at a power cut: tests
    /// kill our processes, never this one.
    pub(crate) fn start() -> anyhow::Result<Postgres> {
        let bin = match find_postgres() {
            Some(bin) => bin,
            None => {
                install(&["postgresql"], "PostgreSQL")?;
                find_postgres().context("PostgreSQL was installed but cannot be found")?
            }
        };
        heading("Starting PostgreSQL");
        let owner = unprivileged_user()?;
        let folder = tempfile::tempdir()?;
        if let Some(owner) = &owner {
            std::os::unix::fs::chown(
                folder.path(),
                Some(owner.uid.as_raw()),
                Some(owner.gid.as_raw()),
            )?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let postgres = Postgres {
            bin,
            owner,
            folder,
            port,
        };
        output(
            postgres
                .command("initdb")
                .args(["--auth=trust", "--username=postgres", "--no-sync", "-D"])
                .arg(postgres.data()),
        )?;
        let options = format!(
            "-p {port} -k {} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=500",
            postgres.folder.path().display()
        );
        // Its standard streams must not be ours, or whoever reads ours waits for the server's end.
        run(postgres
            .command("pg_ctl")
            .args(["start", "--wait", "--silent", "-o", &options, "-l"])
            .arg(postgres.folder.path().join("log"))
            .arg("-D")
            .arg(postgres.data())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null()))?;
        Ok(postgres)
    }

    /// Where tests may create databases.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(self.folder.path());
        if let Some(owner) = &self.owner {
            command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let stopped = self
            .command("pg_ctl")
            .args(["stop", "--silent", "--mode=immediate", "-D"])
            .arg(self.data())
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("PostgreSQL on port {} could not be stopped", self.port);
        }
    }
}

fn find_postgres() -> Option<PathBuf> {
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|bin| bin.join("initdb").is_file())
        .collect();
    debian.sort();
    debian.pop().or_else(|| {
        find_program("initdb")
            .as_deref()
            .and_then(Path::parent)
            .filter(|bin| bin.join("pg_ctl").is_file())
            .map(Path::to_owned)
    })
}

/// PostgreSQL refuses to run as root; then it runs as somebody with few rights.
fn unprivileged_user() -> anyhow::Result<Option<User>> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)? {
            return Ok(Some(user));
        }
    }
    bail!("PostgreSQL does not run as root, and there is neither a user postgres nor nobody");
}

/// Waits until something accepts connections on a port of this machine.
pub(crate) async fn wait_for_port(port: u16, patience: Duration) -> anyhow::Result<()> {
    let since = Instant::now();
    while tokio::net::TcpStream::connect(("localhost", port))
        .await
        .is_err()
    {
        if since.elapsed() > patience {
            bail!("nothing listens on port {port} after {patience:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
