//! Import and export: what is stored of whom, what is refused, and that people
//! log in afterwards.

use std::io::{BufRead, BufReader, Cursor};

use axum::http::{Method, StatusCode};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use passkeys::{
    ImportError, ImportFile, ImportFiles, ImportOptions, ImportReport, ImportTally, NewApp,
};
use serde_json::{Value, json};
use webauthn::{Algorithm, forge::Authenticator};

use crate::house::{House, ORIGIN, Reasons, TestApp, houses};

/// Lines of the two files.
#[derive(Clone, Default)]
struct Files {
    users: Vec<Value>,
    credentials: Vec<Value>,
}

impl Files {
    async fn import(&self, house: &House, app: &TestApp) -> ImportReport {
        self.import_with(house, app, ImportOptions::default()).await
    }

    async fn import_with(
        &self,
        house: &House,
        app: &TestApp,
        options: ImportOptions,
    ) -> ImportReport {
        let file = |values: &[Value]| -> Option<Box<dyn BufRead>> {
            let lines: String = values.iter().map(|value| format!("{value}\n")).collect();
            (!lines.is_empty()).then(|| Box::new(Cursor::new(lines)) as Box<dyn BufRead>)
        };
        let files = ImportFiles {
            users: file(&self.users),
            credentials: file(&self.credentials),
        };
        house
            .passkeys
            .import(&app.app, files, &options)
            .await
            .unwrap()
    }
}

async fn export(house: &House, app: &TestApp) -> Files {
    let read = |bytes: Vec<u8>| {
        let mut lines: Vec<Value> = serde_json::Deserializer::from_slice(&bytes)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap();
        lines.sort_by_key(|line| {
            let id = if line["credential_id"].is_null() {
                "id"
            } else {
                "credential_id"
            };
            line[id].as_str().unwrap().to_owned()
        });
        lines
    };
    let (mut users, mut credentials) = (Vec::new(), Vec::new());
    let id = &app.app.id;
    let count = house.passkeys.export_users(id, &mut users).await.unwrap();
    let users = read(users);
    assert_eq!(count, users.len() as u64);
    let count = house
        .passkeys
        .export_credentials(id, &mut credentials)
        .await
        .unwrap();
    let credentials = read(credentials);
    assert_eq!(count, credentials.len() as u64);
    Files { users, credentials }
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn user(external_id: &str) -> Value {
    json!({
        "id": format!("id-of-{external_id}"),
        "external_id": external_id,
        "status": "active",
        "login_count": 3,
        "created_at": "2024-01-02T03:04:05.000000Z",
        "updated_at": "2024-02-02T03:04:05.500000Z",
        "last_login_at": "2024-03-02T03:04:05.250000Z",
    })
}

/// The least that makes a credential usable.
fn credential(external_id: &str, authenticator: &Authenticator) -> Value {
    json!({
        "external_id": external_id,
        "credential_id": base64url(&authenticator.credential_id),
        "public_key": base64url(authenticator.key.cose_key().encode()),
    })
}

/// A credential of which everything is known, as an export writes it.
fn whole_credential(external_id: &str, authenticator: &Authenticator) -> Value {
    let mut line = credential(external_id, authenticator);
    let more = json!({
        "user_id": format!("id-of-{external_id}"),
        "device_id": format!("device-of-{external_id}"),
        "rp_id": "example.com",
        "sign_count": 7,
        "aaguid": "d548826e-79b4-db40-a3d8-11116f7e8349",
        "transports": ["usb", "nfc"],
        "backup_eligible": true,
        "backup_state": false,
        "requires_user_verification": true,
        "attachment": "cross-platform",
        "user_agent": "Some browser",
        "user_handle": base64url(format!("handle of {external_id}")),
        "friendly_name": "My key",
        "type": "security_key",
        "usage_count": 2,
        "created_at": "2024-01-02T03:04:05.000000Z",
        "updated_at": "2024-02-02T03:04:05.000000Z",
        "last_login_at": "2024-02-02T03:04:05.000000Z",
    });
    line.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    line
}

fn tally(added: u64, unchanged: u64, skipped: u64, failed: u64) -> ImportTally {
    ImportTally {
        added,
        unchanged,
        skipped,
        failed,
    }
}

#[tokio::test]
async fn what_was_imported_is_exported_and_imported_again_without_a_change() {
    for house in houses().await {
        let app = house.app().await;
        let ann = Authenticator::new(Algorithm::Es256, "ann");
        let bob = Authenticator::new(Algorithm::EdDsa, "bob");
        let mut files = Files {
            users: vec![user("ann"), user("bob"), user("nobody's passkey")],
            credentials: vec![whole_credential("ann", &ann), whole_credential("bob", &bob)],
        };
        // Of the second one little is known, and it stays so.
        for unknown in [
            "aaguid",
            "transports",
            "backup_eligible",
            "backup_state",
            "requires_user_verification",
            "attachment",
            "user_agent",
            "user_handle",
            "friendly_name",
            "type",
        ] {
            files.credentials[1]
                .as_object_mut()
                .unwrap()
                .remove(unknown);
        }
        files
            .credentials
            .sort_by_key(|line| line["credential_id"].as_str().unwrap().to_owned());
        let report = files.import(&house, &app).await;
        assert_eq!(report.users, tally(3, 0, 0, 0), "{report:?}");
        assert_eq!(report.credentials, tally(2, 0, 0, 0), "{report:?}");

        let exported = export(&house, &app).await;
        assert_eq!(exported.users, files.users);
        assert_eq!(exported.credentials, files.credentials);

        let again = exported.import(&house, &app).await;
        assert_eq!(again.users, tally(0, 3, 0, 0), "{again:?}");
        assert_eq!(again.credentials, tally(0, 2, 0, 0), "{again:?}");
        let other = house.app().await;
        exported.import(&house, &other).await;
        assert_eq!(export(&house, &other).await.credentials, files.credentials);
    }
}

#[tokio::test]
async fn what_was_registered_here_moves_to_another_app_and_logs_in_there() {
    for house in houses().await {
        let app = house.app().await;
        let mut ann = app.registered("ann").await;
        let exported = export(&house, &app).await;
        let other = house.app().await;
        let report = exported.import(&house, &other).await;
        assert_eq!(report.failed(), 0, "{report:?}");
        let moved = export(&house, &other).await;
        assert_eq!(moved.users, exported.users);
        assert_eq!(moved.credentials, exported.credentials);
        assert_eq!(log_in(&other, &mut ann, None).await, StatusCode::OK);
        // The handle is known, so it has to come.
        ann.user_handle = None;
        assert_eq!(
            log_in(&other, &mut ann, None).await,
            StatusCode::UNAUTHORIZED
        );
    }
}

/// Logs in and redeems the nonce; the status of the finish.
async fn log_in(
    app: &TestApp,
    authenticator: &mut Authenticator,
    external_id: Option<&str>,
) -> StatusCode {
    let transaction_id = match external_id {
        Some(external_id) => Some(app.authenticate_transaction(external_id).await),
        None => None,
    };
    let handshake = app.start_authentication(transaction_id.as_deref()).await;
    let finish = handshake.authentication(authenticator);
    let answer = app.finish_authentication(&finish).await;
    if answer.status == StatusCode::OK {
        let verified = app.verify(&answer.nonce()).await;
        assert_eq!(verified.body["external_id"], json!("ann"));
    }
    answer.status
}

#[tokio::test]
async fn an_imported_credential_logs_in_and_its_backup_flags_are_learned() {
    for house in houses().await {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
            let app = house.app().await;
            let mut ann = Authenticator::new(algorithm, "ann");
            let files = Files {
                users: vec![],
                credentials: vec![credential("ann", &ann)],
            };
            let report = files.import(&house, &app).await;
            assert_eq!(report.users, tally(1, 0, 0, 0), "{report:?}");
            assert_eq!(report.credentials, tally(1, 0, 0, 0), "{report:?}");
            assert_eq!(log_in(&app, &mut ann, Some("ann")).await, StatusCode::OK);
            // Nobody wrote the handle down, so any will do, and none.
            assert_eq!(log_in(&app, &mut ann, None).await, StatusCode::OK);
            ann.user_handle = Some(b"whatever Passage wrote".to_vec());
            assert_eq!(log_in(&app, &mut ann, None).await, StatusCode::OK);
            assert_eq!(log_in(&app, &mut ann, Some("ann")).await, StatusCode::OK);

            let exported = export(&house, &app).await;
            assert_eq!(exported.users[0]["status"], json!("active"));
            assert_eq!(exported.users[0]["login_count"], json!(4));
            assert_eq!(exported.credentials[0]["usage_count"], json!(4));
            assert_eq!(exported.credentials[0]["backup_eligible"], json!(true));
            assert_eq!(exported.credentials[0]["backup_state"], json!(true));
            // From now on they are fixed.
            ann.flags &=
                !(webauthn::forge::flag::BACKUP_ELIGIBLE | webauthn::forge::flag::BACKED_UP);
            let reasons = Reasons::collect();
            assert_eq!(log_in(&app, &mut ann, None).await, StatusCode::UNAUTHORIZED);
            assert_eq!(reasons.take(), ["backup_eligibility_changed"]);
        }
    }
}

#[tokio::test]
async fn a_user_handle_that_was_imported_has_to_fit() {
    for house in houses().await {
        let app = house.app().await;
        let mut ann = Authenticator::new(Algorithm::Es256, "ann");
        let mut line = credential("ann", &ann);
        line["user_handle"] = json!(base64url("handle"));
        Files {
            users: vec![user("ann")],
            credentials: vec![line],
        }
        .import(&house, &app)
        .await;
        let reasons = Reasons::collect();
        for (handle, transaction, reason) in [
            (Some("handle"), false, None),
            (Some("handle"), true, None),
            (Some("id-of-ann"), false, None),
            (None, true, None),
            (None, false, Some("user_handle_missing")),
            (Some("other"), false, Some("user_handle_mismatch")),
            (Some("other"), true, Some("user_handle_mismatch")),
        ] {
            ann.user_handle = handle.map(|handle| handle.as_bytes().to_vec());
            let external_id = transaction.then_some("ann");
            let status = log_in(&app, &mut ann, external_id).await;
            assert_eq!(reasons.take(), Vec::from_iter(reason), "{handle:?}");
            assert_eq!(status == StatusCode::OK, reason.is_none(), "{handle:?}");
        }
    }
}

#[tokio::test]
async fn a_client_may_send_the_id_of_an_imported_user_as_text() {
    for house in houses().await {
        let app = house.app().await;
        // Of letters and digits, but no base64url; and none at all.
        for (number, id) in ["a1b2c", "ann@example.com"].into_iter().enumerate() {
            let external_id = format!("ann-{number}");
            let mut line = user(&external_id);
            line["id"] = json!(id);
            let imported = Authenticator::new(Algorithm::Es256, &external_id);
            Files {
                users: vec![line],
                credentials: vec![credential(&external_id, &imported)],
            }
            .import(&house, &app)
            .await;
            let mut made_here =
                Authenticator::new(Algorithm::Es256, &format!("{external_id} here"));
            app.register(&external_id, &mut made_here).await;
            for (mut authenticator, takes_any) in [(imported, true), (made_here, false)] {
                for (sent, is_taken) in [(id, true), ("no id", takes_any)] {
                    let handshake = app.start_authentication(None).await;
                    let mut finish = handshake.authentication(&mut authenticator);
                    finish["handshake_response"]["response"]["userHandle"] = json!(sent);
                    let answer = app.finish_authentication(&finish).await;
                    if is_taken {
                        answer.nonce();
                    } else {
                        answer.refuses(400, "invalid_request");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_deactivated_user_stays_deactivated() {
    for house in houses().await {
        let app = house.app().await;
        let mut ann = Authenticator::new(Algorithm::Es256, "ann");
        let mut inactive = user("ann");
        inactive["status"] = json!("inactive");
        Files {
            users: vec![inactive],
            credentials: vec![credential("ann", &ann)],
        }
        .import(&house, &app)
        .await;
        assert_eq!(log_in(&app, &mut ann, None).await, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn contradictions_are_refused_with_their_lines_and_the_rest_is_imported() {
    for house in houses().await {
        let app = house.app().await;
        let [ann, bob, eve] =
            ["ann", "bob", "eve"].map(|name| Authenticator::new(Algorithm::Es256, name));
        Files {
            users: vec![user("ann"), user("bob")],
            credentials: vec![whole_credential("ann", &ann)],
        }
        .import(&house, &app)
        .await;
        let before = export(&house, &app).await;

        let mut stolen_id = user("eve");
        stolen_id["id"] = json!("id-of-ann");
        let mut moved = user("bob");
        moved["id"] = json!("id-of-bob-elsewhere");
        let by_user_id = |user_id: &str, authenticator: &Authenticator| {
            let mut line = credential("x", authenticator);
            line.as_object_mut().unwrap().remove("external_id");
            line["user_id"] = json!(user_id);
            line
        };
        let mut other_key = credential("ann", &ann);
        other_key["public_key"] = credential("eve", &eve)["public_key"].clone();
        let mut other_rp = credential("bob", &bob);
        other_rp["rp_id"] = json!("example.org");
        let mut stolen_device = credential("bob", &bob);
        stolen_device["device_id"] = json!("device-of-ann");
        let mut both = by_user_id("id-of-ann", &eve);
        both["external_id"] = json!("eve");
        let mut keyless = credential("bob", &bob);
        keyless.as_object_mut().unwrap().remove("public_key");
        let files = Files {
            users: vec![stolen_id, moved, json!({"id": "x"})],
            credentials: vec![
                credential("bob", &ann),
                other_key,
                other_rp,
                stolen_device,
                both,
                by_user_id("nobody", &eve),
                keyless,
                json!([]),
                // The old id of someone who is there already under another one.
                by_user_id("id-of-bob-elsewhere", &bob),
                credential("eve", &bob),
            ],
        };
        for dry_run in [true, false] {
            let options = ImportOptions {
                dry_run,
                ..ImportOptions::default()
            };
            let report = files.import_with(&house, &app, options).await;
            assert_eq!(report.users, tally(0, 0, 1, 2), "{report:?}");
            assert_eq!(report.credentials, tally(1, 0, 1, 8), "{report:?}");
            let lines: Vec<(ImportFile, u64, bool)> = report
                .issues
                .iter()
                .map(|issue| (issue.file, issue.line, issue.failed))
                .collect();
            use ImportFile::{Credentials, Users};
            assert_eq!(
                lines,
                [
                    (Users, 1, true),
                    (Users, 2, false),
                    (Users, 3, true),
                    (Credentials, 1, true),
                    (Credentials, 2, true),
                    (Credentials, 3, true),
                    (Credentials, 4, true),
                    (Credentials, 5, true),
                    (Credentials, 6, true),
                    (Credentials, 7, false),
                    (Credentials, 8, true),
                    (Credentials, 10, true),
                ]
            );
            let after = export(&house, &app).await;
            assert_eq!(after.users, before.users);
            if dry_run {
                assert_eq!(after.credentials, before.credentials);
            } else {
                assert_eq!(after.credentials.len(), 2);
                assert!(after.credentials.contains(&before.credentials[0]));
            }
        }
    }
}

#[tokio::test]
async fn a_dry_run_tells_what_the_import_then_does() {
    for house in houses().await {
        let app = house.app().await;
        let [ann, bob] = ["ann", "bob"].map(|name| Authenticator::new(Algorithm::Es256, name));
        let mut keyless = whole_credential("bob", &bob);
        keyless.as_object_mut().unwrap().remove("public_key");
        let files = Files {
            users: vec![user("ann"), user("ann")],
            credentials: vec![
                whole_credential("ann", &ann),
                whole_credential("ann", &ann),
                keyless.clone(),
                keyless,
                credential("ann", &bob),
                whole_credential("bob", &bob),
            ],
        };
        let dry = ImportOptions {
            dry_run: true,
            keep_unusable: true,
            ..ImportOptions::default()
        };
        let real = ImportOptions {
            dry_run: false,
            ..dry.clone()
        };
        let told = files.import_with(&house, &app, dry).await;
        assert_eq!(export(&house, &app).await.users, [] as [Value; 0]);
        let done = files.import_with(&house, &app, real).await;
        assert_eq!(told, done);
        assert_eq!(done.users, tally(2, 1, 0, 0));
        assert_eq!(done.credentials, tally(3, 2, 0, 1));
    }
}

#[tokio::test]
async fn a_credential_without_a_key_is_kept_apart_until_its_key_comes() {
    for house in houses().await {
        let app = house.app().await;
        let mut ann = Authenticator::new(Algorithm::Es256, "ann");
        let mut keyless = whole_credential("ann", &ann);
        keyless.as_object_mut().unwrap().remove("public_key");
        keyless
            .as_object_mut()
            .unwrap()
            .remove("requires_user_verification");
        let keep = ImportOptions {
            keep_unusable: true,
            ..ImportOptions::default()
        };
        let files = Files {
            users: vec![],
            credentials: vec![keyless.clone()],
        };
        let report = files.import_with(&house, &app, keep.clone()).await;
        assert_eq!((report.credentials.added, report.unusable), (1, 1));
        let again = files.import_with(&house, &app, keep.clone()).await;
        assert_eq!(again.credentials, tally(0, 1, 0, 0));

        let kept = house.passkeys.count_unusable_credentials(&app.app.id);
        assert_eq!(kept.await.unwrap(), 1);
        let exported = export(&house, &app).await;
        assert_eq!(exported.credentials, [keyless.clone()]);
        // Its key comes twice; only the first time it is news.
        let told = Files {
            users: vec![],
            credentials: vec![credential("ann", &ann), credential("ann", &ann)],
        }
        .import_with(
            &house,
            &app,
            ImportOptions {
                dry_run: true,
                ..ImportOptions::default()
            },
        )
        .await;
        assert_eq!(told.credentials, tally(1, 1, 0, 0));
        assert_eq!(exported.users[0]["status"], json!("pending"));
        // No ceremony knows it.
        app.server("transactions/authenticate", json!({"external_id": "ann"}))
            .await
            .refuses(409, "user_has_no_passkeys");
        assert_eq!(log_in(&app, &mut ann, None).await, StatusCode::UNAUTHORIZED);

        Files {
            users: vec![],
            credentials: vec![credential("ann", &ann)],
        }
        .import(&house, &app)
        .await;
        let kept = house.passkeys.count_unusable_credentials(&app.app.id);
        assert_eq!(kept.await.unwrap(), 0);
        assert_eq!(log_in(&app, &mut ann, Some("ann")).await, StatusCode::OK);

        let mut other = keyless;
        other["credential_id"] = json!("AQID");
        other["device_id"] = json!("other");
        let files = Files {
            users: vec![],
            credentials: vec![other],
        };
        let report = files.import_with(&house, &app, keep).await;
        assert_eq!((report.credentials.added, report.unusable), (1, 1));
        app.manage(
            Method::DELETE,
            &format!("users/{}", app.user_id("ann").await),
        )
        .await;
        let kept = house.passkeys.count_unusable_credentials(&app.app.id);
        assert_eq!(kept.await.unwrap(), 0);
    }
}

#[tokio::test]
async fn the_device_of_an_import_is_shown_as_the_import_called_it() {
    for house in houses().await {
        let app = house.app().await;
        let ann = Authenticator::new(Algorithm::Es256, "ann");
        let mut line = credential("ann", &ann);
        line["friendly_name"] = json!("Ann's phone");
        line["type"] = json!("passkey");
        Files {
            users: vec![user("ann")],
            credentials: vec![line],
        }
        .import(&house, &app)
        .await;
        let devices = app.get("users/id-of-ann/devices").await;
        assert_eq!(devices["devices"][0]["friendly_name"], json!("Ann's phone"));
        assert_eq!(devices["devices"][0]["type"], json!("passkey"));
    }
}

/// Imports a file of users that succeeds.
async fn import_users(house: &House, app: &TestApp, users: &str) -> ImportReport {
    let files = ImportFiles {
        users: Some(Box::new(users.as_bytes())),
        credentials: None,
    };
    house
        .passkeys
        .import(&app.app, files, &ImportOptions::default())
        .await
        .unwrap()
}

#[tokio::test]
async fn times_to_come_are_now_and_nobody_was_updated_before_being_created() {
    for house in houses().await {
        let app = house.app().await;
        let now = "2024-08-20T00:20:47.000000Z";
        let report = import_users(
            &house,
            &app,
            "external_id,id,created_at,updated_at,last_login_at\n\
             ann,u1,2999-01-01T00:00:00Z,2999-01-01T00:00:00Z,2999-01-01T00:00:00Z\n\
             bob,u2,2024-05-01T00:00:00Z,2024-04-01T00:00:00Z,\n\
             eve,u3,2024-05-01T00:00:00Z,,2024-04-01T00:00:00Z\n\
             old,u4,1969-12-31T23:59:59Z,,\n",
        )
        .await;
        assert_eq!(report.users, tally(3, 0, 0, 1), "{report:?}");
        assert_eq!(report.issues[0].line, 5);
        assert_eq!(report.issues[0].reason, "created_at is before 1970");
        let may = "2024-05-01T00:00:00.000000Z";
        let april = "2024-04-01T00:00:00.000000Z";
        let exported = export(&house, &app).await;
        for (user, times) in
            exported
                .users
                .iter()
                .zip([[now, now, now], [may, may, may], [may, may, april]])
        {
            for (name, time) in ["created_at", "updated_at", "last_login_at"]
                .iter()
                .zip(times)
            {
                assert_eq!(user[name], json!(time), "{user}");
            }
        }
        // Whoever was said to come later is in the list.
        let listed = app.get("users").await;
        assert_eq!(listed["total_users"], json!(3), "{listed}");

        let ann = Authenticator::new(Algorithm::Es256, "ann");
        let mut line = credential("zoe", &ann);
        line["created_at"] = json!("2999-01-01T00:00:00Z");
        line["updated_at"] = json!("2024-01-01T00:00:00Z");
        let files = Files {
            users: vec![],
            credentials: vec![line],
        };
        let report = files.import(&house, &app).await;
        assert_eq!(report.failed(), 0, "{report:?}");
        let exported = export(&house, &app).await;
        let of_zoe = |line: &&Value| line["external_id"] == json!("zoe");
        let zoe = exported.users.iter().find(of_zoe).unwrap();
        for line in [&exported.credentials[0], zoe] {
            for name in ["created_at", "updated_at", "last_login_at"] {
                assert_eq!(line[name], json!(now), "{line}");
            }
        }
    }
}

#[tokio::test]
async fn rows_that_an_open_quote_swallowed_fail() {
    for house in houses().await {
        let app = house.app().await;
        let text = "external_id,id\nann,u1\nbob,\"u2\neve,u3\n";
        let report = import_users(&house, &app, text).await;
        assert_eq!(report.users, tally(1, 0, 0, 1), "{report:?}");
        assert_eq!(report.issues[0].line, 3);
        let reason = &report.issues[0].reason;
        assert!(
            reason.contains("the quote that opens in line 3"),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_file_without_records_is_said_to_have_none() {
    for house in houses().await {
        let app = house.app().await;
        let report = import_users(&house, &app, "external_id,id\r\n").await;
        assert_eq!(report.empty, [ImportFile::Users]);
        let report = import_users(&house, &app, "external_id\nann\n").await;
        assert_eq!(report.empty, []);
        let credentials_of = |text: &'static str| ImportFiles {
            users: None,
            credentials: Some(Box::new(text.as_bytes())),
        };
        let options = ImportOptions::default();
        let import = |text| {
            house
                .passkeys
                .import(&app.app, credentials_of(text), &options)
        };
        let report = import("\u{feff}\n").await.unwrap();
        assert_eq!(report.empty, [ImportFile::Credentials]);
    }
}

#[tokio::test]
async fn credentials_of_another_rp_id_are_refused_at_once() {
    for house in houses().await {
        let app = house
            .app_like(NewApp {
                name: "Example".into(),
                auth_origin: ORIGIN.into(),
                rp_id: Some("example.com".into()),
                ..NewApp::default()
            })
            .await;
        let import = async |rp_id: &str| {
            let files = ImportFiles {
                users: Some(Box::new(BufReader::new(&b"external_id\nann\n"[..]))),
                credentials: None,
            };
            let options = ImportOptions {
                rp_id: Some(rp_id.into()),
                ..ImportOptions::default()
            };
            house.passkeys.import(&app.app, files, &options).await
        };
        assert!(matches!(
            import("www.example.com").await,
            Err(ImportError::OtherRpId { .. })
        ));
        assert_eq!(import("example.com").await.unwrap().users.added, 1);
    }
}

#[tokio::test]
async fn users_beyond_a_page_and_a_batch_are_all_imported_and_exported() {
    for house in houses().await {
        let app = house.app().await;
        let files = Files {
            users: (0..2_345).map(|n| user(&format!("{n:05}"))).collect(),
            credentials: vec![],
        };
        let report = files.import(&house, &app).await;
        assert_eq!(report.users, tally(2_345, 0, 0, 0));
        assert_eq!(export(&house, &app).await.users, files.users);
    }
}
