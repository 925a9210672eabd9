//! Signing in with a password: rights of the client, hidden users, the lock, secret hashes, and
//! the new password of a temporary one.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::json;

use crate::harness::{PASSWORD, text, worlds};

#[tokio::test]
async fn a_password_signs_in_after_confirmation() {
    for world in worlds().await {
        let (pool, client) = world.email_pool().await;
        world.sign_up(&client, "ann@example.com").await;
        world
            .sign_in(&client, "ann@example.com", PASSWORD)
            .await
            .refused_with("UserNotConfirmedException", "User is not confirmed.");
        world
            .sign_in(&client, "ann@example.com", "Wrong-horse-1")
            .await
            .refused_with("NotAuthorizedException", "Incorrect username or password.");
        world
            .signed(
                "AdminConfirmSignUp",
                json!({ "UserPoolId": pool, "Username": "ann@example.com" }),
            )
            .await
            .ok();
        let answer = world
            .sign_in(&client, "ann@example.com", PASSWORD)
            .await
            .ok();
        assert_eq!(answer["ChallengeParameters"], json!({}));
        let result = &answer["AuthenticationResult"];
        assert_eq!(result["ExpiresIn"], 3600);
        assert_eq!(result["TokenType"], "Bearer");
        for token in ["AccessToken", "IdToken", "RefreshToken"] {
            assert!(result[token].is_string(), "{token}");
        }
    }
}

#[tokio::test]
async fn an_unknown_user_looks_like_a_known_one_where_the_client_hides_it() {
    for world in worlds().await {
        let (pool, legacy) = world.email_pool().await;
        world.confirmed(&pool, &legacy, "ann@example.com").await;
        let hiding = world
            .create_client(&pool, json!({ "PreventUserExistenceErrors": "ENABLED" }))
            .await;
        let hiding = text(&hiding, "ClientId");
        world
            .sign_in(&legacy, "nobody@example.com", PASSWORD)
            .await
            .refused_with("UserNotFoundException", "User does not exist.");
        // The lock of the sixth attempt included.
        let mut seen = Vec::new();
        for name in ["ann@example.com", "nobody@example.com"] {
            let mut refusals = Vec::new();
            for _ in 0..6 {
                refusals.push(
                    world
                        .sign_in(&hiding, name, "Wrong-horse-1")
                        .await
                        .refused(),
                );
            }
            seen.push(refusals);
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[0][4].1, "Incorrect username or password.");
        assert_eq!(seen[0][5].1, "Password attempts exceeded");
    }
}

#[tokio::test]
async fn five_wrong_passwords_lock_and_time_unlocks() {
    for world in worlds().await {
        let (pool, client) = world.email_pool().await;
        world.confirmed(&pool, &client, "ann@example.com").await;
        let wrong = || world.sign_in(&client, "ann@example.com", "Wrong-horse-1");
        let right = || world.sign_in(&client, "ann@example.com", PASSWORD);
        for _ in 0..5 {
            let (_, message) = wrong().await.refused();
            assert_eq!(message, "Incorrect username or password.");
        }
        right()
            .await
            .refused_with("NotAuthorizedException", "Password attempts exceeded");
        world.wait_s(1);
        let (_, message) = wrong().await.refused();
        assert_eq!(message, "Incorrect username or password.");
        world.wait_s(1);
        let (_, message) = right().await.refused();
        assert_eq!(message, "Password attempts exceeded");
        world.wait_s(1);
        right().await.ok();
        let (_, message) = wrong().await.refused();
        assert_eq!(message, "Incorrect username or password.");
        right().await.ok();
    }
}

#[tokio::test]
async fn flows_and_parameters_are_checked_in_order() {
    for world in worlds().await {
        let (pool, all) = world.email_pool().await;
        let none = world
            .create_client(
                &pool,
                json!({ "ExplicitAuthFlows": ["ALLOW_ADMIN_USER_PASSWORD_AUTH"] }),
            )
            .await;
        let none = text(&none, "ClientId");
        let default = text(
            &world
                .create_client(&pool, json!({ "ExplicitAuthFlows": null }))
                .await,
            "ClientId",
        );
        let invalid = "InvalidParameterException";
        for (client, flow, parameters, message) in [
            (
                &none,
                "USER_PASSWORD_AUTH",
                json!({}),
                "USER_PASSWORD_AUTH flow not enabled for this client",
            ),
            (
                &none,
                "USER_SRP_AUTH",
                json!({}),
                "USER_SRP_AUTH is not enabled for the client.",
            ),
            (
                &none,
                "CUSTOM_AUTH",
                json!({}),
                "CUSTOM_AUTH is not enabled for the client.",
            ),
            (
                &none,
                "USER_AUTH",
                json!({}),
                "USER_AUTH flow not enabled for this client",
            ),
            (
                &none,
                "REFRESH_TOKEN",
                json!({}),
                "REFRESH_TOKEN_AUTH is not enabled for the client.",
            ),
            (
                &none,
                "ADMIN_USER_PASSWORD_AUTH",
                json!({}),
                "Initiate Auth method not supported.",
            ),
            (
                &default,
                "USER_SRP_AUTH",
                json!({ "USERNAME": "a", "SRP_A": "1" }),
                "USER_SRP_AUTH is not supported by this server.",
            ),
            (
                &all,
                "USER_PASSWORD_AUTH",
                json!({}),
                "Missing required parameter USERNAME",
            ),
            (
                &all,
                "USER_PASSWORD_AUTH",
                json!({ "USERNAME": "a" }),
                "Missing required parameter PASSWORD",
            ),
            (
                &all,
                "REFRESH_TOKEN_AUTH",
                json!({}),
                "Missing required parameter REFRESH_TOKEN",
            ),
            (
                &all,
                "CUSTOM_AUTH",
                json!({ "USERNAME": "a" }),
                "Custom auth lambda trigger is not configured for the user pool.",
            ),
            (
                &all,
                "CUSTOM_AUTH",
                json!({ "USERNAME": "a", "CHALLENGE_NAME": "SRP_A" }),
                "CUSTOM_AUTH with SRP_A is not supported by this server.",
            ),
            (
                &all,
                "NO_AUTH",
                json!({}),
                "1 validation error detected: Value 'NO_AUTH' at 'authFlow' failed to satisfy \
                 constraint: Member must satisfy enum value set: [USER_SRP_AUTH, REFRESH_TOKEN_AUTH, \
                 REFRESH_TOKEN, CUSTOM_AUTH, ADMIN_NO_SRP_AUTH, USER_PASSWORD_AUTH, \
                 ADMIN_USER_PASSWORD_AUTH, USER_AUTH]",
            ),
        ] {
            world
                .call(
                    "InitiateAuth",
                    json!({ "AuthFlow": flow, "ClientId": client, "AuthParameters": parameters }),
                )
                .await
                .refused_with(invalid, message);
        }
    }
}

fn secret_hash(client: &serde_json::Value, username: &str) -> String {
    let secret = text(client, "ClientSecret");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let data = format!("{username}{}", text(client, "ClientId"));
    BASE64.encode(hmac::sign(&key, data.as_bytes()))
}

#[tokio::test]
async fn a_client_with_a_secret_proves_it_everywhere() {
    for world in worlds().await {
        let pool = world
            .create_pool(json!({ "UsernameAttributes": ["email"] }))
            .await;
        let client = world
            .create_client(&pool, json!({ "GenerateSecret": true }))
            .await;
        let id = text(&client, "ClientId");
        let sign_up = |hash: Option<String>| {
            world.call(
                "SignUp",
                json!({
                    "ClientId": id, "Username": "ann@example.com", "Password": PASSWORD,
                    "SecretHash": hash,
                }),
            )
        };
        sign_up(None).await.refused_with(
            "NotAuthorizedException",
            &format!("Client {id} is configured with secret but SECRET_HASH was not received"),
        );
        sign_up(Some(secret_hash(&client, "bob@example.com")))
            .await
            .refused_with(
                "NotAuthorizedException",
                &format!("Unable to verify secret hash for client {id}"),
            );
        let answer = sign_up(Some(secret_hash(&client, "ann@example.com")))
            .await
            .ok();
        let sub = text(&answer, "UserSub");
        world
            .signed(
                "AdminConfirmSignUp",
                json!({ "UserPoolId": pool, "Username": sub }),
            )
            .await
            .ok();
        let sign_in = |hash: Option<String>| {
            world.call(
                "InitiateAuth",
                json!({
                    "AuthFlow": "USER_PASSWORD_AUTH", "ClientId": id,
                    "AuthParameters": {
                        "USERNAME": "ann@example.com", "PASSWORD": PASSWORD, "SECRET_HASH": hash,
                    },
                }),
            )
        };
        let (exception, _) = sign_in(None).await.refused();
        assert_eq!(exception, "NotAuthorizedException");
        sign_in(Some(secret_hash(&client, &sub))).await.ok();
        let answer = sign_in(Some(secret_hash(&client, "ann@example.com")))
            .await
            .ok();
        let token = text(&answer["AuthenticationResult"], "RefreshToken");
        let refresh = |hash: Option<String>| {
            world.call(
                "InitiateAuth",
                json!({
                    "AuthFlow": "REFRESH_TOKEN_AUTH", "ClientId": id,
                    "AuthParameters": { "REFRESH_TOKEN": token, "SECRET_HASH": hash },
                }),
            )
        };
        refresh(Some(secret_hash(&client, "bob")))
            .await
            .refused_with(
                "NotAuthorizedException",
                &format!("SecretHash does not match for the client: {id}"),
            );
        let (exception, _) = refresh(None).await.refused();
        assert_eq!(exception, "NotAuthorizedException");
        refresh(Some(secret_hash(&client, &sub))).await.ok();

        let public = world.create_client(&pool, json!({})).await;
        let public = text(&public, "ClientId");
        world
            .call(
                "SignUp",
                json!({
                    "ClientId": public, "Username": "bob@example.com", "Password": PASSWORD,
                    "SecretHash": "AAAA",
                }),
            )
            .await
            .refused_with(
                "InvalidParameterException",
                &format!(
                    "App client {public} is not configured for secret but secret hash was received"
                ),
            );
    }
}

#[tokio::test]
async fn a_temporary_password_must_be_changed_at_the_next_sign_in() {
    for world in worlds().await {
        let (pool, client) = world.email_pool().await;
        let sub = world.confirmed(&pool, &client, "ann@example.com").await;
        let set = |password: &'static str, is_permanent: bool| {
            world.signed(
                "AdminSetUserPassword",
                json!({
                    "UserPoolId": pool, "Username": "ann@example.com", "Password": password,
                    "Permanent": is_permanent,
                }),
            )
        };
        let (exception, _) = set("short", true).await.refused();
        assert_eq!(exception, "InvalidPasswordException");
        assert_eq!(set("Temporary-1", false).await.ok(), json!({}));
        let challenge = world
            .sign_in(&client, "ann@example.com", "Temporary-1")
            .await
            .ok();
        assert_eq!(challenge["ChallengeName"], "NEW_PASSWORD_REQUIRED");
        assert_eq!(
            challenge["ChallengeParameters"],
            json!({
                "USER_ID_FOR_SRP": sub,
                "requiredAttributes": "[]",
                "userAttributes": r#"{"email":"ann@example.com","email_verified":"false"}"#,
            })
        );
        let respond = |password: &'static str| {
            world.call(
                "RespondToAuthChallenge",
                json!({
                    "ClientId": client, "ChallengeName": "NEW_PASSWORD_REQUIRED",
                    "Session": challenge["Session"],
                    "ChallengeResponses": { "USERNAME": sub, "NEW_PASSWORD": password },
                }),
            )
        };
        let (exception, _) = respond("short").await.refused();
        assert_eq!(exception, "InvalidPasswordException");
        let answer = respond("Permanent-1").await.ok();
        assert!(answer["AuthenticationResult"]["AccessToken"].is_string());
        respond("Permanent-2").await.refused_with(
            "NotAuthorizedException",
            "Invalid session for the user, session can only be used once.",
        );
        world
            .sign_in(&client, "ann@example.com", "Permanent-1")
            .await
            .ok();

        set("Temporary-2", false).await.ok();
        world.wait_s(7 * 24 * 60 * 60);
        world
            .sign_in(&client, "ann@example.com", "Temporary-2")
            .await
            .refused_with(
                "NotAuthorizedException",
                "Temporary password has expired and must be reset by an administrator.",
            );
        set("Permanent-3", true).await.ok();
        world
            .sign_in(&client, "ann@example.com", "Permanent-3")
            .await
            .ok();
    }
}
