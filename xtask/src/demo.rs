//! The whole guide on this machine: builds what is missing, starts Claviger,
//! the example server and the example web app, and stops them together.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

use crate::{
    run::{cargo, heading, run as run_in_sight},
    services::{node_packages, wait_for_port},
};

const START_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// Where the demo keeps its data and listens.
#[derive(clap::Args)]
pub(crate) struct Demo {
    /// Folder for everything Claviger keeps; the next demo starts from it
    #[arg(long, value_name = "FOLDER", default_value = ".claviger")]
    data_dir: PathBuf,
    /// Port of Claviger
    #[arg(long, default_value_t = 8082)]
    port: u16,
    /// Port of the example web app
    #[arg(long, default_value_t = 8081)]
    web_port: u16,
    /// Port of the example server
    #[arg(long, default_value_t = 8080)]
    server_port: u16,
}

pub(crate) async fn run(demo: Demo) -> anyhow::Result<()> {
    build()?;
    heading("Starting");
    let logs = demo.data_dir.join("logs");
    std::fs::create_dir_all(&logs)?;
    for port in [demo.port, demo.web_port, demo.server_port] {
        if tokio::net::TcpStream::connect(("localhost", port))
            .await
            .is_ok()
        {
            bail!(
                "port {port} is taken by another program; stop it, or choose others with --port, \
                 --web-port and --server-port"
            );
        }
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut programs = Programs {
        logs,
        running: Vec::new(),
    };
    let outcome = tokio::select! {
        outcome = serve(&demo, &mut programs) => outcome,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    eprintln!("\nStopping …");
    programs.stop().await;
    outcome
}

fn build() -> anyhow::Result<()> {
    heading("Building Claviger and the example server (some minutes the first time)");
    run_in_sight(cargo().args([
        "build",
        "--package",
        "claviger",
        "--package",
        "example-server",
    ]))?;
    node_packages()?;
    heading("Building the browser SDK");
    run_in_sight(std::process::Command::new("npm").args([
        "run",
        "--silent",
        "build",
        "--workspace",
        "sdks/browser",
    ]))
}

/// Starts everything and returns only if something goes wrong.
async fn serve(demo: &Demo, programs: &mut Programs) -> anyhow::Result<()> {
    let seed = start_claviger(demo, programs).await?;
    let text = |name: &str| {
        seed[name]
            .as_str()
            .with_context(|| format!("Claviger did not say its {name}"))
    };
    let endpoint = format!("http://localhost:{}", demo.port);
    let flex = format!("{endpoint}/v1");
    let web = format!("http://localhost:{}", demo.web_port);
    // Fixed when the data was made: at another address the page would only ever be refused.
    let origin = text("auth_origin")?;
    if origin != web {
        bail!(
            "the passkeys in {} are for {origin}, not for {web}; use that --web-port, or another \
             --data-dir",
            demo.data_dir.display()
        );
    }

    let mut server = Command::new(program("example-server"));
    server
        .env("PORT", demo.server_port.to_string())
        .env("AWS_COGNITO_REGION", text("region")?)
        .env("AWS_COGNITO_USER_POOL_ID", text("user_pool_id")?)
        .env("AWS_COGNITO_APP_CLIENT_ID", text("app_client_id")?)
        .env("AWS_ACCESS_KEY_ID", text("access_key_id")?)
        .env("AWS_SECRET_ACCESS_KEY", text("secret_access_key")?)
        .env("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", &endpoint)
        .env("PASSAGE_APP_ID", text("app_id")?)
        .env("PASSAGE_API_KEY", text("api_key")?)
        .env("PASSAGE_BASE_URL", &flex)
        .env("WEB_ORIGIN", &web);
    programs.start("server", server)?;

    let mut app = Command::new("node");
    app.arg("../../node_modules/vite/bin/vite.js")
        .current_dir("example/web")
        .env("VITE_SERVER_PORT", demo.server_port.to_string())
        .env("VITE_APP_PORT", demo.web_port.to_string())
        .env("VITE_AWS_COGNITO_REGION", text("region")?)
        .env("VITE_AWS_COGNITO_USER_POOL_ID", text("user_pool_id")?)
        .env("VITE_AWS_COGNITO_APP_CLIENT_ID", text("app_client_id")?)
        .env("VITE_AWS_COGNITO_ENDPOINT", &endpoint)
        .env("VITE_PASSAGE_APP_ID", text("app_id")?)
        .env("VITE_PASSAGE_BASE_URL", &flex);
    programs.start("web", app)?;

    let ready = async {
        wait_for_port(demo.server_port, START_WITHIN).await?;
        wait_for_port(demo.web_port, START_WITHIN).await
    };
    tokio::select! {
        ready = ready => ready?,
        ended = programs.ended() => return Err(ended),
    }
    let data_dir = &demo.data_dir;
    println!(
        "\n  Open  \x1b[1m{web}\x1b[0m\n\n  Sign up with any e-mail address, add a passkey, and \
         sign in with it.\n\n  Claviger        {endpoint}\n  example server  \
         http://localhost:{}\n  data            {}\n  logs            {}\n\n  Ctrl-C stops all \
         three. The next demo starts from the same data.\n",
        demo.server_port,
        data_dir.display(),
        programs.logs.display(),
    );
    Err(programs.ended().await)
}

async fn start_claviger(demo: &Demo, programs: &mut Programs) -> anyhow::Result<Value> {
    let mut claviger = Command::new(program("claviger"));
    claviger
        .args(["dev", "--json", "--app-origin"])
        .arg(format!("http://localhost:{}", demo.web_port))
        .arg("--data-dir")
        .arg(&demo.data_dir)
        .arg("--listen")
        .arg(format!("127.0.0.1:{}", demo.port))
        .stdout(Stdio::piped());
    let output = programs
        .start("claviger", claviger)?
        .stdout
        .take()
        .context("Claviger has no output")?;
    let mut lines = BufReader::new(output).lines();
    tokio::select! {
        line = lines.next_line() => match line? {
            Some(line) => {
                serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))
            }
            None => Err(programs.ended().await),
        },
        ended = programs.ended() => Err(ended),
    }
}

/// A program of this workspace, which was built already.
pub(crate) fn program(name: &str) -> PathBuf {
    // Beside this chore's own program, whatever the target folder is called.
    std::env::current_exe()
        .ok()
        .and_then(|chore| chore.parent().map(Path::to_owned))
        .unwrap_or_else(|| "target/debug".into())
        .join(name)
}

/// The programs of the demo. Each has a process group of its own, so that a
/// Ctrl-C reaches them through us, in order, with time to end well.
struct Programs {
    logs: PathBuf,
    running: Vec<(&'static str, Child)>,
}

impl Programs {
    fn start(&mut self, name: &'static str, mut command: Command) -> anyhow::Result<&mut Child> {
        let log = File::create(self.log(name))?;
        let stdout_is_free = name != "claviger";
        if stdout_is_free {
            command.stdout(log.try_clone()?);
        }
        let child = command
            .stdin(Stdio::null())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        self.running.push((name, child));
        Ok(&mut self.running.last_mut().expect("just pushed").1)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// Waits until one of them ends, which none should, and tells what it said last.
    async fn ended(&mut self) -> anyhow::Error {
        loop {
            for (name, child) in &mut self.running {
                if let Ok(Some(status)) = child.try_wait() {
                    let name = *name;
                    let log = std::fs::read_to_string(self.log(name)).unwrap_or_default();
                    let tail: Vec<&str> = log.lines().rev().take(20).collect();
                    let tail: Vec<&str> = tail.into_iter().rev().collect();
                    return anyhow::anyhow!("{name} ended ({status}):\n{}", tail.join("\n"));
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn stop(&mut self) {
        let groups: Vec<Pid> = self
            .running
            .iter()
            .filter_map(|(_, child)| child.id())
            .filter_map(|id| i32::try_from(id).ok())
            .map(Pid::from_raw)
            .collect();
        let tell = |signal| {
            for group in &groups {
                // A group that is gone already needs no telling.
                let _ = killpg(*group, signal);
            }
        };
        tell(Signal::SIGINT);
        let all_ended = async {
            for (_, child) in &mut self.running {
                let _ = child.wait().await;
            }
        };
        if tokio::time::timeout(STOP_WITHIN, all_ended).await.is_err() {
            tell(Signal::SIGKILL);
        }
    }
}
