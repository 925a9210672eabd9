//! The program as a person at a terminal meets it.

use std::time::{Duration, Instant};

use acceptance::{
    Process, database,
    process::{claviger, create_app, refuse, run_json, succeed},
};
use serde_json::{Value, json};
use webauthn::{
    Algorithm,
    forge::{
        SigningKey,
        attestation::{Attester, Format},
        metadata::{MetadataFile, revocation_list},
    },
};

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
async fn an_operator_changes_an_app_beside_a_running_server() {
    let database = database().await;
    let server = Process::start(&database).await;
    let run = async |arguments: &[&str]| run_json(claviger(&database).args(arguments)).await;
    let app = create_app(&database).await;
    let app_id = app["app_id"].as_str().expect("an id");
    let listed = run(&["app", "list", "--json"]).await;
    assert!(
        listed["apps"].as_array().expect("apps").contains(&app),
        "{listed}"
    );

    let folder = tempfile::tempdir().expect("a folder");
    let anchor = folder.path().join("root.der");
    let credential_key = SigningKey::from_seed(Algorithm::Es256, "any");
    let root = Attester::new(Format::Packed, &credential_key).root.der();
    std::fs::write(&anchor, root).expect("a certificate");
    let update = |setting: &[&str]| {
        let mut command = claviger(&database);
        command
            .args(["app", "update", "--app", app_id])
            .args(setting);
        command
    };
    let updated = run_json(
        update(&[
            "--additional-origin",
            "https://shop.example.de",
            "--additional-origin",
            "https://shop.example.fr",
            "--sign-up",
            "off",
            "--user-verification",
            "required",
            "--counter-policy",
            "refuse",
            "--algorithms",
            "EdDSA,ES256",
            "--attestation",
            "direct",
            "--allowed-aaguid",
            "01010101-0101-0101-0101-010101010101",
            "--synced-passkeys",
            "refused",
            "--nonce-lifetime",
            "90s",
            "--event-retention-days",
            "7",
            "--rp-id",
            "example.com",
            "--force",
            "--json",
            "--trust-anchor",
        ])
        .arg(&anchor),
    )
    .await;
    for (pointer, value) in [
        (
            "/additional_auth_origins",
            json!(["https://shop.example.de", "https://shop.example.fr"]),
        ),
        ("/public_signup", json!(false)),
        ("/rp_id", json!("example.com")),
        ("/settings/user_verification", json!("required")),
        ("/settings/counter_policy", json!("refuse")),
        ("/settings/algorithms", json!(["EdDSA", "ES256"])),
        ("/settings/attestation", json!("direct")),
        ("/settings/allows_synced_passkeys", json!(false)),
        ("/settings/nonce_lifetime_ms", json!(90_000)),
        ("/settings/event_retention_ms", json!(604_800_000)),
    ] {
        assert_eq!(updated.pointer(pointer), Some(&value), "{updated}");
    }
    assert_eq!(
        run(&["app", "show", "--app", app_id, "--json"]).await,
        updated
    );
    let shown = succeed(claviger(&database).args(["app", "show", "--app", app_id])).await;
    let shown = String::from_utf8(shown).expect("text");
    for (name, value) in [
        ("nonce_lifetime", "1m 30s"),
        ("event_retention", "7 days"),
        ("trust_anchors", "1"),
    ] {
        let told = |line: &str| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(' ') && rest.trim() == value)
        };
        assert!(shown.lines().any(told), "{name}: {shown}");
    }
    let cleared = run_json(&mut update(&[
        "--additional-origin",
        "none",
        "--allowed-aaguid",
        "none",
        "--attestation",
        "none",
        "--trust-anchor",
        "none",
        "--json",
    ]))
    .await;
    assert_eq!(cleared["additional_auth_origins"], json!([]));
    assert_eq!(cleared["settings"]["trust_anchors"], json!([]));

    let phone = run(&[
        "native-client",
        "create",
        "--app",
        app_id,
        "--package",
        "com.example.shop",
        "--fingerprint",
        &"ab".repeat(32),
        "--json",
    ])
    .await;
    run(&[
        "native-client",
        "create",
        "--app",
        app_id,
        "--team",
        "TEAMID1234",
        "--bundle",
        "com.example.shop",
        "--json",
    ])
    .await;
    let phone_id = phone["native_client_id"].as_str().expect("an id");
    let deleted = run(&[
        "native-client",
        "delete",
        "--app",
        app_id,
        "--native-client",
        phone_id,
        "--json",
    ])
    .await;
    assert_eq!(deleted, json!({"deleted": phone_id}));
    let left = run(&["native-client", "list", "--app", app_id, "--json"]).await;
    assert_eq!(left["native_clients"][0]["bundle_id"], "com.example.shop");
    assert_eq!(left["native_clients"].as_array().map(Vec::len), Some(1));
    let path = format!("{}/v1/apps/{app_id}", server.seeded("url"));
    let file = format!("{path}/.well-known/apple-app-site-association");
    let (status, file) = acceptance::server::answer(reqwest::Client::new().get(file)).await;
    assert_eq!(status, 200);
    assert_eq!(
        file,
        json!({"webcredentials": {"apps": ["TEAMID1234.com.example.shop"]}})
    );

    let key = run(&[
        "api-key", "create", "--app", app_id, "--name", "ci", "--json",
    ])
    .await;
    let secret = key["api_key"].as_str().expect("a key");
    let get = || acceptance::server::answer(reqwest::Client::new().get(&path).bearer_auth(secret));
    assert_eq!(get().await.0, 200);
    let keys = run(&["api-key", "list", "--app", app_id, "--json"]).await;
    assert_eq!(keys["api_keys"][0]["api_key_id"], key["api_key_id"]);
    assert_eq!(keys["api_keys"][0]["key_prefix"], secret[..10]);
    let created_at = keys["api_keys"][0]["created_at"].as_str().expect("a time");
    assert!(created_at.ends_with('Z'), "{created_at}");
    let delete = |key: &str| {
        let mut command = claviger(&database);
        command.args(["api-key", "delete", "--app", app_id, "--api-key", key]);
        command.arg("--json");
        command
    };
    // The key in the place of its id is refused without being repeated.
    let output = delete(secret).output().await.expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(!String::from_utf8_lossy(&output.stderr).contains(secret));
    let deleted = run_json(&mut delete(key["api_key_id"].as_str().expect("an id"))).await;
    assert_eq!(deleted, json!({"deleted": key["api_key_id"]}));
    // The server believes for a second what it has read (decision 7).
    let deadline = Instant::now() + Duration::from_secs(10);
    while get().await.0 == 200 {
        assert!(Instant::now() < deadline, "the deleted key still works");
    }
    assert_eq!(get().await.0, 401);

    for (setting, reason) in [
        (&["--rp-id", "other.com"][..], "other.com"),
        (&["--algorithms", "PS256"], "PS256"),
        (&["--algorithms", "EdDSA"], "ES256"),
        (&["--attestation", "direct"], "trust_anchors"),
        (&["--trust-anchor", "/nowhere"], "/nowhere"),
        (&["--allowed-aaguid", "x"], "AAGUID"),
        (&["--timeout", "2d"], "2d"),
        (&["--nonce-lifetime", "90"], "such as 90s or 5m"),
        (&["--force"], "--rp-id"),
        (&[], "required"),
    ] {
        let output = update(setting).output().await.expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{setting:?}");
        assert!(said.contains(reason), "{setting:?}: {said}");
    }
    server.kill().await;
}

#[tokio::test]
async fn an_operator_imports_metadata_beside_a_running_server() {
    let database = database().await;
    let server = Process::start(&database).await;
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: Vec<u8>| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path.to_str().expect("a path").to_owned()
    };
    let metadata = |arguments: &[&str]| {
        let mut command = claviger(&database);
        command.arg("metadata").args(arguments);
        command
    };
    assert_eq!(
        run_json(&mut metadata(&["show", "--json"])).await,
        Value::Null
    );

    let model = "01010101-0101-0101-0101-010101010101";
    let entries = json!([MetadataFile::entry(model, &[], &["REVOKED"])]);
    let file = MetadataFile::new(7, "2098-12-31", entries);
    let older = MetadataFile::new(6, "2098-12-31", json!([]));
    let blob = write("blob.jwt", file.bytes());
    let older = write("older.jwt", older.bytes());
    let root = write("root.der", file.root.der());
    let other = SigningKey::from_seed(Algorithm::Es256, "any");
    let other = write(
        "other.der",
        Attester::new(Format::Packed, &other).root.der(),
    );
    let root_list = write("root.crl", revocation_list(&file.root, &[], "20990101"));
    let middle = &file.certificates[1];
    let list = write("middle.crl", revocation_list(middle, &[], "20990101"));
    let revoking = write("revoking.crl", revocation_list(middle, &[7], "20990101"));

    let imported = run_json(&mut metadata(&[
        "import", "--file", &blob, "--root", &root, "--crl", &root_list, "--crl", &list, "--json",
    ]))
    .await;
    assert_eq!(imported["number"], 7);
    assert_eq!(imported["next_update_at"], "2099-01-01T00:00:00Z");
    assert_eq!(
        (&imported["models"], &imported["compromised_models"]),
        (&json!(1), &json!(1))
    );
    for (arguments, reason) in [
        (&["--file", &older, "--root", &root][..], "newest file"),
        (&["--file", &root, "--root", &root], "not a metadata file"),
        (&["--file", &blob, "--root", &other], "--root"),
        (&["--file", &blob, "--root", &blob], "X.509"),
        (&["--file", &blob, "--root", "/nowhere"], "/nowhere"),
        (
            &["--file", &blob, "--root", &root, "--signer-name", "x.com"],
            "--signer-name",
        ),
        (
            &[
                "--file", &blob, "--root", &root, "--crl", &root_list, "--crl", &revoking,
            ],
            "revoked",
        ),
    ] {
        refuse(&mut metadata(&[&["import"], arguments].concat()), reason).await;
    }
    assert_eq!(run_json(&mut metadata(&["show", "--json"])).await, imported);

    let app_id = server.seeded("app_id");
    let updated = run_json(claviger(&database).args([
        "app",
        "update",
        "--app",
        app_id,
        "--attestation",
        "direct",
        "--metadata",
        "on",
        "--denied-aaguid",
        model,
        "--json",
    ]))
    .await;
    assert_eq!(updated["settings"]["uses_metadata"], true);
    assert_eq!(updated["settings"]["denied_aaguids"], json!([model]));
    server.kill().await;
}

#[tokio::test]
async fn webhooks_are_made_looked_at_and_redelivered_beside_a_running_server() {
    let database = database().await;
    let server = Process::start(&database).await;
    let app_id = server.seeded("app_id");
    let webhook = async |arguments: &[&str]| {
        let mut command = claviger(&database);
        command.arg("webhook").args(arguments);
        run_json(command.args(["--app", app_id, "--json"])).await
    };
    // Nobody listens at the port that a program never gets.
    let url = "http://127.0.0.1:1/hook";
    let types = [
        "--event",
        "passkey.login",
        "--event",
        "passkey.register_refused",
    ];
    let created = webhook(&[&["create", "--url", url], &types[..]].concat()).await;
    let id = created["webhook_id"].as_str().expect("an id");
    let secret = created["secret"].as_str().expect("a secret");
    assert!(secret.starts_with("whsec_"));
    assert_eq!(
        webhook(&["list"]).await["webhooks"],
        json!([{
            "webhook_id": id,
            "url": url,
            "event_types": ["passkey.login", "passkey.register_refused"],
            "enabled": true,
        }])
    );
    let rotated = webhook(&["rotate-secret", "--webhook", id]).await;
    assert_ne!(rotated["secret"], created["secret"]);
    let listed = webhook(&["deliveries", "--webhook", id]).await;
    assert_eq!(listed, json!({"deliveries": []}));

    let handshake = refused_registration(&server).await;
    let failing = async || {
        let listed = webhook(&["deliveries", "--webhook", id, "--state", "pending"]).await;
        listed["deliveries"][0].clone()
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut delivery = failing().await;
    while delivery["last_error"].is_null() {
        assert!(Instant::now() < deadline, "nothing was sent");
        delivery = failing().await;
    }
    assert_eq!(delivery["delivery_id"], handshake);
    assert_eq!(delivery["last_error"], "connection_failed");
    let delivery_id = delivery["delivery_id"].as_str().expect("an id");
    let queued = webhook(&["redeliver", "--webhook", id, "--delivery", delivery_id]).await;
    assert_eq!(queued["state"], "pending");

    let updated = webhook(&["update", "--webhook", id, "--disable", "--all-events"]).await;
    assert_eq!(
        (&updated["enabled"], &updated["event_types"]),
        (&json!(false), &json!([]))
    );
    webhook(&["delete", "--webhook", id]).await;
    assert_eq!(webhook(&["list"]).await, json!({"webhooks": []}));
    server.kill().await;
}

/// Lets a registration fail, and gives its handshake, which is also its event.
async fn refused_registration(server: &Process) -> Value {
    let call = async |path: &str, body: Value| {
        let app = format!(
            "{}/v1/apps/{}",
            server.seeded("url"),
            server.seeded("app_id")
        );
        let request = reqwest::Client::new()
            .post(format!("{app}/{path}"))
            .bearer_auth(server.seeded("api_key"))
            .json(&body);
        acceptance::server::answer(request).await.1
    };
    let transaction = call(
        "transactions/register",
        json!({"external_id": "ann", "passkey_display_name": "Ann"}),
    )
    .await;
    let transaction_id = &transaction["transaction_id"];
    let started = call(
        "register/transactions/webauthn/start",
        json!({"transaction_id": transaction_id}),
    )
    .await;
    let handshake_id = started["handshake"]["id"].clone();
    let finish = json!({
        "handshake_id": handshake_id,
        "transaction_id": transaction_id,
        "handshake_response": {},
    });
    call("register/transactions/webauthn/finish", finish).await;
    handshake_id
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
            vec![
                "app",
                "create",
                "--name",
                "X",
                "--origin",
                "https://a.example.co.uk",
                "--rp-id",
                "co.uk",
            ],
            "public suffix",
        ),
        (
            vec!["api-key", "create", "--app", "nope", "--name", "X"],
            "nope",
        ),
        (
            vec![
                "webhook",
                "create",
                "--app",
                server.seeded("app_id"),
                "--url",
                "https://example.com/",
                "--event",
                "passkey.logout",
            ],
            "passkey.login_refused",
        ),
        (
            vec![
                "webhook",
                "delete",
                "--app",
                server.seeded("app_id"),
                "--webhook",
                "nope",
            ],
            "nope",
        ),
    ] {
        refuse(claviger(&database).args(&arguments), reason).await;
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
            vec![
                "--public-url",
                "https://login.example.com",
                "--listen",
                "0.0.0.0:0",
            ],
            "trusted_proxies",
        ),
        (vec!["--trusted-proxies", "10.0.0.1,0.0.0.0/0"], "0.0.0.0/0"),
        (vec!["--code-delivery", "log"], "confirmation codes"),
        (vec![], "master key"),
    ] {
        refuse(claviger(&database).arg("serve").args(&arguments), reason).await;
    }
}

#[tokio::test]
async fn dev_serves_this_machine_only() {
    let database = database().await;
    refuse(
        claviger(&database).args(["dev", "--listen", "0.0.0.0:0"]),
        "loopback",
    )
    .await;
}

#[tokio::test]
async fn help_teaches() {
    let database = database().await;
    for (arguments, taught) in [
        (vec!["--help"], "claviger dev"),
        (vec!["serve", "--help"], "CLAVIGER_PUBLIC_URL"),
        (vec!["app", "create", "--help"], "--rp-id"),
        (vec!["webhook", "--help"], "docs/webhooks.md"),
        (vec!["metadata", "--help"], "mds3.fidoalliance.org"),
    ] {
        let said = succeed(claviger(&database).args(&arguments)).await;
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains(taught), "{arguments:?}: {said}");
    }
}
