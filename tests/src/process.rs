//! Claviger as a process of its own, to be killed without a warning.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use platform::test_database::TestDatabase;

/// A running `claviger dev`.
pub struct Process {
    /// What it printed when it was ready.
    pub seed: Value,
    child: Child,
}

impl Process {
    /// Starts `claviger dev` on a database, and waits until it serves.
    pub async fn start(database: &TestDatabase) -> Process {
        let mut child = claviger(database)
            .args(["dev", "--json", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("its output");
        let line = tokio::time::timeout(
            Duration::from_secs(60),
            BufReader::new(stdout).lines().next_line(),
        )
        .await
        .expect("it is ready within a minute")
        .expect("its output can be read")
        .expect("it prints what it made");
        Process {
            seed: serde_json::from_str(&line).expect("a line of JSON"),
            child,
        }
    }

    /// A text of what it made, such as `user_pool_id`.
    pub fn seeded(&self, name: &str) -> &str {
        self.seed[name]
            .as_str()
            .unwrap_or_else(|| panic!("{name} is missing"))
    }

    /// Ends it as a power cut would: no signal handler runs.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Asks it to stop and gives its exit code.
    pub async fn stop(mut self) -> Option<i32> {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.id()).expect("a process id"));
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).expect("it can be told");
        tokio::time::timeout(Duration::from_secs(20), self.child.wait())
            .await
            .expect("it stops within its time")
            .expect("its exit can be seen")
            .code()
    }
}

/// The program on a database, its arguments still to come.
pub fn claviger(database: &TestDatabase) -> Command {
    let mut command = Command::new(program("claviger"));
    command
        .env("CLAVIGER_DATA_DIR", database.folder())
        .env("CLAVIGER_DATABASE_URL", database.url());
    command
}

/// Runs a command that succeeds, and gives what it printed.
pub async fn succeed(command: &mut Command) -> Vec<u8> {
    let output = command.output().await.expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Runs a command that succeeds, and gives the JSON that it printed.
pub async fn run_json(command: &mut Command) -> Value {
    serde_json::from_slice(&succeed(command).await).expect("a line of JSON")
}

/// Runs a command that fails and says `reason`.
pub async fn refuse(command: &mut Command, reason: &str) {
    let output = command.output().await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{reason}: {said}");
    assert!(said.contains(reason), "{reason}: {said}");
}

/// Creates a passkey app of `https://shop.example.com`, and gives what was said of it.
pub async fn create_app(database: &TestDatabase) -> Value {
    run_json(claviger(database).args([
        "app",
        "create",
        "--name",
        "Shop",
        "--origin",
        "https://shop.example.com",
        "--json",
    ]))
    .await
}

/// A program of the workspace, built beside the tests.
pub fn program(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("the path of the tests");
    let program = tests
        .parent()
        .and_then(Path::parent)
        .expect("the target folder")
        .join(name);
    assert!(
        program.is_file(),
        "{} is missing; build it with: cargo build --workspace --bins",
        program.display()
    );
    program
}
