//! `docs/guide.md`, executed: every `sh` block of it runs in one shell, with the
//! real AWS CLI, against a running `claviger dev`; then a person signs in with a
//! passkey through what it made.
//!
//! Blocks marked `sh by-hand` start long-running programs or build this
//! project; the harness and the browser test do that in their place.

use std::{path::Path, process::Stdio};

use acceptance::{Process, database, process::program};
use serde_json::{Value, json};
use tokio::process::Command;
use webauthn::{Algorithm, forge::Authenticator};

const ORIGIN: &str = "http://localhost:8081";

#[tokio::test]
async fn every_command_of_the_guide_works_and_its_pool_signs_people_in_with_passkeys() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the project");
    let guide = std::fs::read_to_string(root.join("docs/guide.md")).expect("the guide");
    let database = database().await;
    let server = Process::start(&database).await;
    let folder = tempfile::tempdir().expect("a folder");
    let zips = environment("CLAVIGER_TEST_TRIGGERS", "target/triggers");
    for zip in ["define", "create", "verify"].map(|name| format!("{name}-auth-challenge.zip")) {
        let built = root.join(&zips).join(&zip);
        std::fs::copy(&built, folder.path().join(&zip)).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; make it with: cargo xtask triggers --out-dir target/triggers",
                built.display()
            )
        });
    }

    let mut script = String::from("set -euo pipefail\n");
    for block in blocks(&guide) {
        script.push_str(block);
    }
    script.push_str("\nenv > variables\n");
    let aws = environment("CLAVIGER_TEST_AWS_CLI", "target/aws-cli/bin/aws");
    let aws = root.join(aws);
    let aws_folder = aws.parent().expect("a folder");
    assert!(
        aws.is_file(),
        "{} is missing: pip install awscli",
        aws.display()
    );
    let claviger = program("claviger");
    let claviger_folder = claviger.parent().expect("a folder");
    let path = std::env::var("PATH").expect("a PATH");
    let output = Command::new("bash")
        .arg("-c")
        .arg(&script)
        .current_dir(folder.path())
        .env(
            "PATH",
            format!(
                "{}:{}:{path}",
                claviger_folder.display(),
                aws_folder.display()
            ),
        )
        .env("CLAVIGER", server.seeded("url"))
        .env("CLAVIGER_DATA_DIR", database.folder())
        .env("CLAVIGER_DATABASE_URL", database.url())
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("bash runs");
    let said = format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    assert!(said.contains("AccessToken"), "{said}");

    let variables = std::fs::read_to_string(folder.path().join("variables")).expect("variables");
    let variable = |name: &str| {
        variables
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}=")))
            .unwrap_or_else(|| panic!("the guide does not set {name}"))
            .to_owned()
    };
    let guide = Guide {
        url: server.seeded("url").to_owned(),
        app_id: variable("PASSAGE_APP_ID"),
        api_key: variable("PASSAGE_API_KEY"),
        client_id: variable("CLIENT_ID"),
        sub: variable("USER_SUB"),
    };
    guide.signs_in_with_a_passkey().await;
    server.kill().await;
}

/// What the guide has made.
struct Guide {
    url: String,
    app_id: String,
    api_key: String,
    client_id: String,
    sub: String,
}

impl Guide {
    async fn signs_in_with_a_passkey(&self) {
        let mut authenticator = Authenticator::new(Algorithm::Es256, "guide");
        let transaction = self
            .flex(
                "transactions/register",
                json!({"external_id": self.sub, "passkey_display_name": "ann"}),
            )
            .await;
        let transaction_id = &transaction["transaction_id"];
        let started = self
            .flex(
                "register/transactions/webauthn/start",
                json!({"transaction_id": transaction_id}),
            )
            .await;
        let options = &started["handshake"]["challenge"]["publicKey"];
        self.flex(
            "register/transactions/webauthn/finish",
            json!({
                "handshake_id": started["handshake"]["id"],
                "transaction_id": transaction_id,
                "handshake_response": authenticator.create(options, ORIGIN).json(),
            }),
        )
        .await;

        let begun = self
            .cognito(
                "InitiateAuth",
                json!({
                    "ClientId": self.client_id,
                    "AuthFlow": "CUSTOM_AUTH",
                    "AuthParameters": {"USERNAME": self.sub},
                }),
            )
            .await;
        let transaction_id = &begun["ChallengeParameters"]["passageTransactionId"];
        let started = self
            .flex(
                "authenticate/transactions/webauthn/start",
                json!({"transaction_id": transaction_id}),
            )
            .await;
        let options = &started["handshake"]["challenge"]["publicKey"];
        let finished = self
            .flex(
                "authenticate/transactions/webauthn/finish",
                json!({
                    "handshake_id": started["handshake"]["id"],
                    "transaction_id": transaction_id,
                    "handshake_response": authenticator.get(options, ORIGIN).json(),
                }),
            )
            .await;
        let answer = self
            .cognito(
                "RespondToAuthChallenge",
                json!({
                    "ClientId": self.client_id,
                    "ChallengeName": "CUSTOM_CHALLENGE",
                    "Session": begun["Session"],
                    "ChallengeResponses": {"USERNAME": self.sub, "ANSWER": finished["nonce"]},
                }),
            )
            .await;
        assert!(
            answer["AuthenticationResult"]["AccessToken"].is_string(),
            "{answer}"
        );
    }

    async fn flex(&self, path: &str, body: Value) -> Value {
        let request = reqwest::Client::new()
            .post(format!("{}/v1/apps/{}/{path}", self.url, self.app_id))
            .bearer_auth(&self.api_key)
            .json(&body);
        let (status, answer) = acceptance::server::answer(request).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    async fn cognito(&self, operation: &str, body: Value) -> Value {
        let request = reqwest::Client::new()
            .post(&self.url)
            .header(
                "x-amz-target",
                format!("AWSCognitoIdentityProviderService.{operation}"),
            )
            .body(body.to_string());
        let (status, answer) = acceptance::server::answer(request).await;
        assert_eq!(status, 200, "{operation}: {answer}");
        answer
    }
}

/// The `sh` blocks of a Markdown text, in order; others, `sh by-hand` included, are left out.
fn blocks(markdown: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    let mut rest = markdown;
    while let Some(start) = rest.find("```") {
        let (info, after) = rest[start + 3..]
            .split_once('\n')
            .expect("a fence ends its line");
        let end = after.find("```").expect("a block is closed");
        if info.trim() == "sh" {
            blocks.push(&after[..end]);
        }
        rest = &after[end + 3..];
    }
    blocks
}

fn environment(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}
