//! The program as a person at a terminal meets it.

use acceptance::{Process, database, process::claviger};
use serde_json::{Value, json};
use tokio::process::Command;

#[tokio::test]
async fn sub_commands_work_beside_a_running_server() {
    let database = database().await;
    let server = Process::start(&database).await;

    let app = run_json(claviger(&database).args([
        "app",
        "create",
        "--name",
        "Shop",
        "--origin",
        "https://shop.example.com",
        "--rp-id",
        "example.com",
        "--json",
    ]))
    .await;
    assert_eq!(app["auth_origin"], json!("https://shop.example.com"));
    assert_eq!(app["rp_id"], json!("example.com"));
    let app_id = app["app_id"].as_str().expect("an id");
    let key = run_json(claviger(&database).args([
        "api-key", "create", "--app", app_id, "--name", "ci", "--json",
    ]))
    .await;

    let answer = reqwest::Client::new()
        .post(format!(
            "{}/v1/apps/{app_id}/transactions/register",
            server.seeded("url")
        ))
        .bearer_auth(key["api_key"].as_str().expect("a key"))
        .json(&json!({"external_id": "ann", "passkey_display_name": "Ann"}));
    let (status, answer) = acceptance::server::answer(answer).await;
    assert_eq!(status, 201, "{answer}");

    let access_key =
        run_json(claviger(&database).args(["access-key", "create", "--name", "ci", "--json"]))
            .await;
    assert!(
        access_key["access_key_id"]
            .as_str()
            .expect("an id")
            .starts_with("AKIA")
    );
    assert_eq!(
        access_key["secret_access_key"].as_str().map(str::len),
        Some(40)
    );
    server.kill().await;
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_with_a_reason() {
    let database = database().await;
    let server = Process::start(&database).await;
    for (arguments, reason) in [
        (
            vec![
                "app",
                "create",
                "--name",
                "X",
                "--origin",
                "http://example.com",
            ],
            "https",
        ),
        (
            vec![
                "app",
                "create",
                "--name",
                "X",
                "--origin",
                "https://example.com",
                "--rp-id",
                "other.com",
            ],
            "other.com",
        ),
        (
            vec!["api-key", "create", "--app", "nope", "--name", "X"],
            "nope",
        ),
    ] {
        let output = claviger(&database)
            .args(&arguments)
            .output()
            .await
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
    server.kill().await;
}

#[tokio::test]
async fn serve_refuses_what_is_unsafe_and_says_what_to_do() {
    let database = database().await;
    for (arguments, reason) in [
        (vec!["--public-url", "http://login.example.com"], "https://"),
        (vec!["--listen", "0.0.0.0:0"], "public_url"),
        (
            vec!["--public-url", "https://login.example.com"],
            "trusted_proxies",
        ),
        (vec!["--trusted-proxies", "10.0.0.1,0.0.0.0/0"], "0.0.0.0/0"),
        (vec!["--code-delivery", "log"], "confirmation codes"),
        (vec![], "master key"),
    ] {
        let output = claviger(&database)
            .arg("serve")
            .args(&arguments)
            .output()
            .await
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn dev_serves_this_machine_only() {
    let database = database().await;
    let output = claviger(&database)
        .args(["dev", "--listen", "0.0.0.0:0"])
        .output()
        .await
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("loopback"));
}

#[tokio::test]
async fn help_teaches() {
    let database = database().await;
    for (arguments, taught) in [
        (vec!["--help"], "claviger dev"),
        (vec!["serve", "--help"], "CLAVIGER_PUBLIC_URL"),
        (vec!["app", "create", "--help"], "--rp-id"),
    ] {
        let output = claviger(&database)
            .args(&arguments)
            .output()
            .await
            .expect("it runs");
        assert!(output.status.success());
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(taught), "{arguments:?}: {said}");
    }
}

async fn run_json(command: &mut Command) -> Value {
    let output = command.output().await.expect("it runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("a line of JSON")
}
