//! What a start or finish is denied for when time has passed between the calls:
//! the contract's answer outside and the reason in the log. What is wrong with a
//! response itself is tried row by row in `matrix`.

use axum::http::StatusCode;
use serde_json::json;
use webauthn::{Algorithm, forge::Authenticator};

use crate::house::{ORIGIN, Reasons, houses};

#[tokio::test]
async fn a_newer_start_cancels_the_older_handshake_and_success_ends_the_transaction() {
    for house in houses().await {
        let app = house.app().await;
        let reasons = Reasons::collect();
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        let transaction_id = app.register_transaction("ann").await;
        let older = app.start_registration(&transaction_id).await;
        let old = app.start_registration(&transaction_id).await;
        let newest = app.start_registration(&transaction_id).await;
        app.finish_registration(&older.registration(&mut authenticator))
            .await
            .refuses(400, "invalid_request");
        assert_eq!(reasons.take(), ["handshake_spent"]);
        let finish = newest.registration(&mut authenticator);
        app.finish_registration(&finish).await.nonce();
        app.finish_registration(&finish)
            .await
            .refuses(400, "invalid_request");
        assert_eq!(reasons.take(), ["handshake_spent"]);
        app.finish_registration(&old.registration(&mut authenticator))
            .await
            .refuses(404, "transaction_not_found");
        assert_eq!(reasons.take(), ["transaction_mismatch"]);
        app.browser(
            "register/transactions/webauthn/start",
            json!({"transaction_id": transaction_id}),
        )
        .await
        .refuses(404, "transaction_not_found");
    }
}

#[tokio::test]
async fn handshakes_and_transactions_of_the_other_ceremony_are_refused() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let register = app.register_transaction("ann").await;
        let authenticate = app.authenticate_transaction("ann").await;
        app.browser(
            "authenticate/transactions/webauthn/start",
            json!({"transaction_id": register}),
        )
        .await
        .refuses(404, "transaction_not_found");
        app.browser(
            "register/transactions/webauthn/start",
            json!({"transaction_id": authenticate}),
        )
        .await
        .refuses(404, "transaction_not_found");

        let reasons = Reasons::collect();
        let registration = app.start_registration(&register).await;
        let response = registration.registration(&mut authenticator);
        let finish = "transactions/webauthn/finish";
        // Unreadable as the other ceremony's response, which comes second.
        app.browser(&format!("authenticate/{finish}"), response)
            .await
            .refuses(400, "invalid_request");
        let authentication = app.start_authentication(Some(&authenticate)).await;
        let response = authentication.authentication(&mut authenticator);
        app.browser(&format!("register/{finish}"), response)
            .await
            .refuses(400, "invalid_request");
        assert_eq!(
            reasons.take(),
            ["handshake_wrong_kind", "handshake_wrong_kind"]
        );
    }
}

#[tokio::test]
async fn a_deactivated_user_is_told_so_only_where_it_tells_nobody_else() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let registered = app.register_transaction("ann").await;
        let started = app.register_transaction("ann").await;
        let registration = app.start_registration(&started).await;
        let authenticated = app.authenticate_transaction("ann").await;
        let with_transaction = app
            .start_authentication(Some(&app.authenticate_transaction("ann").await))
            .await;
        let forged = app.start_authentication(None).await;
        let discoverable = app.start_authentication(None).await;
        let unredeemed = {
            let handshake = app.start_authentication(None).await;
            app.finish_authentication(&handshake.authentication(&mut authenticator))
                .await
                .nonce()
        };
        house
            .execute("UPDATE passkeys_users SET status = 'inactive'")
            .await;

        let reasons = Reasons::collect();
        let names = json!({"external_id": "ann", "passkey_display_name": "Ann"});
        app.server("transactions/register", names.clone())
            .await
            .refuses(403, "cannot_create_transaction");
        app.server("transactions/authenticate", names)
            .await
            .refuses(403, "cannot_create_transaction");
        for (ceremony, transaction_id) in
            [("register", &registered), ("authenticate", &authenticated)]
        {
            app.browser(
                &format!("{ceremony}/transactions/webauthn/start"),
                json!({"transaction_id": transaction_id}),
            )
            .await
            .refuses(403, "user_not_active");
        }
        assert!(reasons.take().is_empty());

        let mut second = Authenticator::new(Algorithm::Es256, "second");
        app.finish_registration(&registration.registration(&mut second))
            .await
            .refuses(403, "user_not_active");
        app.finish_authentication(&with_transaction.authentication(&mut authenticator))
            .await
            .refuses(403, "user_not_active");
        app.finish_authentication(&discoverable.authentication(&mut authenticator))
            .await
            .refuses(403, "user_not_active");
        assert_eq!(reasons.take(), ["user_inactive"; 3]);
        let mut response = authenticator.get(&forged.public_key, ORIGIN);
        response.key = second.key.clone();
        app.finish_authentication(&forged.finish(response.json()))
            .await
            .refuses(401, "discoverable_login_failed");
        assert_eq!(reasons.take(), ["signature_bad"]);
        app.verify(&unredeemed).await.refuses(401, "invalid_nonce");

        house
            .execute("UPDATE passkeys_users SET status = 'active'")
            .await;
        assert_eq!(app.verify(&unredeemed).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn users_and_devices_that_are_gone_are_refused_by_name() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        app.server(
            "transactions/authenticate",
            json!({"external_id": "nobody"}),
        )
        .await
        .refuses(404, "user_not_found");
        let transaction_id = app.register_transaction("bob").await;
        app.start_registration(&transaction_id).await;
        app.server("transactions/authenticate", json!({"external_id": "bob"}))
            .await
            .refuses(409, "user_has_no_passkeys");

        let reasons = Reasons::collect();
        let transaction_id = app.authenticate_transaction("ann").await;
        let handshake = app.start_authentication(Some(&transaction_id)).await;
        let transaction = app.register_transaction("ann").await;
        let registration = app.start_registration(&transaction).await;
        house.execute("DELETE FROM passkeys_devices").await;
        app.finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .refuses(401, "webauthn_login_failed");
        assert_eq!(reasons.take(), ["credential_unknown"]);
        let start = json!({"transaction_id": transaction_id});
        let path = "authenticate/transactions/webauthn/start";
        app.browser(path, start.clone())
            .await
            .refuses(409, "user_has_no_passkeys");
        house.execute("DELETE FROM passkeys_users").await;
        app.browser(path, start)
            .await
            .refuses(404, "user_not_found");
        app.finish_registration(&registration.registration(&mut authenticator))
            .await
            .refuses(404, "user_not_found");
        assert_eq!(reasons.take(), ["user_inactive"]);
    }
}

#[tokio::test]
async fn a_handshake_keeps_its_rp_id_and_a_credential_is_offered_under_its_own_only() {
    for house in houses().await {
        let app = house.app_of_parent_domain().await;
        let mut authenticator = app.registered("ann").await;
        let handshake = app.start_authentication(None).await;
        app.update(json!({"rp_id": "login.example.com", "force": true}))
            .await;
        app.finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .nonce();

        app.server("transactions/authenticate", json!({"external_id": "ann"}))
            .await
            .refuses(409, "user_has_no_passkeys");
        let transaction_id = app.register_transaction("ann").await;
        let handshake = app.start_registration(&transaction_id).await;
        assert_eq!(handshake.public_key["rp"]["id"], "login.example.com");
        assert_eq!(handshake.public_key["excludeCredentials"], json!([]));
        let reasons = Reasons::collect();
        let handshake = app.start_authentication(None).await;
        app.finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .refuses(401, "discoverable_login_failed");
        assert_eq!(reasons.take(), ["credential_unknown"]);
    }
}
