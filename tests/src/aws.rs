//! Calls that are signed the way AWS clients sign them, with the vendor's own signer.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{Server, server::answer};

/// A call to sign; what is sent can be damaged before that.
pub struct Call {
    /// The HTTP method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Headers that are signed too.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// `cognito-idp` or `lambda`.
    pub service: &'static str,
}

impl Call {
    /// An operation of the user pools.
    pub fn cognito(operation: &str, body: &Value) -> Call {
        Call {
            method: Method::POST,
            path: "/".into(),
            headers: vec![
                (
                    "x-amz-target".into(),
                    format!("AWSCognitoIdentityProviderService.{operation}"),
                ),
                ("content-type".into(), "application/x-amz-json-1.1".into()),
            ],
            body: body.to_string().into_bytes(),
            service: "cognito-idp",
        }
    }

    /// A call to the function runner.
    pub fn lambda(method: Method, path: &str, body: &Value) -> Call {
        Call {
            method,
            path: path.into(),
            headers: vec![("content-type".into(), "application/json".into())],
            body: if body.is_null() {
                Vec::new()
            } else {
                body.to_string().into_bytes()
            },
            service: "lambda",
        }
    }
}

impl Server {
    /// Sends a call signed with the server's access key, at the server's time.
    pub async fn signed(&self, call: Call) -> (u16, Value) {
        answer(self.sign(call)).await
    }

    /// A signed operation of the user pools.
    pub async fn admin(&self, operation: &str, body: Value) -> (u16, Value) {
        self.signed(Call::cognito(operation, &body)).await
    }

    /// A signed call to the function runner.
    pub async fn lambda(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        self.signed(Call::lambda(method, path, &body)).await
    }

    /// Signs a call, ready to be sent.
    pub fn sign(&self, call: Call) -> reqwest::RequestBuilder {
        let identity = Credentials::new(
            &self.access_key.id,
            self.access_key.secret.expose_secret(),
            None,
            None,
            "test",
        )
        .into();
        let now_ms = u64::try_from(self.clock.now_ms()).expect("a time after 1970");
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(call.service)
            .time(SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms))
            .settings(settings)
            .build()
            .expect("all parameters are there")
            .into();
        let url = format!("{}{}", self.url, call.path);
        let host = self.url.trim_start_matches("http://").to_owned();
        let mut headers = call.headers;
        headers.push(("host".into(), host));
        let signable = SignableRequest::new(
            call.method.as_str(),
            &url,
            headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
            SignableBody::Bytes(&call.body),
        )
        .expect("a request that can be signed");
        let (instructions, _) = sign(signable, &parameters)
            .expect("a signature")
            .into_parts();
        let mut request = self.http.request(call.method, &url).body(call.body);
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        request
    }

    /// Makes a user pool with e-mail sign-in and an app client for the guide's
    /// flows; `lambda_config` are its triggers.
    pub async fn create_pool(&self, lambda_config: Value) -> Pool {
        let (status, pool) = self
            .admin(
                "CreateUserPool",
                json!({
                    "PoolName": "test",
                    "UsernameAttributes": ["email"],
                    "LambdaConfig": lambda_config,
                }),
            )
            .await;
        assert_eq!(status, 200, "{pool}");
        let id = string(&pool["UserPool"]["Id"]);
        let (status, client) = self
            .admin(
                "CreateUserPoolClient",
                json!({
                    "UserPoolId": id,
                    "ClientName": "test",
                    "ExplicitAuthFlows": [
                        "ALLOW_USER_PASSWORD_AUTH",
                        "ALLOW_CUSTOM_AUTH",
                        "ALLOW_REFRESH_TOKEN_AUTH",
                    ],
                }),
            )
            .await;
        assert_eq!(status, 200, "{client}");
        Pool {
            id,
            client_id: string(&client["UserPoolClient"]["ClientId"]),
        }
    }

    /// Signs a user up and confirms them; gives their `sub`.
    pub async fn create_user(&self, pool: &Pool, email: &str) -> String {
        let (status, answer) = self
            .cognito(
                "SignUp",
                json!({
                    "ClientId": pool.client_id,
                    "Username": email,
                    "Password": PASSWORD,
                    "UserAttributes": [{"Name": "email", "Value": email}],
                }),
            )
            .await;
        assert_eq!(status, 200, "{answer}");
        let (status, confirmed) = self
            .admin(
                "AdminConfirmSignUp",
                json!({"UserPoolId": pool.id, "Username": email}),
            )
            .await;
        assert_eq!(status, 200, "{confirmed}");
        string(&answer["UserSub"])
    }

    /// Signs in with the password; gives the answer.
    pub async fn sign_in(&self, pool: &Pool, email: &str, password: &str) -> (u16, Value) {
        self.cognito(
            "InitiateAuth",
            json!({
                "ClientId": pool.client_id,
                "AuthFlow": "USER_PASSWORD_AUTH",
                "AuthParameters": {"USERNAME": email, "PASSWORD": password},
            }),
        )
        .await
    }

    /// Begins a custom sign-in; gives the answer.
    pub async fn begin_custom(&self, pool: &Pool, email: &str) -> (u16, Value) {
        self.cognito(
            "InitiateAuth",
            json!({
                "ClientId": pool.client_id,
                "AuthFlow": "CUSTOM_AUTH",
                "AuthParameters": {"USERNAME": email},
            }),
        )
        .await
    }

    /// Answers the challenge of a custom sign-in.
    pub async fn answer_custom(
        &self,
        pool: &Pool,
        email: &str,
        session: &Value,
        answer: &str,
    ) -> (u16, Value) {
        self.cognito(
            "RespondToAuthChallenge",
            json!({
                "ClientId": pool.client_id,
                "ChallengeName": "CUSTOM_CHALLENGE",
                "Session": session,
                "ChallengeResponses": {"USERNAME": email, "ANSWER": answer},
            }),
        )
        .await
    }
}

/// The password of every test's user.
pub const PASSWORD: &str = "Correct-horse-7";

/// A user pool and its app client.
pub struct Pool {
    /// `us-east-1_` and 9 characters.
    pub id: String,
    /// 26 characters.
    pub client_id: String,
}

fn string(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
