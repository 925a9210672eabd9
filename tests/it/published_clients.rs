//! The published Passage client for Rust servers, `passage_flex` 1.0.2,
//! unmodified: a customer changes its base path and carries on. The browser's
//! published client is in `tests/browser/published.test.js`.

use acceptance::{Person, Server, server::App};
use passage_flex::{
    Error,
    auth::Auth,
    openapi::{
        apis::configuration::Configuration,
        models::{UserStatus, WebAuthnType},
    },
    user::User,
};
use serde_json::json;

const MINUTE_MS: i64 = 60 * 1000;

/// The two halves of the client, as `PassageFlex` has them.
struct Passage {
    auth: Auth,
    user: User,
}

impl Passage {
    fn new(server: &Server, app: &App) -> Passage {
        let configuration = Configuration {
            base_path: format!("{}/v1/apps/{}", server.url, app.id),
            bearer_access_token: Some(app.api_key.clone()),
            ..Configuration::new()
        };
        Passage {
            auth: Auth::new(configuration.clone()),
            user: User::new(configuration),
        }
    }
}

#[tokio::test]
async fn the_rust_client_carries_a_user_from_the_first_passkey_to_the_last() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let passage = Passage::new(&server, &app);
    let mut ann = Person::new("ann");

    let transaction_id = passage
        .auth
        .create_register_transaction("ann".into(), "ann@example.com".into())
        .await
        .expect("a register transaction");
    let nonce = ann.register_with(&server, &app, &transaction_id).await;
    assert_eq!(passage.auth.verify_nonce(nonce).await.unwrap(), "ann");

    let registered = passage.user.get("ann".into()).await.expect("a user");
    assert_eq!(registered.external_id, "ann");
    assert_eq!(registered.status, UserStatus::Active);
    assert_eq!(registered.login_count, 0);
    assert_eq!(registered.last_login_at, registered.created_at);
    assert_eq!(registered.user_metadata, None);
    assert!(registered.webauthn);
    assert_eq!(registered.webauthn_types, [WebAuthnType::Passkey]);

    let devices = passage.user.list_devices("ann".into()).await.unwrap();
    assert_eq!(devices, registered.webauthn_devices);
    let [device] = devices.as_slice() else {
        panic!("ann has one passkey, not {devices:?}");
    };
    assert_eq!(device.r#type, WebAuthnType::Passkey);
    assert_eq!(device.usage_count, 0);
    assert_eq!(device.last_login_at, device.created_at);
    assert!(!device.friendly_name.is_empty());

    server.clock.advance_ms(MINUTE_MS);
    let transaction_id = passage
        .auth
        .create_authenticate_transaction("ann".into())
        .await
        .expect("an authenticate transaction");
    let nonce = ann.authenticate_with(&server, &app, &transaction_id).await;
    assert_eq!(passage.auth.verify_nonce(nonce).await.unwrap(), "ann");

    let authenticated = passage.user.get("ann".into()).await.expect("a user");
    assert_eq!(authenticated.id, registered.id);
    assert_eq!(authenticated.login_count, 1);
    // Times are texts of one width in UTC, so that they compare as they are.
    assert!(authenticated.last_login_at > registered.last_login_at);
    assert_eq!(authenticated.created_at, registered.created_at);
    let [used] = authenticated.webauthn_devices.as_slice() else {
        panic!("signing in makes no passkey: {authenticated:?}");
    };
    assert_eq!((&used.id, used.usage_count), (&device.id, 1));
    assert_eq!(used.cred_id, device.cred_id);
    assert!(used.last_login_at > device.last_login_at);

    passage
        .user
        .revoke_device("ann".into(), device.id.clone())
        .await
        .expect("the passkey is revoked");
    assert_eq!(passage.user.list_devices("ann".into()).await.unwrap(), []);
    let left = passage.user.get("ann".into()).await.expect("a user");
    assert_eq!(left.id, registered.id);
    assert!(!left.webauthn);
    assert_eq!(left.webauthn_devices, []);
    assert_eq!(left.webauthn_types, []);
    assert!(matches!(
        passage
            .auth
            .create_authenticate_transaction("ann".into())
            .await,
        Err(Error::UserHasNoPasskeys)
    ));
    server.stop().await;
}

#[tokio::test]
async fn the_rust_client_knows_whom_nobody_registered() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let passage = Passage::new(&server, &app);
    Person::new("ann").register(&server, &app).await;

    // The last would be everybody, were an external id a pattern.
    for nobody in ["nobody", "Ann", "<like:%>"].map(str::to_owned) {
        let transaction = passage
            .auth
            .create_authenticate_transaction(nobody.clone())
            .await;
        assert!(
            matches!(transaction, Err(Error::UserNotFound)),
            "{nobody}: {transaction:?}"
        );
        let user = passage.user.get(nobody.clone()).await;
        assert!(
            matches!(user, Err(Error::UserNotFound)),
            "{nobody}: {user:?}"
        );
        let devices = passage.user.list_devices(nobody.clone()).await;
        assert!(
            matches!(devices, Err(Error::UserNotFound)),
            "{nobody}: {devices:?}"
        );
        let revoked = passage
            .user
            .revoke_device(nobody.clone(), "aDeviceOfNobody".into())
            .await;
        assert!(
            matches!(revoked, Err(Error::UserNotFound)),
            "{nobody}: {revoked:?}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn the_rust_client_finds_external_ids_of_any_spelling() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let passage = Passage::new(&server, &app);
    for external_id in [
        "ann b+c%20d&page=2",
        "<like:%>",
        "übermäßig/ann#1?",
        "00000000-0000-0000-0000-000000000001",
    ] {
        let transaction_id = passage
            .auth
            .create_register_transaction(external_id.into(), "Ann".into())
            .await
            .expect("a register transaction");
        let mut person = Person::new(external_id);
        let nonce = person.register_with(&server, &app, &transaction_id).await;
        assert_eq!(passage.auth.verify_nonce(nonce).await.unwrap(), external_id);
        let user = passage.user.get(external_id.into()).await.expect("a user");
        assert_eq!(user.external_id, external_id);
    }
    server.stop().await;
}

#[tokio::test]
async fn the_rust_client_revokes_devices_of_that_user_only() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let passage = Passage::new(&server, &app);
    Person::new("ann").register(&server, &app).await;
    Person::new("bob").register(&server, &app).await;
    let devices_of_bob = passage.user.list_devices("bob".into()).await.unwrap();

    for device_id in [devices_of_bob[0].id.as_str(), "unknown", "../bob"] {
        let revoked = passage
            .user
            .revoke_device("ann".into(), device_id.into())
            .await;
        assert!(
            matches!(revoked, Err(Error::DeviceNotFound)),
            "{device_id}: {revoked:?}"
        );
    }
    assert_eq!(
        passage.user.list_devices("bob".into()).await.unwrap(),
        devices_of_bob
    );
    assert_eq!(
        passage.user.list_devices("ann".into()).await.unwrap().len(),
        1
    );
    server.stop().await;
}

#[tokio::test]
async fn the_rust_client_is_told_of_nonces_that_prove_nothing() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let passage = Passage::new(&server, &app);
    let nonce = Person::new("ann").register(&server, &app).await;
    assert_eq!(
        passage.auth.verify_nonce(nonce.clone()).await.unwrap(),
        "ann"
    );
    for nonce in [nonce, "nobody-ever-issued-this".to_owned()] {
        let verified = passage.auth.verify_nonce(nonce).await;
        assert!(matches!(verified, Err(Error::InvalidNonce)), "{verified:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_rust_client_is_told_that_a_user_has_no_passkeys_yet() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let passage = Passage::new(&server, &app);
    Person::new("ann").start_registration(&server, &app).await;

    let user = passage.user.get("ann".into()).await.expect("a user");
    assert_eq!(user.status, UserStatus::Pending);
    assert!(!user.webauthn);
    assert_eq!(passage.user.list_devices("ann".into()).await.unwrap(), []);
    let transaction = passage
        .auth
        .create_authenticate_transaction("ann".into())
        .await;
    assert!(
        matches!(transaction, Err(Error::UserHasNoPasskeys)),
        "{transaction:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn the_rust_client_is_told_of_a_key_that_opens_nothing_on_every_call() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let other = server.create_app().await;
    let nonce = Person::new("ann").register(&server, &app).await;
    let wrong_keys = ["no-key-at-all", other.api_key.as_str()];
    for wrong in wrong_keys.map(|api_key| App {
        api_key: api_key.to_owned(),
        ..app.clone()
    }) {
        let Passage { auth, user } = Passage::new(&server, &wrong);
        let refusals = [
            auth.create_register_transaction("ann".into(), "Ann".into())
                .await
                .err(),
            auth.create_authenticate_transaction("ann".into())
                .await
                .err(),
            auth.verify_nonce(nonce.clone()).await.err(),
            user.get("ann".into()).await.err(),
            user.list_devices("ann".into()).await.err(),
            user.revoke_device("ann".into(), "aDevice".into())
                .await
                .err(),
        ];
        for refusal in refusals {
            assert!(
                matches!(refusal, Some(Error::InvalidAccessToken)),
                "{refusal:?}"
            );
        }
    }
    // None of it spent the nonce.
    let verified = Passage::new(&server, &app).auth.verify_nonce(nonce).await;
    assert_eq!(verified.unwrap(), "ann");
    server.stop().await;
}

#[tokio::test]
async fn the_rust_client_passes_on_the_reason_of_other_refusals() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let passage = Passage::new(&server, &app);

    let transaction = passage
        .auth
        .create_register_transaction("a".repeat(257), "Ann".into())
        .await;
    let Err(Error::InvalidRequest(reason)) = transaction else {
        panic!("{transaction:?}");
    };
    assert!(reason.contains("external_id"), "{reason}");

    Person::new("ann").register(&server, &app).await;
    let user = passage.user.get("ann".into()).await.expect("a user");
    let deactivate = server
        .http
        .patch(format!(
            "{}/v1/apps/{}/users/{}/deactivate",
            server.url, app.id, user.id
        ))
        .bearer_auth(&app.api_key);
    let (status, answer) = acceptance::server::answer(deactivate).await;
    assert_eq!(
        (status, &answer["user"]["status"]),
        (200, &json!("inactive")),
        "{answer}"
    );
    let user = passage.user.get("ann".into()).await.expect("a user");
    assert_eq!(user.status, UserStatus::Inactive);
    let transaction = passage
        .auth
        .create_authenticate_transaction("ann".into())
        .await;
    let Err(Error::Other(reason)) = transaction else {
        panic!("{transaction:?}");
    };
    assert!(!reason.is_empty() && !reason.starts_with('{'), "{reason}");
    server.stop().await;
}
