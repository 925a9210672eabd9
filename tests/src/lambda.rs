//! Functions made by tests: small Node.js files, zipped and created over the API.

use std::io::{Cursor, Write as _};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{Server, server::App};

/// Define: a passkey first, then tokens or the end.
pub const DEFINE: &str = r#"
exports.handler = async (event) => {
  const { session, userNotFound } = event.request;
  const last = session[session.length - 1];
  const passed = last?.challengeName === "CUSTOM_CHALLENGE" && last.challengeResult;
  if (userNotFound || (last && !passed)) {
    Object.assign(event.response, { issueTokens: false, failAuthentication: true });
  } else if (passed) {
    Object.assign(event.response, { issueTokens: true, failAuthentication: false });
  } else {
    Object.assign(event.response, { issueTokens: false, failAuthentication: false, challengeName: "CUSTOM_CHALLENGE" });
  }
  return event;
};
"#;

/// Create: a transaction of the passkey service.
pub const CREATE: &str = r#"
const { PASSAGE_BASE_URL, PASSAGE_APP_ID, PASSAGE_API_KEY } = process.env;
exports.handler = async (event) => {
  const answer = await fetch(`${PASSAGE_BASE_URL}/apps/${PASSAGE_APP_ID}/transactions/authenticate`, {
    method: "POST",
    headers: { authorization: `Bearer ${PASSAGE_API_KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ external_id: event.request.userAttributes.sub }),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  event.response.publicChallengeParameters = { passageTransactionId: body.transaction_id };
  return event;
};
"#;

/// Verify: the nonce must be this user's.
pub const VERIFY: &str = r#"
const { PASSAGE_BASE_URL, PASSAGE_APP_ID, PASSAGE_API_KEY } = process.env;
exports.handler = async (event) => {
  const answer = await fetch(`${PASSAGE_BASE_URL}/apps/${PASSAGE_APP_ID}/authenticate/verify`, {
    method: "POST",
    headers: { authorization: `Bearer ${PASSAGE_API_KEY}`, "content-type": "application/json" },
    body: JSON.stringify({ nonce: event.request.challengeAnswer }),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  event.response.answerCorrect = body.external_id === event.request.userAttributes.sub;
  return event;
};
"#;

impl Server {
    /// Creates a Node.js 20 function from one CommonJS file; gives its ARN.
    pub async fn create_function(&self, name: &str, source: &str, variables: Value) -> String {
        let (status, answer) = self
            .lambda(
                Method::POST,
                "/2015-03-31/functions",
                json!({
                    "FunctionName": name,
                    "Runtime": "nodejs20.x",
                    "Handler": "index.handler",
                    "Role": "arn:aws:iam::123456789012:role/test",
                    "Timeout": 5,
                    "Environment": {"Variables": variables},
                    "Code": {"ZipFile": BASE64_STANDARD.encode(zip_file("index.js", source))},
                }),
            )
            .await;
        assert_eq!(status, 201, "{answer}");
        answer["FunctionArn"].as_str().expect("an ARN").to_owned()
    }

    /// Replaces the code of a Node.js function.
    pub async fn update_function(&self, name: &str, source: &str) {
        let (status, answer) = self
            .lambda(
                Method::PUT,
                &format!("/2015-03-31/functions/{name}/code"),
                json!({"ZipFile": BASE64_STANDARD.encode(zip_file("index.js", source))}),
            )
            .await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Creates the guide's three triggers as Node.js functions for an app; gives
    /// the triggers of a pool.
    pub async fn create_triggers(&self, app: &App) -> Value {
        let variables = json!({"PASSAGE_APP_ID": app.id, "PASSAGE_API_KEY": app.api_key});
        let define = self.create_function("define", DEFINE, json!({})).await;
        let create = self
            .create_function("create", CREATE, variables.clone())
            .await;
        let verify = self.create_function("verify", VERIFY, variables).await;
        json!({
            "DefineAuthChallenge": define,
            "CreateAuthChallenge": create,
            "VerifyAuthChallengeResponse": verify,
        })
    }
}

/// A zip with one file.
pub fn zip_file(name: &str, content: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(name, SimpleFileOptions::default().unix_permissions(0o755))
        .expect("a file begins");
    zip.write_all(content.as_bytes()).expect("it is written");
    zip.finish().expect("the zip ends").into_inner()
}
