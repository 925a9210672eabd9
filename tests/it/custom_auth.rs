//! Signing in with a passkey through three Node.js functions with the guide's
//! logic, and what the tokens say afterwards.

use acceptance::{
    Person, Server,
    aws::{PASSWORD, Pool},
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::{Value, json};

#[tokio::test]
async fn a_passkey_sign_in_gives_the_tokens_of_the_same_user() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let triggers = server.create_triggers(&app).await;
    let pool = server.create_pool(triggers).await;
    let sub = server.create_user(&pool, "ann@example.com").await;

    let (status, by_password) = server.sign_in(&pool, "ann@example.com", PASSWORD).await;
    assert_eq!(status, 200, "{by_password}");
    let mut ann = Person::new(&sub);
    ann.register(&server, &app).await;
    let by_passkey = sign_in_with_passkey(&server, &app, &pool, &mut ann).await;

    let password_claims = access_claims(&server, &pool, &by_password).await;
    let passkey_claims = access_claims(&server, &pool, &by_passkey).await;
    for name in ["sub", "iss", "scope", "client_id", "token_use", "username"] {
        assert_eq!(password_claims[name], passkey_claims[name], "{name}");
        assert!(passkey_claims[name].is_string(), "{name}");
    }
    assert_eq!(passkey_claims["sub"], json!(sub));

    let refresh = &by_passkey["AuthenticationResult"]["RefreshToken"];
    let (status, refreshed) = server
        .cognito(
            "InitiateAuth",
            json!({
                "ClientId": pool.client_id,
                "AuthFlow": "REFRESH_TOKEN_AUTH",
                "AuthParameters": {"REFRESH_TOKEN": refresh},
            }),
        )
        .await;
    assert_eq!(status, 200, "{refreshed}");
    let refreshed_claims = access_claims(&server, &pool, &refreshed).await;
    assert_eq!(refreshed_claims["origin_jti"], passkey_claims["origin_jti"]);
    assert_ne!(refreshed_claims["jti"], passkey_claims["jti"]);
    server.stop().await;
}

#[tokio::test]
async fn the_nonce_of_another_user_signs_nobody_in() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let triggers = server.create_triggers(&app).await;
    let pool = server.create_pool(triggers).await;
    let ann_sub = server.create_user(&pool, "ann@example.com").await;
    let eve_sub = server.create_user(&pool, "eve@example.com").await;
    let mut ann = Person::new(&ann_sub);
    ann.register(&server, &app).await;
    let mut eve = Person::new(&eve_sub);
    eve.register(&server, &app).await;

    let (_, begun) = server.begin_custom(&pool, "ann@example.com").await;
    let nonce = eve.authenticate(&server, &app).await;
    let (status, answer) = server
        .answer_custom(&pool, "ann@example.com", &begun["Session"], &nonce)
        .await;
    assert_eq!(
        (status, &answer["__type"]),
        (400, &json!("NotAuthorizedException")),
        "{answer}"
    );
    sign_in_with_passkey(&server, &app, &pool, &mut ann).await;
    server.stop().await;
}

#[tokio::test]
async fn a_session_answers_one_challenge_once_and_expires() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let triggers = server.create_triggers(&app).await;
    let pool = server.create_pool(triggers).await;
    let sub = server.create_user(&pool, "ann@example.com").await;
    let mut ann = Person::new(&sub);
    ann.register(&server, &app).await;

    let (_, begun) = server.begin_custom(&pool, "ann@example.com").await;
    let nonce = finish_ceremony(&server, &app, &mut ann, &begun).await;
    let (status, _) = server
        .answer_custom(&pool, "ann@example.com", &begun["Session"], &nonce)
        .await;
    assert_eq!(status, 200);
    let again = server
        .answer_custom(&pool, "ann@example.com", &begun["Session"], &nonce)
        .await;
    not_authorized(
        again,
        "Invalid session for the user, session can only be used once.",
    );

    let (_, begun) = server.begin_custom(&pool, "ann@example.com").await;
    let nonce = finish_ceremony(&server, &app, &mut ann, &begun).await;
    server.clock.advance_ms(3 * 60 * 1000);
    let late = server
        .answer_custom(&pool, "ann@example.com", &begun["Session"], &nonce)
        .await;
    not_authorized(late, "Invalid session for the user, session is expired.");
    server.stop().await;
}

#[tokio::test]
async fn who_has_no_passkey_is_told_by_the_create_trigger() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let triggers = server.create_triggers(&app).await;
    let pool = server.create_pool(triggers).await;
    server.create_user(&pool, "ann@example.com").await;
    let (status, answer) = server.begin_custom(&pool, "ann@example.com").await;
    assert_eq!(
        (status, &answer["__type"]),
        (400, &json!("UserLambdaValidationException"))
    );
    let message = answer["message"].as_str().expect("a message");
    assert!(
        message.starts_with("CreateAuthChallenge failed with error "),
        "{message}"
    );
    let (status, _) = server.sign_in(&pool, "ann@example.com", PASSWORD).await;
    assert_eq!(status, 200);
    server.stop().await;
}

async fn sign_in_with_passkey(
    server: &Server,
    app: &acceptance::server::App,
    pool: &Pool,
    person: &mut Person,
) -> Value {
    let email = if person.external_id.is_empty() {
        unreachable!("a person has an external id")
    } else {
        // The user's own name signs in as well as the e-mail address does.
        person.external_id.clone()
    };
    let (status, begun) = server.begin_custom(pool, &email).await;
    assert_eq!(status, 200, "{begun}");
    assert_eq!(begun["ChallengeName"], json!("CUSTOM_CHALLENGE"));
    assert_eq!(begun["ChallengeParameters"]["USERNAME"], json!(email));
    let nonce = finish_ceremony(server, app, person, &begun).await;
    let (status, answer) = server
        .answer_custom(pool, &email, &begun["Session"], &nonce)
        .await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn finish_ceremony(
    server: &Server,
    app: &acceptance::server::App,
    person: &mut Person,
    begun: &Value,
) -> String {
    let transaction_id = begun["ChallengeParameters"]["passageTransactionId"]
        .as_str()
        .unwrap_or_else(|| panic!("no transaction in {begun}"));
    person.authenticate_with(server, app, transaction_id).await
}

/// The claims of the access token, its signature checked with the pool's published keys.
async fn access_claims(server: &Server, pool: &Pool, answer: &Value) -> Value {
    let token = answer["AuthenticationResult"]["AccessToken"]
        .as_str()
        .expect("an access token");
    let issuer = format!("{}/{}", server.url, pool.id);
    let keys: JwkSet = server
        .http
        .get(format!("{issuer}/.well-known/jwks.json"))
        .send()
        .await
        .expect("the key set")
        .json()
        .await
        .expect("a key set in JSON");
    let kid = decode_header(token)
        .expect("a header")
        .kid
        .expect("a key id");
    let key = DecodingKey::from_jwk(keys.find(&kid).expect("a published key")).expect("a key");
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[issuer]);
    validation.validate_exp = false;
    decode(token, &key, &validation)
        .expect("a good signature")
        .claims
}

#[track_caller]
fn not_authorized((status, answer): (u16, Value), message: &str) {
    assert_eq!(
        (status, &answer["__type"], &answer["message"]),
        (400, &json!("NotAuthorizedException"), &json!(message))
    );
}
