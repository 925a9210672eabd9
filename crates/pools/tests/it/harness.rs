//! A world to test in: a database, a clock that stands still, the router and its functions.

use std::io::Write as _;

use accounts::{Accounts, Organization, SignaturePolicy};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use functions::{Functions, NewFunction};
use platform::{Clock, Db, Entropy, Platform, Vault, test_database::TestDatabase};
use pools::{Delivery, IssuerForm, Settings, UserPools};
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub(crate) const NOW_MS: i64 = 1_800_000_000_000;
pub(crate) const PASSWORD: &str = "Correct-horse-1";

const SIGNATURE: &str = "AWS4-HMAC-SHA256 \
    Credential=AKIAEXAMPLE/20270115/us-east-1/cognito-idp/aws4_request, \
    SignedHeaders=host;x-amz-date, Signature=0000";

pub(crate) struct World {
    pub(crate) platform: Platform,
    pub(crate) pools: UserPools,
    pub(crate) functions: Functions,
    pub(crate) organization: Organization,
    router: Router,
    _database: TestDatabase,
}

/// One world per database.
pub(crate) async fn worlds() -> Vec<World> {
    worlds_with(|_| ()).await
}

pub(crate) async fn worlds_with(change: impl Fn(&mut Settings)) -> Vec<World> {
    let mut worlds = Vec::new();
    for database in TestDatabase::all().await {
        worlds.push(world(database, &change).await);
    }
    worlds
}

async fn world(database: TestDatabase, change: &impl Fn(&mut Settings)) -> World {
    let platform = Platform {
        db: Db::open(&database.location(), NOW_MS).await.unwrap(),
        clock: Clock::manual(NOW_MS),
        entropy: Entropy::system(),
        vault: Vault::new(&[7; 32]),
    };
    let accounts = Accounts::new(platform.clone(), SignaturePolicy::WellFormed);
    let organization = accounts.create_organization("Acme").await.unwrap();
    let functions = Functions::new(
        platform.clone(),
        accounts.clone(),
        functions::Settings {
            public_url: "http://127.0.0.1:1".into(),
            region: "us-east-1".into(),
            environment: Vec::new(),
            work_dir: database.folder().join("functions"),
            node: None,
            programs: Vec::new(),
            instances_max: 8,
        },
    )
    .unwrap();
    let mut settings = Settings {
        public_url: "http://127.0.0.1:8082".into(),
        issuer: IssuerForm::Server,
        region: "us-east-1".into(),
        delivery: Delivery::Log,
        enforce_function_permissions: false,
    };
    change(&mut settings);
    let pools = UserPools::new(platform.clone(), accounts, functions.clone(), settings);
    World {
        router: pools.router(),
        platform,
        pools,
        functions,
        organization,
        _database: database,
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self.body
    }

    /// The exception and its message.
    #[track_caller]
    pub(crate) fn refused(self) -> (String, String) {
        assert_eq!(self.status, StatusCode::BAD_REQUEST, "{}", self.body);
        let text = |name: &str| self.body[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            self.headers["x-amzn-errortype"],
            format!("{}:", text("__type"))
        );
        (text("__type"), text("message"))
    }

    #[track_caller]
    pub(crate) fn refused_with(self, exception: &str, message: &str) {
        assert_eq!(self.refused(), (exception.to_owned(), message.to_owned()));
    }
}

impl World {
    /// Moves the time.
    pub(crate) fn wait_s(&self, seconds: i64) {
        self.platform.clock.advance_ms(seconds * 1000);
    }

    /// A call as a browser makes it.
    pub(crate) async fn call(&self, operation: &str, input: Value) -> Answer {
        self.post(operation, input.to_string(), false).await
    }

    /// A call with a signature.
    pub(crate) async fn signed(&self, operation: &str, input: Value) -> Answer {
        self.post(operation, input.to_string(), true).await
    }

    pub(crate) async fn post(
        &self,
        operation: &str,
        body: impl Into<Body>,
        is_signed: bool,
    ) -> Answer {
        let mut request = Request::post("/")
            .header("host", "127.0.0.1:8082")
            .header("content-type", "application/x-amz-json-1.1")
            .header(
                "x-amz-target",
                format!("AWSCognitoIdentityProviderService.{operation}"),
            );
        if is_signed {
            request = request
                .header("authorization", SIGNATURE)
                .header("x-amz-date", "20270115T080000Z");
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    /// A pool with e-mail sign-in, or as `input` says. Gives its id.
    pub(crate) async fn create_pool(&self, input: Value) -> String {
        let mut request = json!({ "PoolName": "pool" });
        merge(&mut request, input);
        let answer = self.signed("CreateUserPool", request).await.ok();
        answer["UserPool"]["Id"].as_str().unwrap().to_owned()
    }

    /// A public client that may do everything this server can. Gives its description.
    pub(crate) async fn create_client(&self, pool: &str, input: Value) -> Value {
        let mut request = json!({
            "UserPoolId": pool,
            "ClientName": "app",
            "ExplicitAuthFlows": [
                "ALLOW_USER_PASSWORD_AUTH", "ALLOW_CUSTOM_AUTH", "ALLOW_REFRESH_TOKEN_AUTH",
            ],
        });
        merge(&mut request, input);
        let answer = self.signed("CreateUserPoolClient", request).await.ok();
        answer["UserPoolClient"].clone()
    }

    /// A pool with e-mail sign-in and a public client.
    pub(crate) async fn email_pool(&self) -> (String, String) {
        let pool = self
            .create_pool(json!({ "UsernameAttributes": ["email"] }))
            .await;
        let client = self.create_client(&pool, json!({})).await;
        (pool, text(&client, "ClientId"))
    }

    /// Signs up and gives the `sub`.
    pub(crate) async fn sign_up(&self, client: &str, username: &str) -> String {
        let answer = self
            .call(
                "SignUp",
                json!({ "ClientId": client, "Username": username, "Password": PASSWORD }),
            )
            .await
            .ok();
        text(&answer, "UserSub")
    }

    /// A confirmed user; gives the `sub`.
    pub(crate) async fn confirmed(&self, pool: &str, client: &str, username: &str) -> String {
        let sub = self.sign_up(client, username).await;
        let confirmed = self
            .signed(
                "AdminConfirmSignUp",
                json!({ "UserPoolId": pool, "Username": username }),
            )
            .await
            .ok();
        assert_eq!(confirmed, json!({}));
        sub
    }

    pub(crate) async fn sign_in(&self, client: &str, username: &str, password: &str) -> Answer {
        self.call(
            "InitiateAuth",
            json!({
                "AuthFlow": "USER_PASSWORD_AUTH",
                "ClientId": client,
                "AuthParameters": { "USERNAME": username, "PASSWORD": password },
            }),
        )
        .await
    }

    /// Signs in and gives `AuthenticationResult`.
    pub(crate) async fn signed_in(&self, client: &str, username: &str) -> Value {
        let answer = self.sign_in(client, username, PASSWORD).await.ok();
        answer["AuthenticationResult"].clone()
    }

    pub(crate) async fn refresh(&self, client: &str, token: &str) -> Answer {
        self.call(
            "InitiateAuth",
            json!({
                "AuthFlow": "REFRESH_TOKEN_AUTH",
                "ClientId": client,
                "AuthParameters": { "REFRESH_TOKEN": token },
            }),
        )
        .await
    }

    pub(crate) async fn find_user(&self, pool: &str, username: &str) -> Answer {
        self.signed(
            "AdminGetUser",
            json!({ "UserPoolId": pool, "Username": username }),
        )
        .await
    }

    /// A Node.js function with this handler body, which sees `event`. Gives its ARN.
    pub(crate) async fn create_function(&self, name: &str, body: &str) -> String {
        let source = format!("export const handler = async (event) => {{ {body} }};");
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("index.mjs", zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(source.as_bytes()).unwrap();
        let zip = zip.finish().unwrap().into_inner();
        let account = &self.organization.account_id;
        let role = format!("arn:aws:iam::{account}:role/any");
        let new = NewFunction::new(name, "nodejs20.x", "index.handler", &role, zip);
        self.functions
            .create_function(&self.organization, new)
            .await
            .unwrap();
        format!("arn:aws:lambda:us-east-1:{account}:function:{name}")
    }
}

pub(crate) fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

/// The attributes of an answer as one object.
pub(crate) fn attributes(user: &Value) -> Value {
    user["UserAttributes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attribute| (text(attribute, "Name"), attribute["Value"].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn merge(target: &mut Value, changes: Value) {
    for (name, value) in changes.as_object().unwrap() {
        target[name] = value.clone();
    }
}
