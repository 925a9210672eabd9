//! The OpenAPI document against the server that serves it: an independent
//! validator reads it, then Schemathesis makes up requests from it, right and
//! wrong ones, and holds every answer against it. What is checked, and what is
//! not and why, is in `tests/openapi/schemathesis.toml`.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::Context as _;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::{
    demo::program,
    run::{cargo, heading, output, root, run},
    services::python_programs,
};

/// Where pages of the app are, as far as the server is concerned.
const ORIGIN: &str = "http://localhost:8081";
const SCHEMATHESIS: &str = "4.32.5";
const VALIDATOR: &str = "0.9.0";
/// Calls delete users, so there are more than the dictionary of the settings names.
const USERS: usize = 200;

/// Starts a server with some data and checks it.
pub(crate) fn check() -> anyhow::Result<()> {
    let python = python_programs(
        &format!("schemathesis-{SCHEMATHESIS}"),
        &[
            &format!("schemathesis=={SCHEMATHESIS}"),
            &format!("openapi-spec-validator=={VALIDATOR}"),
        ],
    )?;
    run(cargo().args(["build", "--quiet", "--package", "claviger"]))?;
    heading("The OpenAPI document (two minutes)");
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path())?;
    server.import_users(folder.path())?;

    let document = format!("{}/v1/openapi.json", server.url);
    run(Command::new(python.join("python"))
        .args(["-c", VALIDATE])
        .arg(&document))?;
    let schemathesis = |arguments: &[&str]| {
        run(Command::new(python.join("schemathesis"))
            .arg("--config-file")
            .arg(root().join("tests/openapi/schemathesis.toml"))
            .args(["run", &document])
            .args(arguments)
            .env("CLAVIGER_ORIGIN", ORIGIN)
            .env("CLAVIGER_APP_ID", &server.app_id)
            .env("CLAVIGER_API_KEY", &server.api_key)
            .env("PYTHONPATH", root().join("tests/openapi"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // It leaves notes of its own where it runs.
            .current_dir(folder.path()))
        .with_context(|| format!("what the server logged is in {}", log().display()))
    };
    heading("Each operation of the API by itself, with requests right and wrong");
    schemathesis(&["--phases", "examples,coverage,fuzzing"])?;
    heading("Walks from operation to operation");
    schemathesis(&[
        "--phases",
        "stateful",
        // It takes the change of an app for the making of one, and then begins nowhere else.
        "--exclude-operation-id",
        "update_app",
        "--exclude-path-regex",
        "/(webhooks|native-clients|authenticators|\\.well-known)",
    ])
}

const VALIDATE: &str =
    "import sys; from openapi_spec_validator import validate_url; validate_url(sys.argv[1])";

/// A server of our own on a free port; stopped when dropped.
struct Server {
    child: Child,
    url: String,
    app_id: String,
    api_key: String,
}

impl Server {
    fn start(folder: &Path) -> anyhow::Result<Server> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut child = Command::new(program("claviger"))
            .args(["dev", "--json", "--app-origin", ORIGIN])
            .args(["--listen", &format!("127.0.0.1:{port}"), "--data-dir"])
            .arg(folder.join("data"))
            .stdout(Stdio::piped())
            .stderr(File::create(log())?)
            .spawn()
            .context("cannot start Claviger")?;
        let output = child.stdout.take().context("Claviger has no output")?;
        let mut server = Server {
            child,
            url: String::new(),
            app_id: String::new(),
            api_key: String::new(),
        };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let seed: Value = serde_json::from_str(&line)
            .with_context(|| format!("Claviger did not start; see {}", log().display()))?;
        for (member, text) in [
            ("url", &mut server.url),
            ("app_id", &mut server.app_id),
            ("api_key", &mut server.api_key),
        ] {
            *text = seed[member]
                .as_str()
                .with_context(|| format!("Claviger did not say its {member}"))?
                .to_owned();
        }
        Ok(server)
    }

    /// Users of every status, most with two passkeys. Nobody has their private keys.
    fn import_users(&self, folder: &Path) -> anyhow::Result<()> {
        let (users, credentials) = (folder.join("users.jsonl"), folder.join("credentials.jsonl"));
        let mut users_file = File::create(&users)?;
        let mut credentials_file = File::create(&credentials)?;
        for number in 0..USERS {
            let external_id = format!("user-{number}");
            let status = ["active", "active", "inactive", "pending"][number % 4];
            let user = json!({"external_id": external_id, "status": status});
            writeln!(users_file, "{user}")?;
            let devices = if status == "pending" { 0 } else { 2 };
            for device in 0..devices {
                let credential = json!({
                    "external_id": external_id,
                    "credential_id": format!("credential-{number:04}-{device:04}"),
                    "public_key": {"kty": "EC", "crv": "P-256", "x": X, "y": Y},
                    "transports": ["internal"],
                });
                writeln!(credentials_file, "{credential}")?;
            }
        }
        output(
            Command::new(program("claviger"))
                .args(["import", "--app", &self.app_id, "--data-dir"])
                .arg(folder.join("data"))
                .arg("--users")
                .arg(users)
                .arg("--credentials")
                .arg(credentials),
        )?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(id) = i32::try_from(self.child.id()) {
            // It may have ended already.
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
        let _ = self.child.wait();
    }
}

fn log() -> PathBuf {
    root().join("target/openapi-server.log")
}

/// The base point of P-256: a public key like any other.
const X: &str = "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY";
const Y: &str = "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";
