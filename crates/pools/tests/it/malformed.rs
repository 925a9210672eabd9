//! Whatever is sent, the answer is the contract's 4xx: never a 500, a panic or a hang.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use crate::harness::{PASSWORD, worlds};

const SIGNED: [&str; 15] = [
    "CreateUserPool",
    "DescribeUserPool",
    "UpdateUserPool",
    "DeleteUserPool",
    "ListUserPools",
    "CreateUserPoolClient",
    "DescribeUserPoolClient",
    "UpdateUserPoolClient",
    "DeleteUserPoolClient",
    "ListUserPoolClients",
    "AdminConfirmSignUp",
    "AdminGetUser",
    "AdminUpdateUserAttributes",
    "AdminDeleteUser",
    "AdminSetUserPassword",
];

const OPEN: [&str; 7] = [
    "SignUp",
    "ConfirmSignUp",
    "InitiateAuth",
    "RespondToAuthChallenge",
    "GetUser",
    "GlobalSignOut",
    "RevokeToken",
];

fn operations() -> impl Iterator<Item = (&'static str, bool)> {
    let signed = SIGNED.into_iter().map(|operation| (operation, true));
    signed.chain(OPEN.into_iter().map(|operation| (operation, false)))
}

#[tokio::test]
async fn bodies_that_are_no_objects_are_serialization_errors() {
    for world in worlds().await {
        let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let nested_objects = r#"{"a":"#.repeat(10_000);
        let large = format!(r#"{{"Username":"{}"}}"#, "x".repeat(2 * 1024 * 1024));
        for (operation, is_signed) in operations() {
            for body in [
                "",
                "not json",
                "null",
                "[]",
                "\"text\"",
                "{",
                &nested,
                &nested_objects,
                &large,
                r#"{"Username":"\ud800"}"#,
            ] {
                let answer = world.post(operation, body.to_owned(), is_signed).await;
                let start: String = body.chars().take(20).collect();
                let (exception, _) = answer.refused();
                assert_eq!(exception, "SerializationException", "{operation} {start}");
            }
            let answer = world
                .post(operation, b"{\"a\":\"\xff\"}".to_vec(), is_signed)
                .await;
            assert_eq!(answer.refused().0, "SerializationException");
        }
    }
}

#[tokio::test]
async fn members_of_wrong_types_are_refused() {
    for world in worlds().await {
        let names = [
            "UserPoolId",
            "ClientId",
            "Username",
            "Password",
            "PoolName",
            "ClientName",
            "AccessToken",
            "Token",
            "AuthFlow",
            "AuthParameters",
            "ChallengeName",
            "Session",
            "ChallengeResponses",
            "UserAttributes",
            "ClientMetadata",
            "LambdaConfig",
            "Policies",
            "Schema",
            "ExplicitAuthFlows",
            "MaxResults",
            "ConfirmationCode",
            "SecretHash",
            "UserPoolTags",
            "EmailConfiguration",
            "TokenValidityUnits",
        ];
        for wrong in [
            json!([1]),
            json!({ "a": { "b": [] } }),
            json!(0.5),
            json!(true),
        ] {
            let body: Value = names
                .iter()
                .map(|name| ((*name).to_owned(), wrong.clone()))
                .collect::<serde_json::Map<_, _>>()
                .into();
            for (operation, is_signed) in operations() {
                let answer = world.post(operation, body.to_string(), is_signed).await;
                let (exception, _) = answer.refused();
                assert!(
                    ["SerializationException", "InvalidParameterException"]
                        .contains(&exception.as_str()),
                    "{operation} {exception}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_null_character_anywhere_is_no_fault() {
    for world in worlds().await {
        let (pool, client) = world.email_pool().await;
        let sub = world.confirmed(&pool, &client, "ann@example.com").await;
        let nul = "a\0b";
        let attribute = json!([{ "Name": "name", "Value": nul }]);
        let calls = [
            (
                "SignUp",
                json!({ "ClientId": client, "Username": nul, "Password": PASSWORD }),
                false,
            ),
            (
                "SignUp",
                json!({ "ClientId": nul, "Username": "b@x.de", "Password": PASSWORD }),
                false,
            ),
            (
                "SignUp",
                json!({ "ClientId": client, "Username": "b@x.de", "Password": nul }),
                false,
            ),
            (
                "SignUp",
                json!({ "ClientId": client, "Username": "c@x.de", "Password": PASSWORD, "UserAttributes": attribute }),
                false,
            ),
            (
                "SignUp",
                json!({ "ClientId": client, "Username": "d@x.de", "Password": PASSWORD, "UserAttributes": [{ "Name": "preferred_username", "Value": nul }] }),
                false,
            ),
            (
                "AdminUpdateUserAttributes",
                json!({ "UserPoolId": pool, "Username": sub, "UserAttributes": attribute }),
                true,
            ),
            (
                "AdminGetUser",
                json!({ "UserPoolId": pool, "Username": nul }),
                true,
            ),
            (
                "AdminGetUser",
                json!({ "UserPoolId": nul, "Username": "a" }),
                true,
            ),
            (
                "InitiateAuth",
                json!({ "ClientId": client, "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": { "USERNAME": nul, "PASSWORD": nul, nul: nul } }),
                false,
            ),
            (
                "InitiateAuth",
                json!({ "ClientId": client, "AuthFlow": "REFRESH_TOKEN_AUTH", "AuthParameters": { "REFRESH_TOKEN": nul } }),
                false,
            ),
            (
                "RespondToAuthChallenge",
                json!({ "ClientId": client, "ChallengeName": "CUSTOM_CHALLENGE", "Session": nul.repeat(10), "ChallengeResponses": { "USERNAME": nul, "ANSWER": nul } }),
                false,
            ),
            (
                "ConfirmSignUp",
                json!({ "ClientId": client, "Username": "ann@example.com", "ConfirmationCode": nul }),
                false,
            ),
            (
                "CreateUserPool",
                json!({ "PoolName": "p", "EmailVerificationSubject": nul, "UserPoolTags": { nul: nul } }),
                true,
            ),
            (
                "CreateUserPoolClient",
                json!({ "UserPoolId": pool, "ClientName": "c", "LogoutURLs": ["https://x/\u{0}"] }),
                true,
            ),
            (
                "ListUserPools",
                json!({ "MaxResults": 1, "NextToken": nul }),
                true,
            ),
        ];
        for (operation, input, is_signed) in calls {
            let answer = world.post(operation, input.to_string(), is_signed).await;
            assert!(
                answer.status.as_u16() < 500,
                "{operation} {input}: {}",
                answer.body
            );
        }
        // The header of a token is the caller's text too.
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL};
        let header = BASE64_URL.encode(r#"{"alg":"RS256","kid":"\u0000"}"#);
        let token = format!("{header}.e30.AAAA");
        for operation in ["GetUser", "GlobalSignOut"] {
            world
                .call(operation, json!({ "AccessToken": token }))
                .await
                .refused_with("NotAuthorizedException", "Invalid Access Token");
        }
    }
}

#[tokio::test]
async fn a_request_without_a_target_is_unknown() {
    for world in worlds().await {
        for request in [
            Request::post("/").body(Body::empty()),
            Request::post("/")
                .header("x-amz-target", "Other.SignUp")
                .body(Body::empty()),
            Request::post("/")
                .header("x-amz-target", &b"\xff"[..])
                .body(Body::empty()),
        ] {
            let (exception, _) = world.send(request.unwrap()).await.refused();
            assert_eq!(exception, "UnknownOperationException");
        }
    }
}
