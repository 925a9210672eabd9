//! Triggers that throw, hang, answer garbage or end: the caller gets Cognito's
//! exception, within its bounds, and the next sign-in works.

use std::time::{Duration, Instant};

use acceptance::{Person, Server, aws::Pool, lambda::CREATE, server::App};
use serde_json::{Value, json};

/// Five seconds an attempt, three attempts, and some room for a busy machine.
const PATIENCE: Duration = Duration::from_secs(25);

#[tokio::test]
async fn a_trigger_that_throws_is_quoted() {
    Story::begin()
        .await
        .fails(
            r#"exports.handler = async () => { throw new Error("no passkeys today"); };"#,
            "UserLambdaValidationException",
            "CreateAuthChallenge failed with error no passkeys today.",
        )
        .await;
}

#[tokio::test]
async fn a_trigger_that_ends_its_process_is_reported() {
    Story::begin()
        .await
        .fails_like(
            "exports.handler = async () => { process.exit(3); };",
            "UserLambdaValidationException",
            |message| {
                message.starts_with("CreateAuthChallenge failed with error RequestId: ")
                    && message.ends_with(" Error: Runtime exited with error: exit status 3.")
            },
        )
        .await;
}

#[tokio::test]
async fn a_trigger_that_hangs_is_given_up() {
    Story::begin()
        .await
        .fails_like(
            "exports.handler = () => new Promise(() => setInterval(() => {}, 1000));",
            "",
            |message| message.starts_with("CreateAuthChallenge "),
        )
        .await;
}

#[tokio::test]
async fn a_trigger_that_answers_something_else_is_refused() {
    for garbage in ["42", "null", "\"text\"", "[1]"] {
        Story::begin()
            .await
            .fails_like(
                &format!("exports.handler = async () => ({garbage});"),
                "InvalidLambdaResponseException",
                |_| true,
            )
            .await;
    }
}

#[tokio::test]
async fn a_trigger_that_cannot_be_loaded_is_reported() {
    Story::begin()
        .await
        .fails_like(
            "this is not JavaScript",
            "UserLambdaValidationException",
            |message| message.contains("SyntaxError"),
        )
        .await;
}

#[tokio::test]
async fn a_trigger_that_does_not_exist_is_reported() {
    let story = Story::begin().await;
    let (status, deleted) = story
        .server
        .lambda(
            reqwest::Method::DELETE,
            "/2015-03-31/functions/create",
            Value::Null,
        )
        .await;
    assert_eq!(status, 204, "{deleted}");
    let (status, answer) = story
        .server
        .begin_custom(&story.pool, "ann@example.com")
        .await;
    assert_eq!(
        (status, &answer["__type"], &answer["message"]),
        (
            400,
            &json!("UnexpectedLambdaException"),
            &json!("CreateAuthChallenge invocation failed due to error ResourceNotFoundException.")
        )
    );
    story.server.stop().await;
}

struct Story {
    server: Server,
    app: App,
    pool: Pool,
    ann: Person,
}

impl Story {
    async fn begin() -> Story {
        let server = Server::start().await;
        let app = server.create_app().await;
        let triggers = server.create_triggers(&app).await;
        let pool = server.create_pool(triggers).await;
        let sub = server.create_user(&pool, "ann@example.com").await;
        let mut ann = Person::new(&sub);
        ann.register(&server, &app).await;
        Story {
            server,
            app,
            pool,
            ann,
        }
    }

    async fn fails(self, create: &str, exception: &str, message: &str) {
        self.fails_like(create, exception, |said| said == message)
            .await;
    }

    /// Breaks the Create trigger, sees the failure, repairs it, and signs in.
    async fn fails_like(mut self, create: &str, exception: &str, expected: impl Fn(&str) -> bool) {
        self.server.update_function("create", create).await;
        let since = Instant::now();
        let (status, answer) = self
            .server
            .begin_custom(&self.pool, "ann@example.com")
            .await;
        let took = since.elapsed();
        assert!(took < PATIENCE, "{took:?}");
        assert_eq!(status, 400, "{answer}");
        if !exception.is_empty() {
            assert_eq!(answer["__type"], json!(exception), "{answer}");
        }
        let message = answer["message"].as_str().unwrap_or_default();
        assert!(expected(message), "{answer}");

        self.server.update_function("create", CREATE).await;
        let (status, begun) = self
            .server
            .begin_custom(&self.pool, "ann@example.com")
            .await;
        assert_eq!(status, 200, "{begun}");
        let transaction_id = begun["ChallengeParameters"]["passageTransactionId"]
            .as_str()
            .expect("a transaction");
        let nonce = self
            .ann
            .authenticate_with(&self.server, &self.app, transaction_id)
            .await;
        let (status, answer) = self
            .server
            .answer_custom(&self.pool, "ann@example.com", &begun["Session"], &nonce)
            .await;
        assert_eq!(status, 200, "{answer}");
        self.server.stop().await;
    }
}
