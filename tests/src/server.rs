//! Claviger inside the test's own process, with a clock that the test moves.

use accounts::{AccessKey, Organization, SignaturePolicy};
use claviger::{
    config::{CodeDelivery, Options},
    serve::{self, Products, Running},
};
use platform::{Clock, Db, Entropy, Platform, Vault, test_database::TestDatabase};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A running server. Everything it keeps goes away with it.
pub struct Server {
    /// `http://localhost:PORT`, without a slash at its end.
    pub url: String,
    /// The server's clock; begins at the real time, because real clients sign with it.
    pub clock: Clock,
    /// For arranging what has no HTTP door.
    pub products: Products,
    /// The owner of everything.
    pub organization: Organization,
    /// Signs for the organization.
    pub access_key: AccessKey,
    /// The client for plain requests.
    pub http: reqwest::Client,
    running: Running,
    _database: TestDatabase,
}

/// An app and its API key.
#[derive(Clone)]
pub struct App {
    /// The app's id.
    pub id: String,
    /// Its secret.
    pub api_key: String,
}

/// Where the app of every test lives.
pub const ORIGIN: &str = "http://localhost:8081";

impl Server {
    /// Starts a server that verifies signatures, on the database of the run.
    pub async fn start() -> Server {
        Server::start_with(|_| {}).await
    }

    /// The same with settings of its own.
    pub async fn start_with(change: impl FnOnce(&mut Options)) -> Server {
        let database = crate::database().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut options = Options {
            listen: Some(listener.local_addr().expect("an address")),
            data_dir: Some(database.folder().to_owned()),
            database_url: Some(database.url()),
            code_delivery: Some(CodeDelivery::Log),
            ..Options::default()
        };
        change(&mut options);
        let config = options.resolve(None).expect("the settings resolve");
        let clock = Clock::manual(Clock::system().now_ms());
        let platform = Platform {
            db: Db::open(&database.location(), clock.now_ms())
                .await
                .expect("the database opens"),
            clock: clock.clone(),
            entropy: Entropy::system(),
            vault: Vault::new(&[7; 32]),
        };
        let products =
            Products::new(&config, &platform, SignaturePolicy::Verify).expect("the products start");
        let organization = products
            .accounts
            .create_organization("Test")
            .await
            .expect("an organization");
        let access_key = products
            .accounts
            .create_access_key(&organization.id, "test")
            .await
            .expect("an access key");
        let running =
            serve::start(products.clone(), &platform, listener).expect("the server starts");
        Server {
            url: config.public_url(),
            clock,
            products,
            organization,
            access_key,
            http: reqwest::Client::new(),
            running,
            _database: database,
        }
    }

    /// Ends the server and the processes of its functions.
    pub async fn stop(self) {
        self.running.stop().await;
    }

    /// Makes an app for [`ORIGIN`] with an API key.
    pub async fn create_app(&self) -> App {
        let new = passkeys_app();
        let app = self
            .products
            .passkeys
            .create_app(&self.organization.id, new)
            .await
            .expect("an app");
        let key = self
            .products
            .passkeys
            .create_api_key(&app.id, "test")
            .await
            .expect("an API key");
        App {
            id: app.id.as_str().to_owned(),
            api_key: secrecy::ExposeSecret::expose_secret(&key.secret).to_owned(),
        }
    }

    /// Calls the management API of the passkey service with the app's key.
    pub async fn manage(&self, app: &App, path: &str, body: Value) -> (u16, Value) {
        let request = self
            .http
            .post(format!("{}/v1/apps/{}{path}", self.url, app.id))
            .bearer_auth(&app.api_key)
            .json(&body);
        answer(request).await
    }

    /// Calls the client API of the passkey service as a page of [`ORIGIN`] would.
    pub async fn browse(&self, app: &App, path: &str, body: Value) -> (u16, Value) {
        let request = self
            .http
            .post(format!("{}/v1/apps/{}{path}", self.url, app.id))
            .header("origin", ORIGIN)
            .json(&body);
        answer(request).await
    }

    /// Calls an unsigned operation of the user pools.
    pub async fn cognito(&self, operation: &str, body: Value) -> (u16, Value) {
        let request = self
            .http
            .post(format!("{}/", self.url))
            .header(
                "x-amz-target",
                format!("AWSCognitoIdentityProviderService.{operation}"),
            )
            .header("content-type", "application/x-amz-json-1.1")
            .body(body.to_string());
        answer(request).await
    }
}

fn passkeys_app() -> passkeys::NewApp {
    passkeys::NewApp {
        name: "Test".into(),
        auth_origin: ORIGIN.into(),
        ..passkeys::NewApp::default()
    }
}

/// Sends a request; the status and the body, null when it is empty.
pub async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("the server answers");
    let status = response.status().as_u16();
    let text = response.text().await.expect("a whole body");
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or_else(|_| json!({"not JSON": text}))
    };
    (status, body)
}
