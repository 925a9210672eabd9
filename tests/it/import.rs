//! Import and export at the terminal, beside a running server: killed half-way
//! and run again, and a login with what was imported.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use acceptance::{
    Person, Process, Server, database,
    person::{finish_authentication, start_authentication, verify},
    process::{claviger, create_app, refuse, run_json, succeed},
    server::ORIGIN,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use passkeys::{ImportFiles, ImportOptions};
use platform::test_database::TestDatabase;
use serde_json::{Value, json};
use webauthn::{Algorithm, forge::SigningKey};

#[tokio::test]
async fn an_imported_credential_logs_in_by_transaction_and_without() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let mut ann = Person::new("ann");
    let line = json!({
        "external_id": "ann",
        "credential_id": BASE64_URL_SAFE_NO_PAD.encode(&ann.authenticator.credential_id),
        "public_key": BASE64_URL_SAFE_NO_PAD.encode(ann.authenticator.key.cose_key().encode()),
    })
    .to_string();
    let id = passkeys::AppId::parse(&app.id).expect("an id");
    let passkeys = &server.products.passkeys;
    let owner = passkeys.find_app(&id).await.expect("an answer");
    let files = ImportFiles {
        users: None,
        credentials: Some(Box::new(line.as_bytes())),
    };
    let report = passkeys
        .import(
            &owner.expect("the app"),
            files,
            &ImportOptions {
                rp_id: Some("localhost".into()),
                ..ImportOptions::default()
            },
        )
        .await
        .expect("an import");
    assert_eq!(report.credentials.added, 1, "{report:?}");

    let nonce = ann.authenticate(&server, &app).await;
    let (status, answer) = verify(&server, &app, &nonce).await;
    assert_eq!((status, &answer["external_id"]), (200, &json!("ann")));

    let started = start_authentication(&server, &app, None).await;
    let response = ann.authenticator.get(&started.options, ORIGIN);
    let (status, answer) = finish_authentication(&server, &app, &started, &response).await;
    assert_eq!(status, 200, "{answer}");
    let nonce = answer["nonce"].as_str().expect("a nonce");
    let (status, answer) = verify(&server, &app, nonce).await;
    assert_eq!((status, &answer["external_id"]), (200, &json!("ann")));
    server.stop().await;
}

#[tokio::test]
async fn an_import_that_was_killed_half_way_and_run_again_is_as_one_that_was_not() {
    let database = database().await;
    let server = Process::start(&database).await;
    let app_id = app_id(&database).await;
    let files = Files::write(&database, USERS);

    // The credentials come through a pipe that holds little, so when half of them
    // are written most of that half is imported.
    let pipe = database.folder().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let mut killed = import(&database, &app_id, &files.users, &pipe)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("it runs");
    let half = std::fs::read(&files.credentials).expect("the credentials");
    let half = half[..half.len() / 2].to_vec();
    let (done, half_done) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut pipe = std::fs::File::options()
            .write(true)
            .open(pipe)
            .expect("the pipe's other end");
        pipe.write_all(&half).expect("the import reads");
        // The pipe stays open until the import is gone, or its file would seem to end.
        let _ = done.send(pipe);
    });
    let pipe = tokio::time::timeout(Duration::from_secs(60), half_done)
        .await
        .expect("the import reads within a minute")
        .expect("half of the credentials are written");
    killed.kill().await.expect("it can be killed");
    drop(pipe);

    let halted = export(&database, &app_id).await;
    assert_eq!(halted.0.len(), USERS);
    let stored = halted.1.len();
    assert!((1..CREDENTIALS).contains(&stored), "{stored}");

    let mut again = import(&database, &app_id, &files.users, &files.credentials);
    let report = run_json(again.arg("--json")).await;
    assert_eq!(
        (&report["users"]["added"], &report["users"]["unchanged"]),
        (&json!(0), &json!(USERS))
    );
    assert_eq!(report["credentials"]["unchanged"], json!(stored));
    assert_eq!(report["credentials"]["added"], json!(CREDENTIALS - stored));
    let (users, credentials) = export(&database, &app_id).await;
    assert_eq!(users, read_lines(&files.users, "id"));
    assert_eq!(credentials, read_lines(&files.credentials, "credential_id"));
    server.kill().await;
}

#[tokio::test]
async fn what_is_wrong_is_listed_with_its_line_and_the_exit_status_tells() {
    let database = database().await;
    let server = Process::start(&database).await;
    let app_id = app_id(&database).await;
    let files = Files::write(&database, 2);
    let rows = database.folder().join("users.csv");
    std::fs::write(&rows, "Customer,Passage ID\nann,p1\n,p2\n").expect("a file");

    let output = import(&database, &app_id, &rows, &files.credentials)
        .args(["--column", "external_id=Customer"])
        .output()
        .await
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("users.csv:3: failed: external_id is missing"),
        "{said}"
    );
    assert!(said.contains("1 record failed"), "{said}");
    let told = String::from_utf8_lossy(&output.stdout);
    // The users of the credentials came along with them.
    assert!(told.contains("3 added, 0 there already"), "{told}");

    for (arguments, reason) in [
        (vec!["--rp-id", "example.org"], "shop.example.com"),
        (vec!["--column", "email=E"], "--column email=E"),
        (vec![], "no column looks like external_id"),
    ] {
        let mut import = import(&database, &app_id, &rows, &files.credentials);
        refuse(import.args(&arguments), reason).await;
    }
    server.kill().await;
}

#[tokio::test]
async fn a_file_is_refused_that_would_lose_records_or_holds_none() {
    let database = database().await;
    let server = Process::start(&database).await;
    let app_id = app_id(&database).await;
    let users = database.folder().join("users.csv");
    let import = |json: &[&str]| {
        let mut command = claviger(&database);
        command.args(["import", "--app", &app_id]).args(json);
        command.arg("--users").arg(&users);
        command
    };

    std::fs::write(
        &users,
        "external_id,id\r\n\r\nann,p1\r\nbob,\"p2\r\neve,p3\r\n",
    )
    .expect("a file");
    let reason = "users.csv:4: failed: the quote that opens in line 4 is never closed";
    refuse(&mut import(&[]), reason).await;
    let output = import(&["--json"]).output().await.expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a line of JSON");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report["issues"][0]["line"], json!(4), "{report}");
    assert_eq!(report["users"]["failed"], json!(1), "{report}");

    for (bytes, reason) in [
        (&b""[..], "it is empty; a CSV file needs a header row"),
        (b"\xef\xbb\xbf", "it is empty"),
        (b"\x1f\x8b\x08\x00", "compressed with gzip; unpack it first"),
        (b"\xff\xfee\x00", "UTF-16"),
        (b"external_id,id,id\nann,p1,p2\n", "id is there twice"),
        (b"external_id,id\nann,p1,x\n", "the header has 2"),
    ] {
        std::fs::write(&users, bytes).expect("a file");
        refuse(&mut import(&[]), reason).await;
    }

    std::fs::write(&users, "external_id,id\n").expect("a file");
    let told = succeed(&mut import(&[])).await;
    let told = String::from_utf8_lossy(&told);
    assert!(
        told.contains("The file of the users has no records."),
        "{told}"
    );
    let report = run_json(&mut import(&["--json"])).await;
    assert_eq!(report["empty"], json!(["users"]));
    server.kill().await;
}

#[tokio::test]
async fn users_and_credentials_are_never_exported_to_one_file() {
    let database = database().await;
    let server = Process::start(&database).await;
    let app_id = app_id(&database).await;
    let files = Files::write(&database, 2);
    let import = &mut import(&database, &app_id, &files.users, &files.credentials);
    succeed(import).await;

    let folder = database.folder();
    let export = |users: &Path, credentials: &Path| {
        let mut command = claviger(&database);
        command.args(["export", "--app", &app_id, "--json"]);
        command.arg("--users").arg(users);
        command.arg("--credentials").arg(credentials);
        command
    };
    std::fs::create_dir(folder.join("in")).expect("a folder");
    let out = folder.join("out");
    for other in ["out", "in/../out", "out.unfinished"] {
        let other = folder.join(other);
        refuse(&mut export(&out, &other), "name two files").await;
        refuse(&mut export(&other, &out), "name two files").await;
    }
    assert!(!out.exists());
    refuse(&mut export(Path::new("-"), &out), "name a file").await;
    refuse(&mut export(&out, Path::new("-")), "name a file").await;
    let minus = Path::new("-");
    let import = &mut self::import(&database, &app_id, minus, &files.credentials);
    refuse(import, "name a file").await;

    let told = run_json(&mut export(&out, &folder.join("in/out"))).await;
    assert_eq!(
        (&told["users"], &told["credentials"]),
        (&json!(2), &json!(3))
    );
    server.kill().await;
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let database = database().await;
    let server = Process::start(&database).await;
    let app_id = app_id(&database).await;
    let files = Files::write(&database, 20);
    let mut import = import(&database, &app_id, &files.users, &files.credentials);
    let report = run_json(import.args(["--dry-run", "--json"])).await;
    assert_eq!(report["users"]["added"], json!(20));
    assert_eq!(report["credentials"]["added"], json!(30));
    assert_eq!(export(&database, &app_id).await, (vec![], vec![]));
    server.kill().await;
}

const USERS: usize = 2_000;
const CREDENTIALS: usize = 3_000;

/// What an export of some users writes: every second one has two credentials.
struct Files {
    users: PathBuf,
    credentials: PathBuf,
}

impl Files {
    fn write(database: &TestDatabase, users: usize) -> Files {
        let key = SigningKey::from_seed(Algorithm::Es256, "everybody").cose_key();
        let public_key = BASE64_URL_SAFE_NO_PAD.encode(key.encode());
        let (mut user_lines, mut credential_lines) = (String::new(), String::new());
        for n in 0..users {
            let at = "2024-08-20T00:20:47.000000Z";
            let (id, external_id) = (format!("u{n:07}"), format!("person-{n}"));
            let user = json!({
                "id": id,
                "external_id": external_id,
                "status": "active",
                "login_count": n,
                "created_at": at,
                "updated_at": at,
                "last_login_at": at,
            });
            user_lines += &format!("{user}\n");
            for device in 0..1 + n % 2 {
                let device_id = format!("d{n:07}-{device}");
                let credential = json!({
                    "user_id": id,
                    "external_id": external_id,
                    "device_id": device_id,
                    "rp_id": "shop.example.com",
                    "credential_id": BASE64_URL_SAFE_NO_PAD.encode(format!("credential {device_id}")),
                    "public_key": public_key,
                    "sign_count": 0,
                    "transports": ["internal", "hybrid"],
                    "backup_eligible": true,
                    "backup_state": true,
                    "user_handle": BASE64_URL_SAFE_NO_PAD.encode(&id),
                    "friendly_name": "iCloud Keychain",
                    "type": "passkey",
                    "usage_count": 0,
                    "created_at": at,
                    "updated_at": at,
                    "last_login_at": at,
                });
                credential_lines += &format!("{credential}\n");
            }
        }
        let files = Files {
            users: database.folder().join("users.jsonl"),
            credentials: database.folder().join("credentials.jsonl"),
        };
        std::fs::write(&files.users, user_lines).expect("a file");
        std::fs::write(&files.credentials, credential_lines).expect("a file");
        files
    }
}

async fn app_id(database: &TestDatabase) -> String {
    let app = create_app(database).await;
    app["app_id"].as_str().expect("an id").to_owned()
}

fn import(
    database: &TestDatabase,
    app_id: &str,
    users: &Path,
    credentials: &Path,
) -> tokio::process::Command {
    let mut command = claviger(database);
    command
        .args(["import", "--app", app_id])
        .arg("--users")
        .arg(users)
        .arg("--credentials")
        .arg(credentials);
    command
}

/// Users and credentials, sorted.
async fn export(database: &TestDatabase, app_id: &str) -> (Vec<Value>, Vec<Value>) {
    let (users, credentials) = (
        database.folder().join("exported-users.jsonl"),
        database.folder().join("exported-credentials.jsonl"),
    );
    succeed(
        claviger(database)
            .args(["export", "--app", app_id, "--json"])
            .arg("--users")
            .arg(&users)
            .arg("--credentials")
            .arg(&credentials),
    )
    .await;
    (
        read_lines(&users, "id"),
        read_lines(&credentials, "credential_id"),
    )
}

fn read_lines(path: &Path, id: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a file");
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    lines.sort_by_key(|line| line[id].as_str().expect("an id").to_owned());
    lines
}
