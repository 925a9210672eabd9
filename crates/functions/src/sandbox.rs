//! The process of an instance: its environment, its limits, its output, its end (lambda.md §12).
//!
//! What holds on every host: nothing of the server's environment or open files is inherited, the
//! process leads a group of its own that is killed as a whole, its package is read-only by its
//! modes, its Runtime API takes connections of this group only, and it has limits on data memory
//! (MemorySize and what the runtime needs beside it), open files and file size, and no core dumps.
//! The limits are set from outside, so they come into force a few milliseconds after the start.
//!
//! When the server runs as root and other users can reach the working directory and Node.js, each
//! instance also runs as a user and group of its own, which nobody else has, with a limit on
//! processes; it reads nothing that others may not read. The log says so at the start.
//!
//! What does not hold: there are no namespaces, so `/tmp` is the host's (`TMPDIR` names a private
//! folder), the network is the host's, and without a user of its own a function reads what the
//! server's user can read. `no_new_privs` and a death signal need code between fork and exec that
//! this program does not have: an instance whose server was killed ends because its Runtime API is
//! gone, and what still runs (a handler in an endless loop) is ended by the next start on the same
//! working directory.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{PermissionsExt as _, chown},
    },
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use platform::Fault;
use rustix::{
    fs::{FlockOperation, flock},
    process::{Pid, Resource, Rlimit, Signal, geteuid, kill_process_group, prlimit},
};
use tokio::{
    net::unix::pipe,
    process::{Child, Command},
    sync::OnceCell,
};

/// Users and groups of instances: beyond what distributions, containers and service managers give
/// out, and never in a password file.
const FIRST_USER: u32 = 1_900_000_000;
const USERS: u64 = 65_536;

const OPEN_FILES_MAX: u64 = 1024;
const PROCESSES_MAX: u64 = 1024;
/// What the runtime needs beside the function's memory. V8 maps code, stacks and pools that a
/// function does not count as its own.
const NODE_OVERHEAD_MB: u64 = 1024;
const PROVIDED_OVERHEAD_MB: u64 = 256;

const BOOTSTRAP: &str = include_str!("../node/bootstrap.cjs");

/// How instances are started on this host.
#[derive(Debug)]
pub(crate) struct Sandbox {
    work_dir: PathBuf,
    configured_node: Option<PathBuf>,
    programs: Vec<PathBuf>,
    facts: OnceCell<Facts>,
    /// Holds the working directory against a second server.
    lock: std::sync::Mutex<Option<File>>,
}

/// What this host can do, found out once.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Each instance runs as a user of its own.
    pub(crate) has_own_users: bool,
    pub(crate) node: Option<Node>,
}

/// The host's Node.js.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) path: PathBuf,
    pub(crate) major: u32,
}

/// What to start.
pub(crate) struct Plan<'a> {
    pub(crate) program: &'a Path,
    pub(crate) arguments: &'a [OsString],
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) task_root: &'a Path,
    pub(crate) user: Option<u32>,
    pub(crate) is_node: bool,
    pub(crate) memory_mb: i64,
    pub(crate) ephemeral_storage_mb: i64,
}

impl Sandbox {
    /// Takes the working directory: locks it, ends what an earlier server left running in it, and
    /// empties it of packages and temporary files.
    pub(crate) fn new(
        work_dir: &Path,
        configured_node: Option<PathBuf>,
        programs: Vec<PathBuf>,
    ) -> Result<Sandbox, Fault> {
        let disk = |error: io::Error| {
            Fault::while_doing(
                format!("preparing the functions' folder {}", work_dir.display()),
                error,
            )
        };
        if !work_dir.exists() {
            fs::create_dir_all(work_dir).map_err(disk)?;
            // Instances with users of their own pass through and see no names.
            fs::set_permissions(work_dir, Permissions::from_mode(0o711)).map_err(disk)?;
        }
        let work_dir = work_dir.canonicalize().map_err(disk)?;
        let lock = File::create(work_dir.join("lock")).map_err(disk)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            Fault::new(format!(
                "the functions' folder {} is in use by another server",
                work_dir.display()
            ))
        })?;
        let sandbox = Sandbox {
            configured_node,
            programs,
            facts: OnceCell::new(),
            lock: std::sync::Mutex::new(Some(lock)),
            work_dir,
        };
        sandbox.end_left_over_processes();
        for dir in [
            sandbox.packages_dir(),
            sandbox.temporary_dir(),
            sandbox.runtime_dir(),
        ] {
            match fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk(error)),
                _ => fs::create_dir(&dir).map_err(disk)?,
            }
            // What is in it can be reached by who knows its name and not looked for.
            fs::set_permissions(&dir, Permissions::from_mode(0o711)).map_err(disk)?;
        }
        let bootstrap = sandbox.bootstrap_path();
        fs::write(&bootstrap, BOOTSTRAP).map_err(disk)?;
        fs::set_permissions(&bootstrap, Permissions::from_mode(0o444)).map_err(disk)?;
        Ok(sandbox)
    }

    /// Lets another server have the working directory.
    pub(crate) fn unlock(&self) {
        let lock = self
            .lock
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        if let Some(lock) = lock {
            // Closing is not enough: a process that is just being started has the file for a moment.
            let _ = flock(&lock, FlockOperation::Unlock);
        }
    }

    pub(crate) fn packages_dir(&self) -> PathBuf {
        self.work_dir.join("packages")
    }

    pub(crate) fn runtime_dir(&self) -> PathBuf {
        self.work_dir.join("runtime")
    }

    pub(crate) fn bootstrap_path(&self) -> PathBuf {
        self.runtime_dir().join("bootstrap.cjs")
    }

    fn temporary_dir(&self) -> PathBuf {
        self.work_dir.join("tmp")
    }

    /// What this host can do. Asks once, which starts a process or two.
    pub(crate) async fn facts(&self) -> &Facts {
        self.facts
            .get_or_init(|| async {
                let node = self.find_node().await;
                let has_own_users = geteuid().is_root() && self.can_switch_user(&node).await;
                tracing::info!(
                    own_users = has_own_users,
                    node = node.as_ref().map(|node| node.path.display().to_string()),
                    node_major = node.as_ref().map(|node| node.major),
                    "functions run with a cleared environment, a process group and limits of \
                     their own{}",
                    if has_own_users {
                        ", each instance as a user of its own"
                    } else {
                        "; they run as this server's user and can read what it can"
                    }
                );
                Facts {
                    has_own_users,
                    node,
                }
            })
            .await
    }

    /// The user of an instance, where instances have one.
    pub(crate) async fn user_of(&self, instance_id: u64) -> Option<u32> {
        let number = u32::try_from(instance_id % USERS).ok()?;
        self.facts()
            .await
            .has_own_users
            .then_some(FIRST_USER + number)
    }

    /// A private folder for an instance's temporary files; gone when it is dropped.
    pub(crate) fn create_temporary_dir(
        &self,
        user: Option<u32>,
    ) -> Result<tempfile::TempDir, io::Error> {
        let dir = tempfile::Builder::new()
            .prefix("instance-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(self.temporary_dir())?;
        if user.is_some() {
            chown(dir.path(), user, user)?;
        }
        Ok(dir)
    }

    async fn find_node(&self) -> Option<Node> {
        let path = match &self.configured_node {
            Some(path) => path.clone(),
            None => std::env::split_paths(&std::env::var_os("PATH")?)
                .map(|dir| dir.join("node"))
                .find(|path| path.is_file())?,
        };
        let output = Command::new(&path)
            .arg("--version")
            .env_clear()
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .inspect_err(|error| {
                tracing::warn!(node = %path.display(), %error, "Node.js does not start");
            })
            .ok()?;
        let major = String::from_utf8_lossy(&output.stdout)
            .trim()
            .strip_prefix('v')
            .and_then(|version| version.split('.').next()?.parse().ok())?;
        Some(Node { path, major })
    }

    /// Whether another user can be switched to, and reaches the packages, Node.js, and the
    /// programs that functions start.
    async fn can_switch_user(&self, node: &Option<Node>) -> bool {
        Command::new("/bin/sh")
            .args([
                "-c",
                "for program; do test -x \"$program\" || exit 1; done",
                "sh",
            ])
            .args(node.as_ref().map(|node| &node.path))
            .args(&self.programs)
            .env_clear()
            .current_dir(self.packages_dir())
            .uid(FIRST_USER)
            .gid(FIRST_USER)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .status()
            .await
            .is_ok_and(|status| status.success())
    }

    /// Ends processes of an earlier server on this working directory. They are known by their
    /// environment, which names a package below it; nobody else's does, and the lock says that no
    /// living server's does either.
    fn end_left_over_processes(&self) {
        let marker = format!("LAMBDA_TASK_ROOT={}/", self.packages_dir().display());
        let Ok(processes) = fs::read_dir("/proc") else {
            return;
        };
        for process in processes.flatten() {
            let Some(pid) = process
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
                .and_then(Pid::from_raw)
            else {
                continue;
            };
            let is_ours = fs::read(process.path().join("environ")).is_ok_and(|environment| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|variable| variable.starts_with(marker.as_bytes()))
            });
            if is_ours {
                tracing::info!(
                    pid = pid.as_raw_nonzero().get(),
                    "ending an instance that an earlier server left"
                );
                let _ = kill_process_group(pid, Signal::KILL);
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// A running process and the pipe that both its outputs go into, so that their order is kept.
pub(crate) struct Process {
    child: Child,
    group: Pid,
    output: pipe::Receiver,
    is_output_open: bool,
    is_ended: bool,
}

impl Process {
    /// Starts what the plan says.
    pub(crate) fn start(plan: &Plan<'_>) -> Result<Process, io::Error> {
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(plan.program);
        command
            .args(plan.arguments)
            .env_clear()
            .envs(&plan.environment)
            .current_dir(plan.task_root)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .kill_on_drop(true);
        if let Some(user) = plan.user {
            // Also drops the server's supplementary groups.
            command.uid(user).gid(user);
        }
        let child = command.spawn()?;
        // The command holds the writing ends; without them the pipe ends with the process.
        drop(command);
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the process has no id"))?;
        limit(group, plan);
        Ok(Process {
            child,
            group,
            output: pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?,
            is_output_open: true,
            is_ended: false,
        })
    }

    /// The process group; also the id of its leader.
    pub(crate) fn group(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// Waits for output or the end of the process; nothing means output.
    pub(crate) async fn output_or_exit(&mut self) -> Option<ExitStatus> {
        tokio::select! {
            biased;
            _ = self.output.readable(), if self.is_output_open => None,
            status = self.child.wait() => status.ok(),
        }
    }

    /// Whether the process has ended without anybody having noticed yet.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Gives what the process has printed so far to `take`, at most a megabyte at once.
    pub(crate) fn read_output(&mut self, mut take: impl FnMut(&[u8])) {
        let mut buffer = [0; 16 * 1024];
        for _ in 0..64 {
            match self.output.try_read(&mut buffer) {
                Ok(0) => {
                    self.is_output_open = false;
                    return;
                }
                Ok(count) => take(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.is_output_open = false;
                    return;
                }
            }
        }
    }

    /// The most memory the process has had at once, in megabytes.
    pub(crate) fn peak_memory_mb(&self) -> u64 {
        let pid = self.group.as_raw_nonzero();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
            .map_or(0, |kilobytes| kilobytes.div_ceil(1024))
    }

    /// Kills the whole group, also of a leader that has ended, and takes the leader's end, so that
    /// no zombie stays.
    pub(crate) async fn end(&mut self) {
        self.kill_group();
        let _ = self.child.wait().await;
        // From here on the number may become somebody else's.
        self.is_ended = true;
    }

    fn kill_group(&self) {
        // It may be gone already.
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_ended {
            self.kill_group();
        }
    }
}

/// Limits what the process may use. They come into force just after its start, and hold for what
/// it starts in turn.
fn limit(pid: Pid, plan: &Plan<'_>) {
    const MEGABYTE: u64 = 1024 * 1024;
    let overhead_mb = if plan.is_node {
        NODE_OVERHEAD_MB
    } else {
        PROVIDED_OVERHEAD_MB
    };
    let memory_mb = u64::try_from(plan.memory_mb).unwrap_or(128).max(128) + overhead_mb;
    let storage_mb = u64::try_from(plan.ephemeral_storage_mb).unwrap_or(512);
    let mut limits = vec![
        // Data and not address space: V8 reserves far more addresses than it uses.
        (Resource::Data, "data", memory_mb * MEGABYTE),
        (Resource::Nofile, "nofile", OPEN_FILES_MAX),
        (Resource::Fsize, "fsize", storage_mb * MEGABYTE),
        (Resource::Core, "core", 0),
    ];
    if plan.user.is_some() {
        // Counted by user: with the server's own it would count the server's threads too.
        limits.push((Resource::Nproc, "nproc", PROCESSES_MAX));
    }
    let is_denied = limits.iter().any(|(resource, _, value)| {
        let bound = Rlimit {
            current: Some(*value),
            maximum: Some(*value),
        };
        prlimit(Some(pid), *resource, bound).is_err()
    });
    if let (true, Some(user)) = (is_denied, plan.user) {
        let limits = limits
            .iter()
            .map(|(_, name, value)| format!("--{name}={value}:{value}"))
            .collect();
        tokio::spawn(limit_as(user, pid, limits));
    }
}

/// Sets the limits as the instance's own user, who may lower them: a root without the right to
/// change the limits of others (as in most containers) may not.
async fn limit_as(user: u32, pid: Pid, limits: Vec<String>) {
    let outcome = Command::new("prlimit")
        .arg(format!("--pid={}", pid.as_raw_nonzero()))
        .args(limits)
        .env_clear()
        .uid(user)
        .gid(user)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
    // The process may be over already.
    let is_running = rustix::process::test_kill_process(pid).is_ok();
    if is_running && !outcome.is_ok_and(|status| status.success()) {
        tracing::warn!(
            "an instance runs without limits: the server may not set them, and the program \
             prlimit (of util-linux) is missing or failed"
        );
    }
}
