//! A server under test as a process of its own: started on one core, watched from outside, ended at the end.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    time::{clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

const START_WITHIN: Duration = Duration::from_secs(20);

/// The host that pages and RP ID of every bench have.
pub(crate) const RP_ID: &str = "localhost";
/// The origin of the pages.
pub(crate) const ORIGIN: &str = "http://localhost:8081";

/// Which core is whose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    server: usize,
    generator: usize,
}

impl Cores {
    /// The first two cores that this process may use. Pins the calling thread to the second.
    pub(crate) fn claim() -> anyhow::Result<Cores> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let mut cores = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false));
        let (Some(server), Some(generator)) = (cores.next(), cores.next()) else {
            bail!("the benches need two cores: one for the server and one for the load");
        };
        pin(generator)?;
        Ok(Cores { server, generator })
    }
}

fn pin(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &set)?;
    Ok(())
}

/// A server that runs, and what it takes to talk to it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) app_id: String,
    pub(crate) api_key: String,
    child: Child,
    _folder: TempDir,
}

impl Server {
    /// The real `claviger serve` with its data in a new folder under `parent`. One app, default settings.
    pub(crate) fn claviger(cores: Cores, parent: &Path) -> anyhow::Result<Server> {
        let folder = folder(parent)?;
        let program = sibling("claviger")?;
        let address = free_address()?;
        write_master_key(&folder.path().join("master.key"))?;
        let command = || {
            let mut command = Command::new(&program);
            // The settings of whoever runs the benches are not meant for this server.
            for (name, _) in std::env::vars_os() {
                if name.to_string_lossy().starts_with("CLAVIGER_") {
                    command.env_remove(name);
                }
            }
            command
                .arg("--data-dir")
                .arg(folder.path())
                .args(["--listen", &address.to_string()]);
            command
        };
        let made = |arguments: &[&str], member: &str| -> anyhow::Result<String> {
            let output = command().args(arguments).arg("--json").output()?;
            if !output.status.success() {
                bail!("{}", String::from_utf8_lossy(&output.stderr));
            }
            let json: Value = serde_json::from_slice(&output.stdout)?;
            Ok(json[member]
                .as_str()
                .with_context(|| format!("no {member}"))?
                .to_owned())
        };
        let app_id = made(
            &["app", "create", "--name", "Bench", "--origin", ORIGIN],
            "app_id",
        )?;
        let api_key = made(
            &["api-key", "create", "--app", &app_id, "--name", "Bench"],
            "api_key",
        )?;
        let mut serve = command();
        serve.arg("serve");
        start(cores, serve, address, app_id, api_key, folder)
    }

    /// The floor program.
    pub(crate) fn floor(cores: Cores, parent: &Path) -> anyhow::Result<Server> {
        let folder = folder(parent)?;
        let address = free_address()?;
        let api_key = "floor".to_owned();
        let mut floor = Command::new(sibling("floor")?);
        floor
            .args(["--port", &address.port().to_string()])
            .arg("--database")
            .arg(folder.path().join("floor.db"))
            .args(["--api-key", &api_key, "--rp-id", RP_ID, "--origin", ORIGIN]);
        start(cores, floor, address, "floor".into(), api_key, folder)
    }

    /// The peer on Node.js in `benches/peer`, whose packages must be installed.
    pub(crate) fn peer(cores: Cores, parent: &Path) -> anyhow::Result<Server> {
        let folder = folder(parent)?;
        let address = free_address()?;
        let api_key = "peer".to_owned();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("peer/server.mjs");
        let mut peer = Command::new("node");
        peer.arg(program)
            .args([&address.port().to_string()])
            .arg(folder.path().join("peer.db"))
            .args([&api_key, RP_ID, ORIGIN]);
        start(cores, peer, address, "peer".into(), api_key, folder)
    }

    /// The CPU that all threads of the server have used so far, user and system.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let clock = clock_getcpuclockid(self.pid())?;
        Ok(clock_gettime(clock)?.into())
    }

    fn pid(&self) -> Pid {
        // Process ids are small on every system.
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// The memory that the server holds now, in KiB.
    pub(crate) fn memory_kib(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next())
            .context("a resident set")?
            .parse()
            .context("a number of KiB")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has ended already needs no telling.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(
    cores: Cores,
    mut command: Command,
    address: SocketAddr,
    app_id: String,
    api_key: String,
    folder: TempDir,
) -> anyhow::Result<Server> {
    let log_path = folder.path().join("log");
    let log = File::create(&log_path)?;
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    // A child begins on its parent's core.
    pin(cores.server)?;
    let child = command.spawn();
    pin(cores.generator)?;
    let mut server = Server {
        address,
        app_id,
        api_key,
        child: child.with_context(|| format!("cannot start {command:?}"))?,
        _folder: folder,
    };
    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        let ended = server.child.try_wait()?;
        if ended.is_some() || started.elapsed() > START_WITHIN {
            let log = std::fs::read_to_string(&log_path).unwrap_or_default();
            bail!("{command:?} does not serve:\n{log}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(server)
}

fn folder(parent: &Path) -> anyhow::Result<TempDir> {
    std::fs::create_dir_all(parent)?;
    Ok(TempDir::new_in(parent)?)
}

/// A program that was built together with this one.
fn sibling(name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    if !program.is_file() {
        bail!(
            "{} is missing; run the benches with: cargo xtask bench",
            program.display()
        );
    }
    Ok(program)
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn write_master_key(path: &Path) -> anyhow::Result<()> {
    use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};

    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key)?;
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(BASE64_STANDARD.encode(key).as_bytes())?;
    Ok(())
}
