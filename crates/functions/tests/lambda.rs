//! The function runner from outside: signed calls on its router, real processes behind it, on both
//! databases.

use std::{
    io::{Cursor, Write as _},
    path::PathBuf,
    process::Stdio,
    time::{Duration, UNIX_EPOCH},
};

use accounts::{AccessKey, Accounts, Organization, SignaturePolicy};
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use axum::body::Body;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use functions::{Error, Functions, Refusal, Settings};
use http::{HeaderMap, Request, StatusCode};
use platform::{Clock, Db, Entropy, Platform, Vault, test_database::TestDatabase};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tower::ServiceExt as _;
use zip::{ZipWriter, write::SimpleFileOptions};

const ROLE: &str = "arn:aws:iam::123456789012:role/any";

/// A server with its own database and working directory.
struct Server {
    functions: Functions,
    organization: Organization,
    key: AccessKey,
    platform: Platform,
    accounts: Accounts,
    work_dir: tempfile::TempDir,
    _database: TestDatabase,
}

impl Server {
    async fn start_on(database: TestDatabase) -> Server {
        // A test's clock starts at the real time, because functions look at theirs.
        let clock = Clock::manual(Clock::system().now_ms());
        let platform = Platform {
            db: Db::open(&database.location(), clock.now_ms())
                .await
                .unwrap(),
            clock,
            entropy: Entropy::system(),
            vault: Vault::new(&[7; 32]),
        };
        let accounts = Accounts::new(platform.clone(), SignaturePolicy::Verify);
        let organization = accounts.create_organization("test").await.unwrap();
        let key = accounts
            .create_access_key(&organization.id, "test")
            .await
            .unwrap();
        let work_dir = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o711))
            .tempdir()
            .unwrap();
        let functions = start(&platform, &accounts, work_dir.path().to_owned());
        Server {
            functions,
            organization,
            key,
            platform,
            accounts,
            work_dir,
            _database: database,
        }
    }

    /// A server for each database there is.
    async fn all() -> Vec<Server> {
        let mut servers = Vec::new();
        for database in TestDatabase::all().await {
            servers.push(Server::start_on(database).await);
        }
        servers
    }

    async fn one() -> Server {
        Server::all().await.remove(0)
    }

    /// Ends this server and starts another one on the same database and folder.
    async fn restart(&mut self) {
        self.functions.shutdown().await;
        self.functions = start(
            &self.platform,
            &self.accounts,
            self.work_dir.path().to_owned(),
        );
    }

    async fn call(&self, method: &str, path: &str, body: impl Into<Vec<u8>>) -> Reply {
        self.call_with(method, path, &[], body.into()).await
    }

    async fn call_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Reply {
        let uri = format!("http://claviger.test{path}");
        let identity = Credentials::new(
            &self.key.id,
            self.key.secret.expose_secret(),
            None,
            None,
            "test",
        )
        .into();
        let now_ms = u64::try_from(self.platform.clock.now_ms()).unwrap();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("lambda")
            .time(UNIX_EPOCH + Duration::from_millis(now_ms))
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let all_headers: Vec<(&str, &str)> = [("host", "claviger.test")]
            .into_iter()
            .chain(headers.iter().copied())
            .collect();
        let signable = SignableRequest::new(
            method,
            &uri,
            all_headers.iter().copied(),
            SignableBody::Bytes(&body),
        )
        .unwrap();
        let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in all_headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Body::from(body)).unwrap();
        instructions.apply_to_request_http1x(&mut request);
        self.send(request).await
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.functions.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: axum::body::to_bytes(body, usize::MAX)
                .await
                .unwrap()
                .to_vec(),
        }
    }

    async fn create(&self, name: &str, runtime: &str, zip: &[u8], more: Value) -> Reply {
        let mut body = json!({
            "FunctionName": name,
            "Runtime": runtime,
            "Handler": "index.handler",
            "Role": ROLE,
            "Code": { "ZipFile": BASE64.encode(zip) },
        });
        for (member, value) in more.as_object().unwrap() {
            body[member] = value.clone();
        }
        self.call("POST", "/2015-03-31/functions", body.to_string())
            .await
    }

    async fn create_node(&self, name: &str, source: &str, more: Value) {
        let created = self
            .create(name, "nodejs20.x", &zip_of(&[("index.js", source)]), more)
            .await;
        assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
    }

    async fn invoke(&self, name: &str, payload: &Value) -> Reply {
        self.call_with(
            "POST",
            &format!("/2015-03-31/functions/{name}/invocations"),
            &[("x-amz-log-type", "Tail")],
            payload.to_string().into_bytes(),
        )
        .await
    }
}

fn start(platform: &Platform, accounts: &Accounts, work_dir: PathBuf) -> Functions {
    Functions::new(platform.clone(), accounts.clone(), settings(work_dir)).unwrap()
}

fn settings(work_dir: PathBuf) -> Settings {
    Settings {
        public_url: "http://claviger.test".into(),
        region: "us-east-1".into(),
        environment: vec![("PASSAGE_BASE_URL".into(), "http://claviger.test".into())],
        work_dir,
        node: None,
        programs: Vec::new(),
        instances_max: 10,
    }
}

/// Where functions of a test report to, and wait until the test lets them go on.
struct Gate {
    listener: TcpListener,
}

impl Gate {
    /// For functions of these tests: connects to the gate, sends its process id, and gives what the
    /// gate answers once it does.
    const CLIENT: &str = "
        const gate = (event) => new Promise((resolve, reject) => {
            const socket = require('node:net').connect(event.gate, '127.0.0.1');
            socket.on('error', reject);
            socket.on('data', (data) => resolve(String(data)));
            socket.on('close', () => reject(new Error('the gate is closed')));
            socket.write(String(process.pid));
        });
    ";

    async fn open() -> Gate {
        Gate {
            listener: TcpListener::bind(("127.0.0.1", 0)).await.unwrap(),
        }
    }

    fn event(&self) -> Value {
        json!({ "gate": self.listener.local_addr().unwrap().port() })
    }

    /// The next function that arrives, and its process id.
    async fn arrival(&self) -> (TcpStream, String) {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let mut pid = [0; 32];
        let length = stream.read(&mut pid).await.unwrap();
        let pid = String::from_utf8(pid[..length].to_vec()).unwrap();
        (stream, pid)
    }
}

#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn log(&self) -> String {
        let log = self
            .header("x-amz-log-result")
            .expect("a log was asked for");
        String::from_utf8(BASE64.decode(log).unwrap()).unwrap()
    }

    /// Status, exception and message of a refusal.
    fn refusal(&self) -> (u16, String, String) {
        let body = self.json();
        let message = body["message"].as_str().or(body["Message"].as_str());
        (
            self.status.as_u16(),
            self.header("x-amzn-errortype").unwrap_or("none").to_owned(),
            message.unwrap_or("none").to_owned(),
        )
    }
}

fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
    zip_with_mode(
        &files
            .iter()
            .map(|(name, text)| (*name, text.as_bytes().to_vec()))
            .collect::<Vec<_>>(),
        0o644,
    )
}

fn zip_with_mode(files: &[(&str, Vec<u8>)], mode: u32) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer
            .start_file(*name, SimpleFileOptions::default().unix_permissions(mode))
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[tokio::test]
async fn a_function_is_created_invoked_updated_and_deleted() {
    for server in Server::all().await {
        let source = "exports.handler = async (event) => ({ got: event, v: process.env.VA, pid: process.pid });";
        let zip = zip_of(&[("index.js", source)]);
        let created = server
            .create(
                "fn",
                "nodejs20.x",
                &zip,
                json!({ "Environment": { "Variables": { "VA": "1", "VB": "x" } }, "Timeout": 10 }),
            )
            .await;
        assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
        let mut configuration = created.json();
        let arn = format!(
            "arn:aws:lambda:us-east-1:{}:function:fn",
            server.organization.account_id
        );
        for member in [
            "LastModified",
            "RevisionId",
            "RuntimeVersionConfig",
            "CodeSha256",
        ] {
            assert!(
                configuration
                    .as_object_mut()
                    .unwrap()
                    .remove(member)
                    .is_some()
            );
        }
        assert_eq!(
            configuration,
            json!({
                "FunctionName": "fn",
                "FunctionArn": arn,
                "Runtime": "nodejs20.x",
                "Role": ROLE,
                "Handler": "index.handler",
                "CodeSize": zip.len(),
                "Description": "",
                "Timeout": 10,
                "MemorySize": 128,
                "Version": "$LATEST",
                "Environment": { "Variables": { "VA": "1", "VB": "x" } },
                "TracingConfig": { "Mode": "PassThrough" },
                "State": "Pending",
                "StateReason": "The function is being created.",
                "StateReasonCode": "Creating",
                "PackageType": "Zip",
                "Architectures": ["x86_64"],
                "EphemeralStorage": { "Size": 512 },
                "SnapStart": { "ApplyOn": "None", "OptimizationStatus": "Off" },
                "LoggingConfig": { "LogFormat": "Text", "LogGroup": "/aws/lambda/fn" },
            })
        );

        let invoked = server.invoke("fn", &json!({ "a": [1] })).await;
        assert_eq!(invoked.status, StatusCode::OK);
        let first = invoked.json();
        assert_eq!(first["got"], json!({ "a": [1] }));
        assert_eq!(first["v"], "1");
        assert_eq!(invoked.header("x-amz-executed-version"), Some("$LATEST"));
        assert_eq!(invoked.header("x-amz-function-error"), None);
        let again = server.invoke("fn", &json!(2)).await.json();
        assert_eq!(again["pid"], first["pid"], "a warm instance is reused");

        // New variables replace all old ones, and other members keep their values.
        let path = "/2015-03-31/functions/fn";
        let updated = server
            .call(
                "PUT",
                &format!("{path}/configuration"),
                json!({ "Environment": { "Variables": { "VA": "2" } } }).to_string(),
            )
            .await;
        assert_eq!(updated.status, StatusCode::OK, "{}", updated.text());
        let updated = updated.json();
        assert_eq!(updated["LastUpdateStatus"], "InProgress");
        assert_eq!(updated["Timeout"], 10);
        assert_eq!(
            updated["Environment"],
            json!({ "Variables": { "VA": "2" } })
        );
        let second = server
            .invoke(&arn.replace(':', "%3A"), &json!(3))
            .await
            .json();
        assert_eq!(second["v"], "2");
        assert_ne!(
            second["pid"], first["pid"],
            "a warm instance is not kept over an update"
        );

        // New code; a dry run changes nothing, a wrong revision neither.
        let code = BASE64.encode(zip_of(&[(
            "index.js",
            "exports.handler = async () => 'new';",
        )]));
        let stale =
            json!({ "ZipFile": code, "RevisionId": "00000000-0000-0000-0000-000000000000" });
        let refused = server
            .call("PUT", &format!("{path}/code"), stale.to_string())
            .await;
        assert_eq!(refused.refusal().1, "PreconditionFailedException");
        for (is_dry_run, expected) in [(true, json!("2")), (false, Value::Null)] {
            let body = json!({ "ZipFile": code, "DryRun": is_dry_run });
            let updated = server
                .call("PUT", &format!("{path}/code"), body.to_string())
                .await;
            assert_eq!(updated.status, StatusCode::OK, "{}", updated.text());
            let answer = server.invoke("fn", &json!(4)).await.json();
            assert_eq!(answer["v"], expected);
        }

        // What is deleted is gone, with its package.
        let deleted = server.call("DELETE", path, "").await;
        assert_eq!(
            (deleted.status, deleted.body),
            (StatusCode::NO_CONTENT, Vec::new())
        );
        let gone = server.call("GET", path, "").await;
        assert_eq!(
            gone.refusal(),
            (
                404,
                "ResourceNotFoundException".into(),
                format!("Function not found: {arn}")
            )
        );
        server.functions.shutdown().await;
    }
}

#[tokio::test]
async fn failures_are_answered_in_the_contracts_words() {
    const SOURCE: &str = r#"
        exports.throws = async () => { throw new TypeError('no'); };
        exports.string = async () => { throw 'text'; };
        exports.exit0 = async () => process.exit(0);
        exports.exit3 = async () => { console.log('leaving'); process.exit(3); };
        exports.sleeps = () => new Promise((resolve) => setTimeout(resolve, 60_000));
        exports.spins = async () => { for (;;); };
        exports.large = async () => 'x'.repeat(7 * 1024 * 1024);
        exports.nothing = async () => {};
        exports.timer = async () => { setInterval(() => {}, 1000); return 'at once'; };
        exports.callback = (event, context, callback) => callback(null, 'by callback');
        exports.failed = (event, context, callback) => callback(new RangeError('by callback'));
        exports.waits = (event, context, callback) => {
            let said = 'too early';
            setTimeout(() => { said = 'late'; }, 20);
            callback(null, { toJSON: () => said });
        };
        exports.hasty = (event, context, callback) => {
            context.callbackWaitsForEmptyEventLoop = false;
            setInterval(() => {}, 1000);
            callback(null, 'hasty');
        };
        exports.hog = async () => {
            const kept = [];
            for (let count = 0; count < 40; count += 1) kept.push(Buffer.alloc(100 * 1024 * 1024));
        };
        exports.floods = async () => { for (;;) require('node:fs').writeSync(1, 'flood '.repeat(1000)); };
        exports.forgets = () => 'what a callback would have said';
        exports.never = () => new Promise(() => {});
        exports.circle = async () => { const a = {}; a.a = a; return a; };
        exports.uncaught = () => new Promise(() => setImmediate(() => { throw new Error('uncaught'); }));
        exports.rejected = () => new Promise(() => { Promise.reject(new Error('unheard')); });
        exports.notAFunction = 7;
        exports.context = async (event, context) => ({
            ...context, remaining: context.getRemainingTimeInMillis() > 500,
        });
    "#;
    // The answer's beginning, and whether the function failed.
    let cases = [
        (
            "throws",
            true,
            r#"{"errorType":"TypeError","errorMessage":"no","trace":["TypeError: no","    at "#,
        ),
        (
            "string",
            true,
            r#"{"errorType":"string","errorMessage":"text","trace":[]}"#,
        ),
        (
            "exit0",
            true,
            r#"{"errorMessage":"RequestId: $ID Error: Runtime exited without providing a reason","errorType":"Runtime.ExitError"}"#,
        ),
        (
            "exit3",
            true,
            r#"{"errorMessage":"RequestId: $ID Error: Runtime exited with error: exit status 3","errorType":"Runtime.ExitError"}"#,
        ),
        (
            "sleeps",
            true,
            r#"{"errorMessage":"RequestId: $ID Error: Task timed out after 1.00 seconds","errorType":"Sandbox.Timedout"}"#,
        ),
        (
            "spins",
            true,
            r#"{"errorMessage":"RequestId: $ID Error: Task timed out after 1.00 seconds","errorType":"Sandbox.Timedout"}"#,
        ),
        (
            "large",
            true,
            r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#,
        ),
        (
            "floods",
            true,
            r#"{"errorMessage":"RequestId: $ID Error: Task timed out after 1.00 seconds","errorType":"Sandbox.Timedout"}"#,
        ),
        ("nothing", false, "null"),
        ("timer", false, r#""at once""#),
        ("callback", false, r#""by callback""#),
        (
            "failed",
            true,
            r#"{"errorType":"RangeError","errorMessage":"by callback","trace":["#,
        ),
        ("waits", false, r#""late""#),
        ("hasty", false, r#""hasty""#),
        (
            "hog",
            true,
            r#"{"errorType":"RangeError","errorMessage":"Array buffer allocation failed","trace":["#,
        ),
        ("forgets", false, "null"),
        ("never", false, "null"),
        (
            "circle",
            true,
            r#"{"errorType":"Runtime.MalformedResponse","errorMessage":"Unable to stringify response body","trace":["#,
        ),
        (
            "uncaught",
            true,
            r#"{"errorType":"Error","errorMessage":"uncaught","trace":["Error: uncaught""#,
        ),
        (
            "rejected",
            true,
            r#"{"errorType":"Runtime.UnhandledPromiseRejection","errorMessage":"Error: unheard","reason":{"errorType":"Error","errorMessage":"unheard","#,
        ),
        (
            "notAFunction",
            true,
            r#"{"errorType":"Runtime.HandlerNotFound","errorMessage":"index.notAFunction is not a function","trace":["#,
        ),
        (
            "missing",
            true,
            r#"{"errorType":"Runtime.HandlerNotFound","errorMessage":"index.missing is undefined or not exported","trace":["#,
        ),
        (
            "context",
            false,
            r#"{"callbackWaitsForEmptyEventLoop":true,"functionVersion":"$LATEST","functionName":"context","memoryLimitInMB":"128","logGroupName":"/aws/lambda/context","logStreamName":""#,
        ),
    ];
    for server in Server::all().await {
        for (name, is_error, expected) in cases {
            let more = json!({ "Handler": format!("index.{name}"), "Timeout": 1 });
            server.create_node(name, SOURCE, more).await;
            // The second time shows that a failure leaves nothing broken.
            for round in 0..2 {
                let reply = server.invoke(name, &json!({})).await;
                let id = reply.header("x-amzn-requestid").unwrap().to_owned();
                let text = reply.text();
                assert_eq!(reply.status, StatusCode::OK, "{name}: {text}");
                let expected = expected.replace("$ID", &id);
                assert!(text.starts_with(&expected), "{name} {round}: {text}");
                assert_eq!(
                    reply.header("x-amz-function-error"),
                    is_error.then_some("Unhandled"),
                    "{name}"
                );
                let log = reply.log();
                assert!(
                    name == "floods"
                        || log.starts_with(&format!("START RequestId: {id} Version: $LATEST\n")),
                    "{name}: {log}"
                );
                let last = log.lines().last().unwrap();
                assert!(
                    last.starts_with(&format!("REPORT RequestId: {id}\tDuration: ")),
                    "{name}: {log}"
                );
                match name {
                    "exit3" => assert!(log.contains(&format!("\t{id}\tINFO\tleaving\n")) && log.contains(&format!(
                        "RequestId: {id} Error: Runtime exited with error: exit status 3\nRuntime.ExitError\nEND "
                    )), "{log}"),
                    "sleeps" => assert!(log.contains(&format!("Z {id} Task timed out after 1.00 seconds\n")), "{log}"),
                    "throws" => assert!(log.contains("\tERROR\tInvoke Error"), "{log}"),
                    _ => {}
                }
            }
        }
        server.functions.shutdown().await;
    }
}

#[tokio::test]
async fn a_handler_is_found_in_every_form_the_contract_lists() {
    let module = "export const handler = async () => 'esm';";
    let common = "exports.handler = async () => 'cjs'; exports.a = { b: async () => 'nested' };";
    let manifest = r#"{"type":"module"}"#;
    let server = Server::one().await;
    for (number, (files, handler, expected)) in [
        (vec![("index.mjs", module)], "index.handler", r#""esm""#),
        (vec![("index.cjs", common)], "index.handler", r#""cjs""#),
        (vec![("index.js", module), ("package.json", manifest)], "index.handler", r#""esm""#),
        (vec![("src/app.js", module), ("src/package.json", manifest)], "src/app.handler", r#""esm""#),
        (vec![("index.js", common)], "index.a.b", r#""nested""#),
        (vec![("src/deep/app.js", common)], "src/deep/app.handler", r#""cjs""#),
        (vec![("node_modules/lib/index.js", common)], "lib.handler", r#""cjs""#),
        (vec![("index.js", common)], "handler", r#"{"errorType":"Runtime.MalformedHandlerName","errorMessage":"Bad handler""#),
        (vec![("index.js", common)], "../index.handler", r#"{"errorType":"Runtime.MalformedHandlerName","errorMessage":"'../index.handler' is not a valid handler name. Use absolute paths when specifying root directories in handler names.""#),
        (vec![("other.js", common)], "index.handler", r#"{"errorType":"Runtime.ImportModuleError","errorMessage":"Error: Cannot find module 'index'\nRequire stack:\n- "#),
        (vec![("index.js", "require('missing')")], "index.handler", r#"{"errorType":"Runtime.ImportModuleError","errorMessage":"Error: Cannot find module 'missing'\nRequire stack:\n- "#),
        (vec![("index.js", "exports.handler = (")], "index.handler", r#"{"errorType":"Runtime.UserCodeSyntaxError","errorMessage":"SyntaxError: Unexpected end of input"#),
        (vec![("index.mjs", "export const = 1")], "index.handler", r#"{"errorType":"Runtime.UserCodeSyntaxError","errorMessage":"SyntaxError: "#),
        (vec![("index.js", "throw new RangeError('at load')")], "index.handler", r#"{"errorType":"RangeError","errorMessage":"at load""#),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("fn{number}");
        let zip = zip_of(&files);
        let created = server
            .create(&name, "nodejs20.x", &zip, json!({ "Handler": handler }))
            .await;
        assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
        let text = server.invoke(&name, &json!({})).await.text();
        assert!(text.starts_with(expected), "{files:?} {handler}: {text}");
    }
    server.functions.shutdown().await;
}

#[tokio::test]
async fn from_nodejs24_on_a_handler_returns_its_result() {
    let source = "
        exports.callback = (event, context, callback) => callback(null, 1);
        exports.sync = () => 'at once';
        exports.async = async (event, ...rest) => rest.length;
    ";
    let server = Server::one().await;
    for (name, expected) in [
        (
            "callback",
            r#"{"errorType":"Runtime.CallbackHandlerDeprecated","#,
        ),
        ("sync", r#""at once""#),
        // The context, and no callback.
        ("async", "1"),
    ] {
        let zip = zip_of(&[("index.js", source)]);
        let more = json!({ "Handler": format!("index.{name}") });
        server.create(name, "nodejs24.x", &zip, more).await;
        let text = server.invoke(name, &json!({})).await.text();
        assert!(text.starts_with(expected), "{name}: {text}");
    }
    server.functions.shutdown().await;
}

/// The example on the official runtime client, as a package.
fn echo_package() -> Vec<u8> {
    let tests = std::env::current_exe().unwrap();
    let example = tests
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/echo_bootstrap");
    let binary = std::fs::read(&example).expect("`cargo test -p functions` builds the examples");
    zip_with_mode(&[("bootstrap", binary)], 0o755)
}

#[tokio::test]
async fn a_custom_runtime_takes_a_thousand_invocations_and_survives_its_crashes() {
    let package = echo_package();
    for server in Server::all().await {
        let created = server
            .create("echo", "provided.al2023", &package, json!({}))
            .await;
        assert_eq!(created.status, StatusCode::CREATED, "{}", created.text());
        let first = server.invoke("echo", &json!({ "n": 0 })).await;
        assert_eq!(
            first.header("x-amz-function-error"),
            None,
            "{}",
            first.text()
        );
        let id = first.header("x-amzn-requestid").unwrap().to_owned();
        let first = first.json();
        assert_eq!(first["request_id"], id);
        assert_eq!(first["event"], json!({ "n": 0 }));
        let organization_id = &server.organization.id;
        for count in 2..=1000 {
            let payload = json!({ "n": count }).to_string().into_bytes();
            let answer = server
                .functions
                .invoke(organization_id, "echo", payload)
                .await
                .unwrap();
            let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
            assert_eq!(
                (&answer["count"], &answer["pid"]),
                (&json!(count), &first["pid"])
            );
        }
        for (what, expected) in [
            ("exit", "Runtime exited with error: exit status 3"),
            ("abort", "Runtime exited with error: signal: aborted"),
        ] {
            let crashed = server.invoke("echo", &json!({ "do": what })).await;
            let id = crashed.header("x-amzn-requestid").unwrap();
            assert_eq!(
                crashed.json(),
                json!({
                    "errorType": "Runtime.ExitError",
                    "errorMessage": format!("RequestId: {id} Error: {expected}"),
                })
            );
            let next = server.invoke("echo", &json!({})).await.json();
            assert_eq!(next["count"], 1, "a new instance has taken over");
        }
        let failed = server.invoke("echo", &json!({ "do": "fail" })).await;
        assert_eq!(failed.header("x-amz-function-error"), Some("Unhandled"));
        assert_eq!(failed.json()["errorMessage"], "as asked");
        let next = server.invoke("echo", &json!({})).await.json();
        assert_eq!(next["count"], 3, "a failure does not end the instance");
        server.functions.shutdown().await;
    }
}

#[tokio::test]
async fn a_package_that_cannot_be_started_says_why() {
    let server = Server::one().await;
    for (name, files, mode, expected) in [
        (
            "missing",
            [("other", "x")],
            0o755,
            "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]",
        ),
        (
            "not-executable",
            [("bootstrap", "#!/bin/sh\n")],
            0o644,
            "fork/exec /var/task/bootstrap: permission denied",
        ),
        (
            "not-a-program",
            [("bootstrap", "\u{1}\u{2}\u{3}")],
            0o755,
            "fork/exec /var/task/bootstrap: exec format error",
        ),
    ] {
        let files = files.map(|(name, text)| (name, text.as_bytes().to_vec()));
        server
            .create(
                name,
                "provided.al2023",
                &zip_with_mode(&files, mode),
                json!({}),
            )
            .await;
        let reply = server.invoke(name, &json!({})).await;
        let id = reply.header("x-amzn-requestid").unwrap();
        assert_eq!(
            reply.json(),
            json!({
                "errorType": "Runtime.InvalidEntrypoint",
                "errorMessage": format!("RequestId: {id} Error: {expected}"),
            })
        );
    }
    server.functions.shutdown().await;
}

#[tokio::test]
async fn an_asynchronous_invocation_is_answered_first_and_survives_a_restart() {
    for mut server in Server::all().await {
        let gate = Gate::open().await;
        let source = format!("{} exports.handler = gate;", Gate::CLIENT);
        server
            .create_node("fn", &source, json!({ "Timeout": 60 }))
            .await;
        let path = "/2015-03-31/functions/fn/invocations";
        let event = [("x-amz-invocation-type", "Event")];
        let accepted = server
            .call_with("POST", path, &event, gate.event().to_string().into_bytes())
            .await;
        assert_eq!(
            (accepted.status, accepted.body),
            (StatusCode::ACCEPTED, Vec::new())
        );
        // It waits at the gate when its server ends.
        let (_first, first_pid) = gate.arrival().await;
        server.restart().await;
        let (mut second, second_pid) = gate.arrival().await;
        assert_ne!(first_pid, second_pid);
        second.write_all(b"go on").await.unwrap();
        // Its end is its log, which says that it was the same invocation.
        let id = accepted.headers["x-amzn-requestid"].to_str().unwrap();
        let log = ended(&server, "fn", id).await;
        assert!(!log.is_error, "{}", log.text);
        server.functions.shutdown().await;
    }
}

#[tokio::test]
async fn a_failed_asynchronous_invocation_is_tried_three_times() {
    for server in Server::all().await {
        let gate = Gate::open().await;
        let source = format!(
            "{} exports.handler = async (event) => {{ await gate(event); throw new Error('no'); }};",
            Gate::CLIENT
        );
        server
            .create_node("fn", &source, json!({ "Timeout": 60 }))
            .await;
        server
            .create_node("wake", "exports.handler = async () => {};", json!({}))
            .await;
        let event = [("x-amz-invocation-type", "Event")];
        let invoke = async |name: &str, payload: &Value| {
            let path = format!("/2015-03-31/functions/{name}/invocations");
            let payload = payload.to_string().into_bytes();
            let accepted = server.call_with("POST", &path, &event, payload).await;
            assert_eq!(accepted.status, StatusCode::ACCEPTED);
        };
        invoke("fn", &gate.event()).await;
        for tries in 1..=3 {
            let (mut arrived, _) = gate.arrival().await;
            arrived.write_all(b"fail").await.unwrap();
            // Settled once the row waits for its time, or is gone after the third try.
            let due = loop {
                match waiting(&server).await {
                    (0, _) if tries == 3 => break 0,
                    (1, due_in_ms) if tries < 3 && due_in_ms == tries * 60_000 => break due_in_ms,
                    _ => tokio::task::yield_now().await,
                }
            };
            server.platform.clock.advance_ms(due);
            // Any change of the queue makes it look at the time again.
            invoke("wake", &json!({})).await;
        }
        server.functions.shutdown().await;
    }
}

/// How many invocations of `fn` are in the queue, and when the next is due.
async fn waiting(server: &Server) -> (i64, i64) {
    let now_ms = server.platform.clock.now_ms();
    server
        .platform
        .db
        .read(async move |tx| {
            let row = tx
                .row(
                    "SELECT COUNT(*) AS count, MIN(due_at_ms) AS due FROM functions_queue
                     WHERE function_id = (SELECT id FROM functions_functions WHERE name = 'fn')",
                    platform::values![],
                )
                .await?
                .unwrap();
            let due: Option<i64> = row.get("due")?;
            Ok::<_, platform::Fault>((row.get("count")?, due.unwrap_or(now_ms) - now_ms))
        })
        .await
        .unwrap()
}

/// The log of an invocation, once it has ended.
async fn ended(server: &Server, function: &str, request_id: &str) -> functions::LogEntry {
    loop {
        let entries = server
            .functions
            .list_logs(&server.organization.id, function, None, 100)
            .await
            .unwrap();
        if let Some(entry) = entries
            .into_iter()
            .find(|entry| entry.request_id == request_id)
        {
            return entry;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn ten_at_once_run_in_ten_instances_and_one_more_is_turned_away() {
    for server in Server::all().await {
        let gate = Gate::open().await;
        let source = format!(
            "{} exports.handler = async (event) => ({{ said: await gate(event), pid: process.pid }});",
            Gate::CLIENT
        );
        server
            .create_node("fn", &source, json!({ "Timeout": 60 }))
            .await;
        let event = gate.event();
        let all = futures_util::future::join_all((0..10).map(|_| server.invoke("fn", &event)));
        let release = async {
            let mut arrived = Vec::new();
            for _ in 0..10 {
                arrived.push(gate.arrival().await);
            }
            let mut pids: Vec<&String> = arrived.iter().map(|(_, pid)| pid).collect();
            pids.sort();
            pids.dedup();
            assert_eq!(pids.len(), 10, "no instance has two at once");
            let turned_away = server.invoke("fn", &event).await;
            assert_eq!(turned_away.status, StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(turned_away.header("retry-after"), Some("1"));
            assert_eq!(
                turned_away.json()["Reason"],
                "ConcurrentInvocationLimitExceeded"
            );
            for (stream, pid) in &mut arrived {
                stream.write_all(pid.as_bytes()).await.unwrap();
            }
            arrived
        };
        let (replies, _arrived) = tokio::join!(all, release);
        for reply in replies {
            let answer = reply.json();
            assert_eq!(
                answer["said"],
                answer["pid"].to_string(),
                "answers are not mixed up"
            );
        }
        server.functions.shutdown().await;
    }
}

#[tokio::test]
async fn unsafe_packages_are_refused_and_leave_nothing_behind() {
    for server in Server::all().await {
        let mut link = ZipWriter::new(Cursor::new(Vec::new()));
        link.add_symlink("l", "/etc/passwd", SimpleFileOptions::default())
            .unwrap();
        for (name, zip, expected) in [
            ("slip", zip_of(&[("../../evil", "x")]), "leaves the package"),
            (
                "link",
                link.finish().unwrap().into_inner(),
                "leaves the package",
            ),
            (
                "garbage",
                b"no zip".to_vec(),
                "Could not unzip uploaded file.",
            ),
            ("empty", Vec::new(), "Uploaded file must be a non-empty zip"),
        ] {
            let refused = server.create(name, "nodejs20.x", &zip, json!({})).await;
            let (status, exception, message) = refused.refusal();
            assert_eq!(
                (status, exception.as_str()),
                (400, "InvalidParameterValueException")
            );
            assert!(message.contains(expected), "{name}: {message}");
        }
        let listed = server.call("GET", "/2015-03-31/functions/", "").await;
        assert_eq!(listed.json(), json!({ "Functions": [] }));
        let packages = server.work_dir.path().join("packages");
        assert_eq!(std::fs::read_dir(packages).unwrap().count(), 0);
        server.functions.shutdown().await;
    }
}

#[tokio::test]
async fn a_function_sees_its_own_environment_and_nothing_of_the_server() {
    let server = Server::one().await;
    let source = r#"
        const attempt = async (work) => { try { return String(await work()); } catch (error) { return `refused: ${error.code}`; } };
        const fs = require('node:fs');
        const get = (url) => new Promise((resolve, reject) => {
            require('node:http').get(url, (response) => resolve(response.statusCode)).on('error', reject);
        });
        exports.handler = async (event) => ({
            environment: Object.keys(process.env).sort(),
            region: process.env.AWS_REGION,
            url: process.env.PASSAGE_BASE_URL,
            cwd: process.cwd() === process.env.LAMBDA_TASK_ROOT,
            runtimeApi: process.env.AWS_LAMBDA_RUNTIME_API,
            wrote: await attempt(() => { fs.writeFileSync(require('node:os').tmpdir() + '/f', 'x'); return 'yes'; }),
            overwrote: await attempt(() => fs.writeFileSync(__filename, '')),
            serverEnvironment: await attempt(() => fs.readFileSync(`/proc/${process.ppid}/environ`, 'utf8').length > 0),
            database: await attempt(() => fs.readFileSync(event.database).length > 0),
            packages: await attempt(() => fs.readdirSync(process.env.LAMBDA_TASK_ROOT + '/..')),
            other: event.other ? await attempt(() => get(`http://${event.other}/2018-06-01/runtime/invocation/next`)) : null,
        });
    "#;
    server
        .create_node(
            "one",
            source,
            json!({ "Environment": { "Variables": { "OWN": "1" } }, "Timeout": 2 }),
        )
        .await;
    server.create_node("other", source, json!({})).await;
    let event = |other: &Value| json!({ "database": server.platform.db.path(), "other": other });
    let other = server.invoke("other", &event(&Value::Null)).await.json();
    let one = server
        .invoke("one", &event(&other["runtimeApi"]))
        .await
        .json();
    assert_eq!(
        one["environment"],
        json!([
            "AWS_ACCESS_KEY_ID",
            "AWS_DEFAULT_REGION",
            "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER",
            "AWS_ENDPOINT_URL_LAMBDA",
            "AWS_EXECUTION_ENV",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            "AWS_LAMBDA_FUNCTION_NAME",
            "AWS_LAMBDA_FUNCTION_VERSION",
            "AWS_LAMBDA_INITIALIZATION_TYPE",
            "AWS_LAMBDA_LOG_GROUP_NAME",
            "AWS_LAMBDA_LOG_STREAM_NAME",
            "AWS_LAMBDA_RUNTIME_API",
            "AWS_REGION",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_XRAY_CONTEXT_MISSING",
            "LAMBDA_RUNTIME_DIR",
            "LAMBDA_TASK_ROOT",
            "LANG",
            "LD_LIBRARY_PATH",
            "NODE_PATH",
            "OWN",
            "PASSAGE_BASE_URL",
            "PATH",
            "TMPDIR",
            "TZ",
            "_HANDLER",
            "_X_AMZN_TRACE_ID",
        ])
    );
    assert_eq!(one["region"], "us-east-1");
    assert_eq!(one["url"], "http://claviger.test");
    assert_eq!(one["cwd"], true);
    assert_eq!(one["wrote"], "yes");
    assert_eq!(one["other"], "refused: ECONNRESET");
    // With a user of its own for each instance, which takes a server that runs as root.
    if rustix::process::geteuid().is_root() {
        for what in ["overwrote", "serverEnvironment", "database", "packages"] {
            assert_eq!(one[what], "refused: EACCES", "{what}");
        }
    }
    server.functions.shutdown().await;
}

#[tokio::test]
async fn a_function_signs_its_own_calls_with_a_key_pair_of_its_own() {
    for server in Server::all().await {
        let source = "exports.handler = async () => [process.env.AWS_ACCESS_KEY_ID, process.env.AWS_SECRET_ACCESS_KEY];";
        server.create_node("fn", source, json!({})).await;
        let pair = server.invoke("fn", &json!({})).await.json();
        assert_ne!(pair[0], server.key.id.as_str());
        let mut as_function = Server {
            key: AccessKey {
                id: pair[0].as_str().unwrap().into(),
                secret: pair[1].as_str().unwrap().into(),
            },
            ..server
        };
        assert_eq!(
            as_function
                .call("GET", "/2015-03-31/functions/fn", "")
                .await
                .status,
            StatusCode::OK
        );
        // It is the same after a restart.
        as_function.restart().await;
        assert_eq!(as_function.invoke("fn", &json!({})).await.json(), pair);
        as_function.functions.shutdown().await;
    }
}

#[tokio::test]
async fn a_call_without_a_right_signature_is_refused() {
    let server = Server::one().await;
    for path in [
        "/2015-03-31/functions",
        "/2015-03-31/functions/fn",
        "/2016-08-19/account-settings",
    ] {
        let unsigned = Request::get(path).body(Body::empty()).unwrap();
        let refused = server.send(unsigned).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert_eq!(
            refused.header("x-amzn-errortype"),
            Some("MissingAuthenticationTokenException")
        );
        assert_eq!(
            refused.text(),
            r#"{"message":"Missing Authentication Token"}"#
        );
    }
    let mut forger = server;
    forger.key.secret = "another secret".into();
    let refused = forger.call("GET", "/2015-03-31/functions", "").await;
    assert_eq!(
        (refused.refusal().0, refused.refusal().1.as_str()),
        (403, "InvalidSignatureException")
    );
    forger.functions.shutdown().await;
}

#[tokio::test]
async fn bad_requests_are_refused_in_the_contracts_words() {
    for server in Server::all().await {
        server
            .create_node("fn", "exports.handler = async () => 1;", json!({}))
            .await;
        let functions = "/2015-03-31/functions";
        let fn_path = "/2015-03-31/functions/fn";
        let missing_arn = format!(
            "arn:aws:lambda:us-east-1:{}:function:missing",
            server.organization.account_id
        );
        let creation = |more: Value| {
            let zip = BASE64.encode(zip_of(&[("index.js", "")]));
            let mut body = json!({ "FunctionName": "new", "Runtime": "nodejs20.x",
                "Handler": "index.handler", "Role": ROLE, "Code": { "ZipFile": zip } });
            for (member, value) in more.as_object().unwrap() {
                body[member] = value.clone();
            }
            body.to_string()
        };
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for (method, path, body, status, exception, message) in [
            (
                "GET",
                format!("{functions}/missing"),
                String::new(),
                404,
                "ResourceNotFoundException",
                format!("Function not found: {missing_arn}"),
            ),
            (
                "GET",
                format!("{fn_path}?Qualifier=7"),
                String::new(),
                404,
                "ResourceNotFoundException",
                "fn:7".into(),
            ),
            (
                "GET",
                format!("{functions}/fn%3A1?Qualifier=2"),
                String::new(),
                400,
                "InvalidParameterValueException",
                "The derived qualifier".into(),
            ),
            (
                "GET",
                format!("{functions}/a%20b"),
                String::new(),
                400,
                "ValidationException",
                "at 'functionName' failed to satisfy constraint".into(),
            ),
            (
                "POST",
                functions.into(),
                String::new(),
                400,
                "ValidationException",
                "Value null at 'functionName'".into(),
            ),
            (
                "POST",
                functions.into(),
                "not json".into(),
                400,
                "InvalidRequestContentException",
                "".into(),
            ),
            (
                "POST",
                functions.into(),
                deep.clone(),
                400,
                "InvalidRequestContentException",
                "".into(),
            ),
            (
                "POST",
                functions.into(),
                creation(json!({ "FunctionName": 7 })),
                400,
                "SerializationException",
                "".into(),
            ),
            (
                "POST",
                functions.into(),
                creation(json!({ "FunctionName": "fn" })),
                409,
                "ResourceConflictException",
                "Function already exist: fn".into(),
            ),
            (
                "POST",
                functions.into(),
                creation(json!({ "Runtime": null })),
                400,
                "InvalidParameterValueException",
                "Runtime and Handler are mandatory".into(),
            ),
            (
                "POST",
                functions.into(),
                creation(json!({ "Runtime": "python3.12" })),
                400,
                "InvalidParameterValueException",
                "does not run on this server".into(),
            ),
            (
                "POST",
                functions.into(),
                creation(json!({ "Role": "me" })),
                400,
                "InvalidParameterValueException",
                "The role".into(),
            ),
            (
                "POST",
                functions.into(),
                creation(json!({ "Timeout": 901 })),
                400,
                "ValidationException",
                "Value '901' at 'timeout'".into(),
            ),
            (
                "POST",
                functions.into(),
                creation(json!({ "Description": "a\u{0}b" })),
                400,
                "ValidationException",
                "'description'".into(),
            ),
            (
                "POST",
                functions.into(),
                creation(json!({ "Layers": ["arn:x"] })),
                400,
                "InvalidParameterValueException",
                "Layers is not supported".into(),
            ),
            (
                "POST",
                functions.into(),
                creation(json!({ "Code": { "S3Bucket": "b", "S3Key": "k" } })),
                400,
                "InvalidParameterValueException",
                "not from S3".into(),
            ),
            (
                "POST",
                functions.into(),
                creation(json!({ "Environment": { "Variables": { "AWS_REGION": "x" } } })),
                400,
                "InvalidParameterValueException",
                "Reserved keys used in this request: AWS_REGION".into(),
            ),
            (
                "PUT",
                format!("{functions}/missing/code"),
                creation(json!({})),
                404,
                "ResourceNotFoundException",
                missing_arn.clone(),
            ),
            (
                "PUT",
                format!("{fn_path}/configuration"),
                r#"{"MemorySize":1}"#.into(),
                400,
                "ValidationException",
                "'memorySize'".into(),
            ),
            (
                "DELETE",
                format!("{functions}/missing"),
                String::new(),
                404,
                "ResourceNotFoundException",
                missing_arn.clone(),
            ),
            (
                "DELETE",
                format!("{fn_path}?Qualifier=$LATEST"),
                String::new(),
                400,
                "InvalidParameterValueException",
                "$LATEST version cannot be deleted".into(),
            ),
            (
                "POST",
                format!("{fn_path}/invocations"),
                "{".into(),
                400,
                "InvalidRequestContentException",
                "Could not parse request body into json: EOF".into(),
            ),
            (
                "POST",
                format!("{fn_path}/invocations"),
                "x".repeat(6_291_457),
                413,
                "RequestTooLargeException",
                "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
                    .into(),
            ),
            (
                "POST",
                format!("{fn_path}/invocations"),
                "x".repeat(8_000_000),
                413,
                "RequestTooLargeException",
                "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
                    .into(),
            ),
            (
                "POST",
                format!("{functions}/missing/invocations"),
                "{}".into(),
                404,
                "ResourceNotFoundException",
                missing_arn.clone(),
            ),
            (
                "GET",
                format!("{functions}?MaxItems=0"),
                String::new(),
                400,
                "ValidationException",
                "'maxItems'".into(),
            ),
            (
                "GET",
                format!("{functions}?Marker=@@"),
                String::new(),
                400,
                "InvalidParameterValueException",
                "Marker".into(),
            ),
            (
                "POST",
                format!("{fn_path}/versions"),
                "{}".into(),
                400,
                "InvalidParameterValueException",
                "The operation PublishVersion is not supported".into(),
            ),
            (
                "PATCH",
                fn_path.into(),
                "{}".into(),
                400,
                "InvalidParameterValueException",
                "PATCH /2015-03-31/functions/fn".into(),
            ),
            (
                "GET",
                "/2016-08-19/account-settings/".into(),
                String::new(),
                400,
                "InvalidParameterValueException",
                "GetAccountSettings".into(),
            ),
            (
                "POST",
                format!("{fn_path}/policy"),
                deep,
                400,
                "InvalidRequestContentException",
                "".into(),
            ),
            (
                "POST",
                format!("{fn_path}/policy"),
                "y".repeat(2_100_000),
                413,
                "RequestTooLargeException",
                "".into(),
            ),
        ] {
            let reply = server.call(method, &path, body).await;
            let refusal = reply.refusal();
            assert_eq!(
                (refusal.0, refusal.1.as_str()),
                (status, exception),
                "{method} {path}: {}",
                refusal.2
            );
            assert!(
                refusal.2.contains(&message),
                "{method} {path}: {}",
                refusal.2
            );
            assert!(reply.header("x-amzn-requestid").is_some());
        }
        // Nothing of it has changed or created anything.
        let listed = server.call("GET", functions, "").await.json();
        assert_eq!(listed["Functions"].as_array().unwrap().len(), 1);
        server.functions.shutdown().await;
    }
}

#[tokio::test]
async fn an_invocation_can_be_a_dry_run_carry_context_or_have_no_payload() {
    let server = Server::one().await;
    let source =
        "exports.handler = async (event, context) => [event, context.clientContext ?? null];";
    server.create_node("fn", source, json!({})).await;
    let path = "/2015-03-31/functions/fn/invocations";
    let dry = server
        .call_with(
            "POST",
            path,
            &[("x-amz-invocation-type", "DryRun")],
            b"{}".to_vec(),
        )
        .await;
    assert_eq!((dry.status, dry.body.len()), (StatusCode::NO_CONTENT, 0));
    let context = BASE64.encode(r#"{"custom":{"a":"b"}}"#);
    let with_context = server
        .call_with(
            "POST",
            path,
            &[("x-amz-client-context", &context)],
            Vec::new(),
        )
        .await;
    assert_eq!(with_context.json(), json!([{}, { "custom": { "a": "b" } }]));
    assert_eq!(with_context.header("x-amz-log-result"), None);
    let bad = server
        .call_with("POST", path, &[("x-amz-client-context", "?")], Vec::new())
        .await;
    assert_eq!(bad.refusal().1, "InvalidRequestContentException");
    let unknown = server
        .call_with(
            "POST",
            path,
            &[("x-amz-invocation-type", "Later")],
            Vec::new(),
        )
        .await;
    assert_eq!(unknown.refusal().1, "ValidationException");
    server.functions.shutdown().await;
}

#[tokio::test]
async fn the_code_is_downloaded_from_its_location_for_ten_minutes() {
    for server in Server::all().await {
        let zip = zip_of(&[("index.js", "exports.handler = async () => 1;")]);
        server
            .create("fn", "nodejs20.x", &zip, json!({ "Tags": { "a": "b" } }))
            .await;
        let got = server
            .call("GET", "/2015-03-31/functions/fn?Qualifier=$LATEST", "")
            .await
            .json();
        assert_eq!(got["Configuration"]["State"], "Active");
        assert_eq!(got["Configuration"]["LastUpdateStatus"], "Successful");
        assert!(
            got["Configuration"]["FunctionArn"]
                .as_str()
                .unwrap()
                .ends_with(":fn:$LATEST")
        );
        assert_eq!(got["Tags"], json!({ "a": "b" }));
        let location = got["Code"]["Location"].as_str().unwrap();
        let path = location.strip_prefix("http://claviger.test").unwrap();
        let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(server.send(get(path)).await.body, zip);
        let (folder, token) = path.rsplit_once('/').unwrap();
        let forged = format!("{folder}/{}", token.chars().rev().collect::<String>());
        assert_eq!(
            server.send(get(&forged)).await.status,
            StatusCode::FORBIDDEN
        );
        server.platform.clock.advance_ms(10 * 60 * 1000);
        assert_eq!(server.send(get(path)).await.status, StatusCode::FORBIDDEN);
        server.functions.shutdown().await;
    }
}

#[tokio::test]
async fn functions_are_listed_page_by_page_and_by_their_owner_only() {
    for server in Server::all().await {
        for name in ["c", "a", "b"] {
            server
                .create_node(name, "exports.handler = async () => 1;", json!({}))
                .await;
            server.platform.clock.advance_ms(1);
        }
        let mut names = Vec::new();
        let mut path = "/2015-03-31/functions?MaxItems=2".to_owned();
        loop {
            let page = server.call("GET", &path, "").await.json();
            for function in page["Functions"].as_array().unwrap() {
                names.push(function["FunctionName"].as_str().unwrap().to_owned());
            }
            let Some(marker) = page["NextMarker"].as_str() else {
                break;
            };
            path = format!("/2015-03-31/functions?Marker={marker}&MaxItems=2");
        }
        assert_eq!(names, ["c", "a", "b"]);
        let other = server.accounts.create_organization("other").await.unwrap();
        let key = server
            .accounts
            .create_access_key(&other.id, "other")
            .await
            .unwrap();
        let stranger = Server { key, ..server };
        assert_eq!(
            stranger
                .call("GET", "/2015-03-31/functions", "")
                .await
                .json(),
            json!({ "Functions": [] })
        );
        assert_eq!(
            stranger.invoke("a", &json!({})).await.status,
            StatusCode::NOT_FOUND
        );
        stranger.functions.shutdown().await;
    }
}

#[tokio::test]
async fn permissions_are_added_shown_asked_and_removed() {
    for server in Server::all().await {
        server
            .create_node("fn", "exports.handler = async () => 1;", json!({}))
            .await;
        let path = "/2015-03-31/functions/fn/policy";
        let pool = "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_AbC";
        let service = "cognito-idp.amazonaws.com";
        let permits = async |source: &str| {
            server
                .functions
                .permits(&server.organization.id, "fn", service, source)
                .await
                .unwrap()
        };
        let nothing = server.call("GET", path, "").await.refusal();
        assert_eq!(
            nothing,
            (
                404,
                "ResourceNotFoundException".into(),
                "The resource you requested does not exist.".into()
            )
        );
        assert!(!permits(pool).await);
        let body = json!({ "StatementId": "pool", "Action": "lambda:InvokeFunction", "Principal": service, "SourceArn": pool }).to_string();
        let added = server.call("POST", path, body.clone()).await;
        assert_eq!(added.status, StatusCode::CREATED, "{}", added.text());
        let added = added.json();
        let statement = added["Statement"].as_str().unwrap();
        assert!(statement.starts_with(r#"{"Sid":"pool","Effect":"Allow","Principal":{"Service":"cognito-idp.amazonaws.com"},"Action":"lambda:InvokeFunction","Resource":"arn:aws:lambda:"#));
        let twice = server.call("POST", path, body.clone()).await.refusal();
        assert_eq!(
            (twice.0, twice.1.as_str()),
            (409, "ResourceConflictException")
        );
        let latest = server
            .call("POST", &format!("{path}?Qualifier=$LATEST"), body)
            .await
            .refusal();
        assert_eq!(
            latest.2,
            "We currently do not support adding policies for $LATEST."
        );
        let policy = server.call("GET", path, "").await.json();
        assert_eq!(
            policy["Policy"],
            format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{statement}]}}"#)
        );
        assert!(permits(pool).await);
        assert!(!permits(&pool.replace("AbC", "XyZ")).await);
        let stale = server
            .call("DELETE", &format!("{path}/pool?RevisionId=x"), "")
            .await
            .refusal();
        assert_eq!(stale.1, "PreconditionFailedException");
        let revision = policy["RevisionId"].as_str().unwrap();
        let removed = server
            .call("DELETE", &format!("{path}/pool?RevisionId={revision}"), "")
            .await;
        assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.text());
        let again = server
            .call("DELETE", &format!("{path}/pool"), "")
            .await
            .refusal();
        assert_eq!(
            (again.0, again.2.as_str()),
            (404, "Statement pool is not found in resource policy.")
        );
        assert!(!permits(pool).await);
        server.functions.shutdown().await;
    }
}

#[tokio::test]
async fn of_fifty_creators_of_one_name_one_wins() {
    for server in Server::all().await {
        let zip = zip_of(&[("index.js", "exports.handler = async () => 1;")]);
        let all = (0..50).map(|_| server.create("fn", "nodejs20.x", &zip, json!({})));
        let replies = futures_util::future::join_all(all).await;
        let created = replies
            .iter()
            .filter(|reply| reply.status == StatusCode::CREATED)
            .count();
        let refused = replies
            .iter()
            .filter(|reply| reply.status == StatusCode::CONFLICT)
            .count();
        assert_eq!((created, refused), (1, 49));
        assert_eq!(server.invoke("fn", &json!({})).await.json(), 1);
        server.functions.shutdown().await;
    }
}

#[tokio::test]
async fn logs_are_kept_and_paged() {
    for server in Server::all().await {
        server
            .create_node(
                "fn",
                "exports.handler = async (n) => { console.log('number', n); };",
                json!({}),
            )
            .await;
        for number in 0..3 {
            server.invoke("fn", &json!(number)).await;
            server.platform.clock.advance_ms(1);
        }
        server.functions.shutdown().await;
        let organization = &server.organization.id;
        let page = server
            .functions
            .list_logs(organization, "fn", None, 2)
            .await
            .unwrap();
        let rest = server
            .functions
            .list_logs(organization, "fn", Some(&page[1].cursor), 2)
            .await
            .unwrap();
        let mut texts: Vec<&str> = page
            .iter()
            .chain(&rest)
            .map(|entry| entry.text.as_str())
            .collect();
        texts.sort_by_key(|text| {
            text.split("number ")
                .nth(1)
                .map(|rest| rest[..1].to_owned())
        });
        assert_eq!(texts.len(), 3);
        for (number, text) in texts.iter().enumerate() {
            assert!(
                text.contains(&format!("\tINFO\tnumber {number}\n")) && text.contains("REPORT"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn without_node_a_function_is_kept_and_its_invocation_says_what_to_install() {
    let mut server = Server::one().await;
    server.functions.shutdown().await;
    server.functions = Functions::new(
        server.platform.clone(),
        server.accounts.clone(),
        Settings {
            node: Some("/nowhere/node".into()),
            ..settings(server.work_dir.path().to_owned())
        },
    )
    .unwrap();
    server
        .create_node("fn", "exports.handler = async () => 1;", json!({}))
        .await;
    let (status, exception, message) = server.invoke("fn", &json!({})).await.refusal();
    assert_eq!(
        (status, exception.as_str()),
        (502, "InvalidRuntimeException")
    );
    assert!(message.contains("Install Node.js 20"), "{message}");
    server.functions.shutdown().await;
}

#[tokio::test]
async fn after_a_shutdown_nothing_runs_and_nothing_is_started() {
    let server = Server::one().await;
    server
        .create_node(
            "fn",
            "exports.handler = async () => process.pid;",
            json!({}),
        )
        .await;
    let pid = server.invoke("fn", &json!({})).await.json();
    server.functions.shutdown().await;
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    let refused = server
        .functions
        .invoke(&server.organization.id, "fn", Vec::new())
        .await;
    assert!(matches!(
        refused,
        Err(Error::Refusal(Refusal::ShuttingDown))
    ));
}

#[tokio::test]
async fn a_working_directory_has_one_server_which_ends_what_an_earlier_one_left() {
    let mut server = Server::one().await;
    let second = std::panic::catch_unwind(|| {
        start(
            &server.platform,
            &server.accounts,
            server.work_dir.path().to_owned(),
        )
    });
    assert!(second.is_err(), "the folder is in use");
    // As left by a server that was killed: known by where its package is.
    let task_root = server
        .work_dir
        .path()
        .canonicalize()
        .unwrap()
        .join("packages/abc");
    let mut left_over = tokio::process::Command::new("sleep")
        .arg("1000")
        .env("LAMBDA_TASK_ROOT", task_root)
        .process_group(0)
        .spawn()
        .unwrap();
    let mut stranger = tokio::process::Command::new("sleep")
        .arg("1000")
        .env("LAMBDA_TASK_ROOT", "/var/task")
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    server.restart().await;
    assert!(!left_over.wait().await.unwrap().success());
    assert_eq!(
        stranger.try_wait().unwrap(),
        None,
        "somebody else's process goes on"
    );
    server.functions.shutdown().await;
}

#[tokio::test]
async fn a_runtime_ends_when_its_server_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("index.js"),
        "exports.handler = async () => 1;",
    )
    .unwrap();
    let tests = std::env::current_exe().unwrap();
    let echo = tests
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/echo_bootstrap");
    let node = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("node/bootstrap.cjs");
    for (program, argument) in [(echo, None), (PathBuf::from("node"), Some(node))] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut runtime = tokio::process::Command::new(&program)
            .args(argument)
            .env(
                "AWS_LAMBDA_RUNTIME_API",
                listener.local_addr().unwrap().to_string(),
            )
            .env("AWS_LAMBDA_FUNCTION_NAME", "fn")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "g")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "s")
            .env("LAMBDA_TASK_ROOT", folder.path())
            .env("_HANDLER", "index.handler")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        // It asks for an invocation, and the server is killed.
        let (mut asked, _) = listener.accept().await.unwrap();
        let mut question = [0; 1024];
        assert!(asked.read(&mut question).await.unwrap() > 0);
        drop((asked, listener));
        assert!(
            !runtime.wait().await.unwrap().success(),
            "{}",
            program.display()
        );
    }
}
