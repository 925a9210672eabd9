//! Tokens: what they say, how they verify, how they are refreshed and how they end.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    jwk::{Jwk, JwkSet},
};
use pools::IssuerForm;
use serde_json::{Value, json};

use crate::harness::{NOW_MS, World, text, worlds, worlds_with};

/// Verifies a token as any relying party does: by the published key set. The library would compare
/// the expiry with the real time, so it does not.
fn verify(token: &str, keys: &Value) -> Result<Value, jsonwebtoken::errors::Error> {
    let keys: JwkSet = serde_json::from_value(keys.clone()).unwrap();
    let header = jsonwebtoken::decode_header(token)?;
    let key: &Jwk = keys
        .find(&header.kid.unwrap())
        .expect("the key is published");
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.validate_aud = false;
    Ok(jsonwebtoken::decode(token, &DecodingKey::from_jwk(key)?, &validation)?.claims)
}

async fn key_set(world: &World, pool: &str) -> Value {
    let answer = world.get(&format!("/{pool}/.well-known/jwks.json")).await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "public, max-age=86400");
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    answer.ok()
}

#[tokio::test]
async fn tokens_verify_by_the_published_keys_and_say_what_the_contract_says() {
    for world in worlds().await {
        let (pool, client) = world.email_pool().await;
        let sub = world.confirmed(&pool, &client, "ann@example.com").await;
        let result = world.signed_in(&client, "ann@example.com").await;
        let keys = key_set(&world, &pool).await;
        assert_eq!(keys["keys"].as_array().unwrap().len(), 2);

        let (id_token, access_token) = (text(&result, "IdToken"), text(&result, "AccessToken"));
        let id = verify(&id_token, &keys).unwrap();
        let access = verify(&access_token, &keys).unwrap();
        let now_s = NOW_MS / 1000;
        let issuer = format!("http://127.0.0.1:8082/{pool}");
        assert_eq!(
            id,
            json!({
                "sub": sub, "iss": issuer, "aud": client, "token_use": "id",
                "auth_time": now_s, "iat": now_s, "exp": now_s + 3600,
                "jti": id["jti"], "origin_jti": id["origin_jti"], "event_id": id["event_id"],
                "cognito:username": sub, "email": "ann@example.com", "email_verified": false,
            })
        );
        assert_eq!(
            access,
            json!({
                "sub": sub, "iss": issuer, "client_id": client, "token_use": "access",
                "scope": "aws.cognito.signin.user.admin", "username": sub,
                "auth_time": now_s, "iat": now_s, "exp": now_s + 3600,
                "jti": access["jti"], "origin_jti": id["origin_jti"], "event_id": id["event_id"],
            })
        );
        assert_ne!(id["jti"], access["jti"]);

        let header = |token: &str| BASE64_URL.decode(token.split('.').next().unwrap()).unwrap();
        let (id_header, access_header) = (header(&id_token), header(&access_token));
        assert_ne!(id_header, access_header);
        for header in [id_header, access_header] {
            let text = String::from_utf8(header).unwrap();
            let kid = text
                .strip_prefix(r#"{"kid":""#)
                .and_then(|rest| rest.strip_suffix(r#"","alg":"RS256"}"#))
                .unwrap();
            assert!(kid.len() == 44 && kid.ends_with('='), "{kid}");
        }

        let mut forged = access_token.clone();
        forged.replace_range(forged.len() - 4.., "AAAA");
        assert!(verify(&forged, &keys).is_err());
        let (other_pool, _) = world.email_pool().await;
        assert_ne!(key_set(&world, &other_pool).await, keys);
    }
}

#[tokio::test]
async fn discovery_names_the_issuer_in_either_form() {
    for (form, expected) in [
        (IssuerForm::Server, "http://127.0.0.1:8082"),
        (
            IssuerForm::Aws,
            "https://cognito-idp.us-east-1.amazonaws.com",
        ),
    ] {
        for world in worlds_with(|settings| settings.issuer = form).await {
            let (pool, client) = world.email_pool().await;
            let path = format!("/{pool}/.well-known/openid-configuration");
            let answer = world.get(&path).await;
            assert_eq!(answer.headers["access-control-allow-origin"], "*");
            let configuration = answer.ok();
            let issuer = format!("{expected}/{pool}");
            assert_eq!(configuration["issuer"], issuer);
            assert_eq!(
                configuration["jwks_uri"],
                format!("{issuer}/.well-known/jwks.json")
            );
            world.confirmed(&pool, &client, "ann@example.com").await;
            let result = world.signed_in(&client, "ann@example.com").await;
            let keys = key_set(&world, &pool).await;
            let claims = verify(&text(&result, "IdToken"), &keys).unwrap();
            assert_eq!(claims["iss"], issuer);
        }
    }
}

#[tokio::test]
async fn the_documents_of_an_unknown_pool_are_not_found() {
    for world in worlds().await {
        for document in ["jwks.json", "openid-configuration"] {
            for pool in ["us-east-1_nobody000", "%00", "a%20b"] {
                let answer = world.get(&format!("/{pool}/.well-known/{document}")).await;
                assert_eq!(answer.status, 404);
                assert!(answer.body["message"].is_string());
            }
        }
    }
}

#[tokio::test]
async fn a_refresh_keeps_the_sign_in_and_renews_the_rest() {
    for world in worlds().await {
        let (pool, client) = world.email_pool().await;
        world.confirmed(&pool, &client, "ann@example.com").await;
        let first = world.signed_in(&client, "ann@example.com").await;
        world.wait_s(600);
        let answer = world
            .refresh(&client, &text(&first, "RefreshToken"))
            .await
            .ok();
        assert_eq!(answer["ChallengeParameters"], json!({}));
        let second = &answer["AuthenticationResult"];
        assert!(second.get("RefreshToken").is_none());
        let keys = key_set(&world, &pool).await;
        for token in ["IdToken", "AccessToken"] {
            let before = verify(&text(&first, token), &keys).unwrap();
            let after = verify(&text(second, token), &keys).unwrap();
            for claim in ["sub", "origin_jti", "auth_time"] {
                assert_eq!(before[claim], after[claim], "{claim}");
            }
            for claim in ["iat", "exp", "jti", "event_id"] {
                assert_ne!(before[claim], after[claim], "{claim}");
            }
        }
        let user = world
            .call("GetUser", json!({ "AccessToken": second["AccessToken"] }))
            .await
            .ok();
        assert_eq!(user["UserAttributes"].as_array().unwrap().len(), 3);
    }
}

#[tokio::test]
async fn refresh_tokens_are_bound_to_client_time_and_user() {
    for world in worlds().await {
        let (pool, client) = world.email_pool().await;
        world.confirmed(&pool, &client, "ann@example.com").await;
        let other = text(&world.create_client(&pool, json!({})).await, "ClientId");
        let token = text(
            &world.signed_in(&client, "ann@example.com").await,
            "RefreshToken",
        );
        let denied = "NotAuthorizedException";
        world
            .refresh(&other, &token)
            .await
            .refused_with(denied, "Invalid Refresh Token");
        world
            .refresh(&client, "garbage")
            .await
            .refused_with(denied, "Invalid Refresh Token");
        world.wait_s(30 * 24 * 60 * 60);
        world
            .refresh(&client, &token)
            .await
            .refused_with(denied, "Refresh Token has expired");
        let result = world.signed_in(&client, "ann@example.com").await;
        world
            .signed(
                "AdminDeleteUser",
                json!({ "UserPoolId": pool, "Username": "ann@example.com" }),
            )
            .await
            .ok();
        world
            .refresh(&client, &text(&result, "RefreshToken"))
            .await
            .refused_with(
                denied,
                "The user has been deleted for the associated refresh token",
            );
        world
            .call("GetUser", json!({ "AccessToken": result["AccessToken"] }))
            .await
            .refused_with("UserNotFoundException", "User does not exist.");
    }
}

#[tokio::test]
async fn get_user_shows_what_the_client_may_read_to_who_has_a_good_token() {
    for world in worlds().await {
        let (pool, client) = world.email_pool().await;
        let sub = world.confirmed(&pool, &client, "ann@example.com").await;
        let reader = world
            .create_client(&pool, json!({ "ReadAttributes": ["email"] }))
            .await;
        let reader = text(&reader, "ClientId");
        let result = world.signed_in(&reader, "ann@example.com").await;
        let get = |token: String| world.call("GetUser", json!({ "AccessToken": token }));
        let access_token = text(&result, "AccessToken");
        assert_eq!(
            get(access_token.clone()).await.ok(),
            json!({
                "Username": sub,
                "UserAttributes": [
                    { "Name": "sub", "Value": sub },
                    { "Name": "email", "Value": "ann@example.com" },
                ],
            })
        );
        let keys = key_set(&world, &pool).await;
        let id = verify(&text(&result, "IdToken"), &keys).unwrap();
        assert!(id.get("email").is_some() && id.get("email_verified").is_none());

        let denied = "NotAuthorizedException";
        get(text(&result, "IdToken"))
            .await
            .refused_with(denied, "Invalid Access Token");
        get("a.b.c".into())
            .await
            .refused_with(denied, "Invalid Access Token");
        let mut forged = access_token.clone();
        forged.replace_range(forged.len() - 4.., "AAAA");
        get(forged)
            .await
            .refused_with(denied, "Could not verify signature for Access Token");
        let (exception, message) = get("not a token".into()).await.refused();
        assert_eq!(exception, "InvalidParameterException");
        assert!(
            message.contains("Value at 'accessToken' failed"),
            "{message}"
        );
        world.wait_s(3600);
        get(access_token)
            .await
            .refused_with(denied, "Access Token has expired");
    }
}

#[tokio::test]
async fn a_sign_out_in_the_same_second_ends_every_sign_in() {
    for world in worlds().await {
        let (pool, client) = world.email_pool().await;
        world.confirmed(&pool, &client, "ann@example.com").await;
        world.confirmed(&pool, &client, "bob@example.com").await;
        let first = world.signed_in(&client, "ann@example.com").await;
        let second = world.signed_in(&client, "ann@example.com").await;
        let bob = world.signed_in(&client, "bob@example.com").await;
        let sign_out = world
            .call(
                "GlobalSignOut",
                json!({ "AccessToken": second["AccessToken"] }),
            )
            .await
            .ok();
        assert_eq!(sign_out, json!({}));
        let denied = "NotAuthorizedException";
        for result in [&first, &second] {
            for operation in ["GetUser", "GlobalSignOut"] {
                world
                    .call(operation, json!({ "AccessToken": result["AccessToken"] }))
                    .await
                    .refused_with(denied, "Access Token has been revoked");
            }
            world
                .refresh(&client, &text(result, "RefreshToken"))
                .await
                .refused_with(denied, "Refresh Token has been revoked");
        }
        world
            .call("GetUser", json!({ "AccessToken": bob["AccessToken"] }))
            .await
            .ok();
        let third = world.signed_in(&client, "ann@example.com").await;
        world
            .call("GetUser", json!({ "AccessToken": third["AccessToken"] }))
            .await
            .ok();
    }
}

#[tokio::test]
async fn a_client_without_revocation_is_signed_out_all_the_same() {
    for world in worlds().await {
        let (pool, _) = world.email_pool().await;
        let client = world
            .create_client(&pool, json!({ "EnableTokenRevocation": false }))
            .await;
        let client = text(&client, "ClientId");
        world.confirmed(&pool, &client, "ann@example.com").await;
        let result = world.signed_in(&client, "ann@example.com").await;
        let keys = key_set(&world, &pool).await;
        let claims = verify(&text(&result, "AccessToken"), &keys).unwrap();
        assert!(claims.get("origin_jti").is_none());
        let refreshed = world
            .refresh(&client, &text(&result, "RefreshToken"))
            .await
            .ok();
        let (exception, _) = world
            .call(
                "RevokeToken",
                json!({ "ClientId": client, "Token": result["RefreshToken"] }),
            )
            .await
            .refused();
        assert_eq!(exception, "UnsupportedOperationException");
        world
            .call(
                "GlobalSignOut",
                json!({ "AccessToken": result["AccessToken"] }),
            )
            .await
            .ok();
        let token = &refreshed["AuthenticationResult"]["AccessToken"];
        world
            .call("GetUser", json!({ "AccessToken": token }))
            .await
            .refused_with("NotAuthorizedException", "Access Token has been revoked");
    }
}

#[tokio::test]
async fn revoking_a_refresh_token_ends_its_sign_in_alone() {
    for world in worlds().await {
        let (pool, client) = world.email_pool().await;
        world.confirmed(&pool, &client, "ann@example.com").await;
        let first = world.signed_in(&client, "ann@example.com").await;
        let second = world.signed_in(&client, "ann@example.com").await;
        let revoke = |client: &str, token: &Value| {
            let input = json!({ "ClientId": client, "Token": token });
            let world = &world;
            async move { world.call("RevokeToken", input).await }
        };
        let other = text(&world.create_client(&pool, json!({})).await, "ClientId");
        revoke(&other, &first["RefreshToken"])
            .await
            .refused_with("UnauthorizedException", "Unauthorized");
        for token in ["AccessToken", "IdToken"] {
            revoke(&client, &first[token])
                .await
                .refused_with("UnsupportedTokenTypeException", "Unsupported token type");
        }
        revoke(&client, &json!("unknown")).await.ok();
        for _ in 0..2 {
            assert_eq!(
                revoke(&client, &first["RefreshToken"]).await.ok(),
                json!({})
            );
        }
        world
            .call("GetUser", json!({ "AccessToken": first["AccessToken"] }))
            .await
            .refused_with("NotAuthorizedException", "Access Token has been revoked");
        world
            .refresh(&client, &text(&first, "RefreshToken"))
            .await
            .refused_with("NotAuthorizedException", "Refresh Token has been revoked");
        world
            .refresh(&client, &text(&second, "RefreshToken"))
            .await
            .ok();

        let secret = world
            .create_client(&pool, json!({ "GenerateSecret": true }))
            .await;
        for (sent, is_good) in [
            (None, false),
            (Some("wrong".to_owned()), false),
            (Some(text(&secret, "ClientSecret")), true),
        ] {
            let answer = world
                .call(
                    "RevokeToken",
                    json!({ "ClientId": secret["ClientId"], "ClientSecret": sent, "Token": "x" }),
                )
                .await;
            assert_eq!(answer.status == 200, is_good);
        }
    }
}

#[tokio::test]
async fn lifetimes_are_those_of_the_client() {
    for world in worlds().await {
        let (pool, _) = world.email_pool().await;
        let client = world
            .create_client(
                &pool,
                json!({
                    "AccessTokenValidity": 5, "IdTokenValidity": 30, "RefreshTokenValidity": 1,
                    "TokenValidityUnits": {
                        "AccessToken": "minutes", "IdToken": "minutes", "RefreshToken": "hours",
                    },
                }),
            )
            .await;
        let client = text(&client, "ClientId");
        world.confirmed(&pool, &client, "ann@example.com").await;
        let result = world.signed_in(&client, "ann@example.com").await;
        assert_eq!(result["ExpiresIn"], 300);
        let keys = key_set(&world, &pool).await;
        let lifetime = |token: &str| {
            let claims = verify(&text(&result, token), &keys).unwrap();
            claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
        };
        assert_eq!((lifetime("AccessToken"), lifetime("IdToken")), (300, 1800));
        world.wait_s(3599);
        let token = text(&result, "RefreshToken");
        world.refresh(&client, &token).await.ok();
        world.wait_s(1);
        let (_, message) = world.refresh(&client, &token).await.refused();
        assert_eq!(message, "Refresh Token has expired");
    }
}

#[tokio::test]
async fn sweeping_deletes_what_has_expired_and_nothing_else() {
    for world in worlds().await {
        let pool = world
            .create_pool(json!({
                "UsernameAttributes": ["email"], "AutoVerifiedAttributes": ["email"],
            }))
            .await;
        let client = text(&world.create_client(&pool, json!({})).await, "ClientId");
        world.confirmed(&pool, &client, "ann@example.com").await;
        world.sign_up(&client, "bob@example.com").await;
        let result = world.signed_in(&client, "ann@example.com").await;
        world
            .sign_in(&client, "ann@example.com", "Wrong-horse-1")
            .await;
        let rows = async || {
            world
                .platform
                .db
                .read(async |tx| {
                    tx.row(
                        "SELECT (SELECT COUNT(*) FROM pools_codes) +
                                (SELECT COUNT(*) FROM pools_password_failures) +
                                (SELECT COUNT(*) FROM pools_refresh_tokens) AS rows",
                        platform::values![],
                    )
                    .await?
                    .unwrap()
                    .get::<i64>("rows")
                })
                .await
                .unwrap()
        };
        assert_eq!(rows().await, 3);
        world.pools.sweep().await.unwrap();
        assert_eq!(rows().await, 3);
        world.wait_s(25 * 60 * 60);
        world.pools.sweep().await.unwrap();
        assert_eq!(rows().await, 1);
        world
            .refresh(&client, &text(&result, "RefreshToken"))
            .await
            .ok();
        world.wait_s(31 * 24 * 60 * 60);
        world.pools.sweep().await.unwrap();
        assert_eq!(rows().await, 0);
    }
}
