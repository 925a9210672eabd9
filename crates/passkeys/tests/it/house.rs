//! A started product with its clock, and the verbs of the stories: what a
//! customer's server and a browser do.

use std::{
    fmt::Debug,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, Method, Request, StatusCode},
};
use passkeys::{App, Authenticators, DeliverySettings, NewApp, Passkeys, RateLimits};
use platform::{Clock, Db, Entropy, Fault, Platform, Vault, test_database::TestDatabase, values};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tracing_subscriber::{Layer, layer::SubscriberExt as _};
use webauthn::{Algorithm, forge::Authenticator};

pub(crate) const START_MS: i64 = 1_724_113_247_000;
pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const ORIGIN: &str = "https://example.com";
/// What pages are called from.
pub(crate) const CLIENT: &str = "192.0.2.7";
pub(crate) const USER_AGENT: &str =
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0";
/// Well formed, and nobody's.
pub(crate) const UNKNOWN_ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaa";

/// The product on one database.
pub(crate) struct House {
    pub(crate) passkeys: Passkeys,
    pub(crate) platform: Platform,
    router: Router,
    pub(crate) database: TestDatabase,
}

/// One product for each database.
pub(crate) async fn houses() -> Vec<House> {
    houses_with(&RateLimits::OFF).await
}

/// The same, where it matters how often somebody calls.
pub(crate) async fn houses_with(limits: &RateLimits) -> Vec<House> {
    let mut houses = Vec::new();
    for database in TestDatabase::all().await {
        houses.push(House::open(database, limits).await);
    }
    houses
}

impl House {
    pub(crate) async fn open(database: TestDatabase, limits: &RateLimits) -> House {
        let platform = Platform {
            db: Db::open(&database.location(), START_MS).await.unwrap(),
            clock: Clock::manual(START_MS),
            entropy: Entropy::seeded(1),
            vault: Vault::new(&[7; 32]),
        };
        let passkeys = Passkeys::new(platform.clone())
            .with_rate_limits(limits)
            .with_delivery_settings(DeliverySettings {
                // Receivers of tests are on this machine.
                private_addresses: true,
                ..DeliverySettings::default()
            });
        House {
            router: passkeys.router(),
            passkeys,
            platform,
            database,
        }
    }

    /// The same, with names and pictures of the operator's.
    pub(crate) fn with_authenticators(mut self, authenticators: Authenticators) -> House {
        self.passkeys = self.passkeys.with_authenticators(authenticators);
        self.router = self.passkeys.router();
        self
    }

    pub(crate) fn pass(&self, by_ms: i64) {
        self.platform.clock.advance_ms(by_ms);
    }

    /// The usual app, at [`ORIGIN`].
    pub(crate) async fn app(&self) -> TestApp {
        self.app_like(NewApp {
            name: "Example".into(),
            auth_origin: ORIGIN.into(),
            ..NewApp::default()
        })
        .await
    }

    /// An app at a subdomain, whose RP ID is the domain above.
    pub(crate) async fn app_of_parent_domain(&self) -> TestApp {
        self.app_like(NewApp {
            name: "Example".into(),
            auth_origin: "https://login.example.com".into(),
            rp_id: Some("example.com".into()),
            ..NewApp::default()
        })
        .await
    }

    pub(crate) async fn app_like(&self, new: NewApp) -> TestApp {
        let app = self.passkeys.create_app("organization", new).await.unwrap();
        let key = self.passkeys.create_api_key(&app.id, "test").await.unwrap();
        TestApp {
            app,
            key: key.secret.expose_secret().to_owned(),
            router: self.router.clone(),
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.router, request).await
    }

    /// What no public call does, or only a crash would.
    pub(crate) async fn execute(&self, sql: &'static str) -> u64 {
        self.platform
            .db
            .write(async move |tx| tx.execute(sql, values![]).await)
            .await
            .unwrap()
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        self.platform
            .db
            .read(async move |tx| {
                tx.row(sql, values![])
                    .await?
                    .ok_or_else(|| Fault::new("an aggregate has a row"))?
                    .get("count")
            })
            .await
            .unwrap()
    }
}

/// An app, its API key, and a way to call the service.
#[derive(Clone)]
pub(crate) struct TestApp {
    pub(crate) app: App,
    pub(crate) key: String,
    router: Router,
}

impl TestApp {
    /// A call of the customer's server.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self
            .request(method, path)
            .header("authorization", format!("Bearer {}", self.key))
            .body(Body::from(body.to_string()))
            .unwrap();
        send(&self.router, request).await
    }

    /// The usual call of the customer's server.
    pub(crate) async fn server(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, body).await
    }

    /// A call of the customer's server without a body.
    pub(crate) async fn manage(&self, method: Method, path: &str) -> Answer {
        let request = self
            .request(method, path)
            .header("host", "passkeys.example")
            .header("authorization", format!("Bearer {}", self.key))
            .body(Body::empty())
            .unwrap();
        send(&self.router, request).await
    }

    /// Changes the app's settings, as they then are in the answer.
    pub(crate) async fn update(&self, changes: Value) -> Value {
        let answer = self.patch(changes).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        answer.body["app"].clone()
    }

    /// Tries to change the app's settings.
    pub(crate) async fn patch(&self, changes: Value) -> Answer {
        self.call(Method::PATCH, "", changes).await
    }

    /// Asks for what is there.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.manage(Method::GET, path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {:?}", answer.body);
        answer.body
    }

    /// The id of the user of an external id, as the SDKs find it.
    pub(crate) async fn user_id(&self, external_id: &str) -> String {
        let list = self
            .get(&format!("users?limit=1&identifier={external_id}"))
            .await;
        text(&list["users"][0]["id"])
    }

    /// A call of a page at the app's origin.
    pub(crate) async fn browser(&self, path: &str, body: Value) -> Answer {
        let address: SocketAddr = format!("{CLIENT}:50000").parse().unwrap();
        let request = self
            .request(Method::POST, path)
            .header("origin", &self.app.auth_origin)
            .header("user-agent", USER_AGENT)
            .header("x-forwarded-for", "198.51.100.1")
            .extension(ConnectInfo(address))
            .body(Body::from(body.to_string()))
            .unwrap();
        send(&self.router, request).await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("/v1/apps/{}/{path}", self.app.id))
            .header("content-type", "application/json")
    }

    pub(crate) async fn register_transaction(&self, external_id: &str) -> String {
        self.server(
            "transactions/register",
            json!({"external_id": external_id, "passkey_display_name": "Ann"}),
        )
        .await
        .created("transaction_id")
    }

    pub(crate) async fn authenticate_transaction(&self, external_id: &str) -> String {
        self.server(
            "transactions/authenticate",
            json!({"external_id": external_id}),
        )
        .await
        .created("transaction_id")
    }

    pub(crate) async fn start_registration(&self, transaction_id: &str) -> Handshake {
        let started = self
            .browser(
                "register/transactions/webauthn/start",
                json!({"transaction_id": transaction_id}),
            )
            .await;
        Handshake::from(started)
    }

    /// Starts with a transaction, or without one: discoverable.
    pub(crate) async fn start_authentication(&self, transaction_id: Option<&str>) -> Handshake {
        let started = self
            .browser(
                "authenticate/transactions/webauthn/start",
                json!({"transaction_id": transaction_id}),
            )
            .await;
        Handshake::from(started)
    }

    pub(crate) async fn finish_registration(&self, finish: &Value) -> Answer {
        self.browser("register/transactions/webauthn/finish", finish.clone())
            .await
    }

    pub(crate) async fn finish_authentication(&self, finish: &Value) -> Answer {
        self.browser("authenticate/transactions/webauthn/finish", finish.clone())
            .await
    }

    /// The outcome of a login of a page at `origin`, without a transaction.
    pub(crate) async fn login_at(&self, origin: &str, authenticator: &mut Authenticator) -> Answer {
        let handshake = self.start_authentication(None).await;
        let forged = authenticator.get(&handshake.public_key, origin);
        self.finish_authentication(&handshake.finish(forged.json()))
            .await
    }

    pub(crate) async fn verify(&self, nonce: &str) -> Answer {
        self.server("authenticate/verify", json!({"nonce": nonce}))
            .await
    }

    /// A new user with a passkey, whose nonce was redeemed.
    pub(crate) async fn registered(&self, external_id: &str) -> Authenticator {
        let mut authenticator = Authenticator::new(Algorithm::Es256, external_id);
        self.register(external_id, &mut authenticator).await;
        authenticator
    }

    /// A further passkey of a new or known user.
    pub(crate) async fn register(&self, external_id: &str, authenticator: &mut Authenticator) {
        let transaction_id = self.register_transaction(external_id).await;
        let handshake = self.start_registration(&transaction_id).await;
        let finish = handshake.registration(authenticator);
        let nonce = self.finish_registration(&finish).await.nonce();
        assert_eq!(self.verify(&nonce).await.status, StatusCode::OK);
    }
}

/// A started ceremony.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    pub(crate) id: String,
    pub(crate) public_key: Value,
    pub(crate) transaction_id: Option<String>,
}

impl From<Answer> for Handshake {
    fn from(answer: Answer) -> Handshake {
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        Handshake {
            id: text(&answer.body["handshake"]["id"]),
            public_key: answer.body["handshake"]["challenge"]["publicKey"].clone(),
            transaction_id: answer.body["transaction_id"].as_str().map(str::to_owned),
        }
    }
}

impl Handshake {
    /// What an honest browser posts to finish a registration.
    pub(crate) fn registration(&self, authenticator: &mut Authenticator) -> Value {
        self.finish(authenticator.create(&self.public_key, ORIGIN).json())
    }

    /// What an honest browser posts to finish an authentication.
    pub(crate) fn authentication(&self, authenticator: &mut Authenticator) -> Value {
        self.finish(authenticator.get(&self.public_key, ORIGIN).json())
    }

    pub(crate) fn finish(&self, handshake_response: Value) -> Value {
        let mut finish = json!({
            "handshake_id": self.id,
            "handshake_response": handshake_response,
        });
        if let Some(transaction_id) = &self.transaction_id {
            finish["transaction_id"] = json!(transaction_id);
        }
        finish
    }
}

/// A response, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// Asserts the contract's error shape: `code` and `error`, nothing else, as JSON.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), self.body["code"].as_str()),
            (status, Some(code)),
            "{:?}",
            self.body
        );
        let members = self.body.as_object().unwrap();
        assert_eq!(members.len(), 2, "{members:?}");
        assert!(!members["error"].as_str().unwrap().is_empty());
        assert_eq!(self.headers["content-type"], "application/json");
    }

    #[track_caller]
    pub(crate) fn nonce(&self) -> String {
        assert_eq!(self.status, StatusCode::OK, "{:?}", self.body);
        text(&self.body["nonce"])
    }

    #[track_caller]
    fn created(&self, member: &str) -> String {
        assert_eq!(self.status, StatusCode::CREATED, "{:?}", self.body);
        text(&self.body[member])
    }
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    assert!(!parts.status.is_redirection());
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).expect("every body is JSON")
        },
    }
}

#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Collects the reasons of denials that are logged on this thread.
pub(crate) struct Reasons {
    collected: Arc<Mutex<Vec<String>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Reasons {
    pub(crate) fn collect() -> Reasons {
        let collected = Arc::default();
        let layer = ReasonLayer(Arc::clone(&collected));
        Reasons {
            collected,
            _guard: tracing::subscriber::set_default(tracing_subscriber::registry().with(layer)),
        }
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.collected.lock().unwrap())
    }
}

struct ReasonLayer(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for ReasonLayer {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        event.record(&mut ReasonVisitor(&self.0));
    }
}

struct ReasonVisitor<'a>(&'a Mutex<Vec<String>>);

impl tracing::field::Visit for ReasonVisitor<'_> {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        if field.name() == "reason" {
            self.0.lock().unwrap().push(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &tracing::field::Field, _: &dyn Debug) {}
}
