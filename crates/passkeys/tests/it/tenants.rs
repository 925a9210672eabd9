//! What belongs to one app is nothing to another, even under the same RP ID.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use serde_json::json;
use webauthn::{Algorithm, forge::Authenticator};

use crate::house::{Reasons, UNKNOWN_ID, houses};

#[tokio::test]
async fn only_a_key_of_the_app_opens_its_management_calls() {
    for house in houses().await {
        let app = house.app().await;
        let other = house.app().await;
        let changed = format!(
            "{}{}",
            &app.key[..74],
            if app.key.ends_with('a') { 'b' } else { 'a' }
        );
        let bearer = |key: &str| Some(format!("Bearer {key}"));
        let calls = [
            (Method::POST, "/transactions/register"),
            (Method::POST, "/transactions/authenticate"),
            (Method::POST, "/authenticate/verify"),
            (Method::GET, ""),
            (Method::PATCH, ""),
            (Method::GET, "/native-clients"),
            (Method::POST, "/native-clients"),
            (Method::GET, "/native-clients/x"),
            (Method::DELETE, "/native-clients/x"),
            (Method::GET, "/users"),
            (Method::GET, "/users?limit=0"),
            (Method::GET, "/users/x"),
            (Method::DELETE, "/users/x"),
            (Method::PATCH, "/users/x/activate"),
            (Method::PATCH, "/users/x/deactivate"),
            (Method::GET, "/users/x/devices"),
            (Method::DELETE, "/users/x/devices/x"),
            (Method::GET, "/events"),
            (Method::GET, "/events/x"),
            (Method::GET, "/events/%FF"),
        ];
        for (method, path) in calls {
            let call = |app_id: &str| {
                Request::builder()
                    .method(&method)
                    .uri(format!("/v1/apps/{app_id}{path}"))
            };
            for authorization in [
                None,
                bearer(""),
                bearer("abc"),
                bearer(&other.key),
                bearer(&changed),
                bearer(&format!("{}.{}", &app.key[..10], &other.key[11..])),
                Some(app.key.clone()),
                Some(format!("Basic {}", app.key)),
            ] {
                let mut request = call(app.app.id.as_str());
                if let Some(authorization) = &authorization {
                    request = request.header("authorization", authorization);
                }
                // The key is looked at before the body.
                let answer = house.send(request.body(Body::from("{")).unwrap()).await;
                answer.refuses(401, "invalid_access_token");
                assert_eq!(answer.headers.get("access-control-allow-origin"), None);
            }
            for id in [UNKNOWN_ID, "x", "%FF", "%00", "a%20b", "%2F"] {
                let request = call(id)
                    .header("authorization", format!("Bearer {}", app.key))
                    .body(Body::from("{}"))
                    .unwrap();
                house
                    .send(request)
                    .await
                    .refuses(401, "invalid_access_token");
            }
            // Encoded like any other id.
            let id = app.app.id.as_str();
            let encoded = format!("%{:02X}{}", id.as_bytes()[0], &id[1..]);
            for id in [id, &encoded] {
                let request = call(id)
                    .header("authorization", format!("bearer {}", app.key))
                    .body(Body::from("{}"))
                    .unwrap();
                assert_ne!(house.send(request).await.status, 401, "{id} {path}");
            }
        }
    }
}

#[tokio::test]
async fn every_key_of_an_app_works_and_none_is_stored() {
    for house in houses().await {
        let mut app = house.app().await;
        let second = house
            .passkeys
            .create_api_key(&app.app.id, "second")
            .await
            .unwrap();
        let first = std::mem::replace(
            &mut app.key,
            secrecy::ExposeSecret::expose_secret(&second.secret).to_owned(),
        );
        app.register_transaction("ann").await;
        app.key = first;
        app.register_transaction("ann").await;
        let names: Vec<String> = house
            .passkeys
            .list_api_keys(&app.app.id)
            .await
            .unwrap()
            .into_iter()
            .map(|key| format!("{} {}", key.name, key.prefix == app.key[..10]))
            .collect();
        assert_eq!(names, ["test true", "second false"]);
        assert!(!format!("{second:?}").contains(&app.key[11..]));
    }
}

#[tokio::test]
async fn apps_are_found_by_id_and_listed_by_organization() {
    for house in houses().await {
        let app = house.app().await.app;
        assert_eq!(
            house.passkeys.find_app(&app.id).await.unwrap(),
            Some(app.clone())
        );
        let unknown = passkeys::AppId::parse(UNKNOWN_ID).unwrap();
        assert_eq!(house.passkeys.find_app(&unknown).await.unwrap(), None);
        assert!(house.passkeys.create_api_key(&unknown, "n").await.is_err());
        assert_eq!(
            house.passkeys.list_apps("organization").await.unwrap(),
            [app]
        );
        assert_eq!(house.passkeys.list_apps("other").await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_nonce_of_another_app_is_refused_and_stays_valid_for_its_own() {
    for house in houses().await {
        let app = house.app().await;
        let other = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let handshake = app.start_authentication(None).await;
        let nonce = app
            .finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .nonce();
        other.verify(&nonce).await.refuses(401, "invalid_nonce");
        let mut changed = nonce.clone().into_bytes();
        changed[0] = if changed[0] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        app.verify(&changed).await.refuses(401, "invalid_nonce");
        assert_eq!(app.verify(&nonce).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn transactions_handshakes_and_credentials_do_not_cross_apps() {
    for house in houses().await {
        let app = house.app().await;
        let other = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let mut others = Authenticator::new(Algorithm::Es256, "other's");
        other.register("ann", &mut others).await;

        let register = app.register_transaction("ann").await;
        let authenticate = app.authenticate_transaction("ann").await;
        for (ceremony, transaction_id) in [("register", &register), ("authenticate", &authenticate)]
        {
            other
                .browser(
                    &format!("{ceremony}/transactions/webauthn/start"),
                    json!({"transaction_id": transaction_id}),
                )
                .await
                .refuses(404, "transaction_not_found");
        }

        let reasons = Reasons::collect();
        let handshake = app.start_authentication(Some(&authenticate)).await;
        let finish = handshake.authentication(&mut authenticator);
        other
            .finish_authentication(&finish)
            .await
            .refuses(400, "invalid_request");
        assert_eq!(reasons.take(), ["handshake_unknown"]);
        app.finish_authentication(&finish).await.nonce();

        let handshake = other.start_authentication(None).await;
        other
            .finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .refuses(401, "discoverable_login_failed");
        assert_eq!(reasons.take(), ["credential_unknown"]);

        // The same credential may be known to both: they do not know of each other.
        other.register("ann", &mut authenticator).await;
    }
}
