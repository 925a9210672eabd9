//! The floor: the ceremonies of the Passkey Flex contract, doing only what nobody can skip.
//!
//! Each request is parsed and answered as JSON; an authentication verifies one P-256 signature; each finished
//! ceremony commits once to SQLite in WAL mode. Everything else that Claviger does is deliberately left out: what
//! lies between two requests is kept in memory, nothing is checked twice, no event is recorded, nothing is logged,
//! there is one app, and a commit is not synced. So nobody should run this; it says what the rest costs.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;
use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
    signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey},
};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    routing::post,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clap::Parser;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

/// The same as Claviger's, so that the ratio tells nothing about allocators.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The floor of the Flex ceremonies.
#[derive(Parser)]
struct Cli {
    /// Port to listen on
    #[arg(long)]
    port: u16,
    /// The database, made anew
    #[arg(long)]
    database: PathBuf,
    /// What servers have to show
    #[arg(long)]
    api_key: String,
    /// The RP ID
    #[arg(long)]
    rp_id: String,
    /// The one origin of pages
    #[arg(long)]
    origin: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let database = Connection::open(&cli.database)?;
    database.pragma_update(None, "journal_mode", "wal")?;
    database.pragma_update(None, "synchronous", "normal")?;
    database.execute_batch(
        "CREATE TABLE devices (
            credential_id BLOB PRIMARY KEY,
            external_id TEXT NOT NULL,
            public_key BLOB NOT NULL,
            sign_count INTEGER NOT NULL
         );
         CREATE INDEX devices_of_user ON devices (external_id);",
    )?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", cli.port)).await?;
    let floor = Arc::new(Floor {
        authorization: format!("Bearer {}", cli.api_key),
        rp_id_hash: digest(&SHA256, cli.rp_id.as_bytes()).as_ref().to_vec(),
        cli,
        database: Mutex::new(database),
        open: Mutex::default(),
        nonces: Mutex::default(),
    });
    let router = Router::new()
        .route("/v1/apps/{app_id}/transactions/register", post(create))
        .route("/v1/apps/{app_id}/transactions/authenticate", post(create))
        .route("/v1/apps/{app_id}/authenticate/verify", post(verify))
        .route(
            "/v1/apps/{app_id}/register/transactions/webauthn/start",
            post(start_registration),
        )
        .route(
            "/v1/apps/{app_id}/register/transactions/webauthn/finish",
            post(finish_registration),
        )
        .route(
            "/v1/apps/{app_id}/authenticate/transactions/webauthn/start",
            post(start_authentication),
        )
        .route(
            "/v1/apps/{app_id}/authenticate/transactions/webauthn/finish",
            post(finish_authentication),
        )
        .with_state(floor);
    axum::serve(listener, router).await?;
    Ok(())
}

struct Floor {
    cli: Cli,
    authorization: String,
    rp_id_hash: Vec<u8>,
    database: Mutex<Connection>,
    /// By transaction id.
    open: Mutex<HashMap<String, Open>>,
    /// External ids by nonce.
    nonces: Mutex<HashMap<String, String>>,
}

/// A transaction and its newest challenge.
struct Open {
    external_id: String,
    challenge: String,
}

/// Why a request is refused; the floor has no more to say about it.
struct Refused(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Refused {
    fn from(error: E) -> Refused {
        Refused(error.into())
    }
}

impl axum::response::IntoResponse for Refused {
    fn into_response(self) -> axum::response::Response {
        (StatusCode::BAD_REQUEST, self.0.to_string()).into_response()
    }
}

type Answer<T> = Result<Json<T>, Refused>;

#[derive(Deserialize)]
struct Create {
    external_id: String,
}

#[derive(Serialize)]
struct Created {
    transaction_id: String,
}

async fn create(
    State(floor): State<Arc<Floor>>,
    headers: HeaderMap,
    Json(body): Json<Create>,
) -> Answer<Created> {
    floor.authorize(&headers)?;
    let transaction_id = random();
    let open = Open {
        external_id: body.external_id,
        challenge: String::new(),
    };
    locked(&floor.open).insert(transaction_id.clone(), open);
    Ok(Json(Created { transaction_id }))
}

#[derive(Deserialize)]
struct Start {
    transaction_id: String,
}

#[derive(Serialize)]
struct Started<K> {
    handshake: Handshake<K>,
    transaction_id: String,
}

#[derive(Serialize)]
struct Handshake<K> {
    id: String,
    challenge: Challenge<K>,
}

#[derive(Serialize)]
struct Challenge<K> {
    #[serde(rename = "publicKey")]
    public_key: K,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreationOptions {
    challenge: String,
    rp: Rp,
    user: User,
    pub_key_cred_params: [Parameter; 1],
}

#[derive(Serialize)]
struct Rp {
    id: String,
}

#[derive(Serialize)]
struct User {
    id: String,
    name: String,
}

#[derive(Serialize)]
struct Parameter {
    r#type: &'static str,
    alg: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestOptions {
    challenge: String,
    rp_id: String,
    allow_credentials: Vec<Descriptor>,
}

#[derive(Serialize)]
struct Descriptor {
    r#type: &'static str,
    id: String,
}

async fn start_registration(
    State(floor): State<Arc<Floor>>,
    Json(body): Json<Start>,
) -> Answer<Started<CreationOptions>> {
    let (external_id, challenge) = floor.challenge(&body.transaction_id)?;
    Ok(Json(Started::new(
        body.transaction_id,
        CreationOptions {
            challenge,
            rp: Rp {
                id: floor.cli.rp_id.clone(),
            },
            user: User {
                id: BASE64_URL_SAFE_NO_PAD.encode(&external_id),
                name: external_id,
            },
            pub_key_cred_params: [Parameter {
                r#type: "public-key",
                alg: -7,
            }],
        },
    )))
}

async fn start_authentication(
    State(floor): State<Arc<Floor>>,
    Json(body): Json<Start>,
) -> Answer<Started<RequestOptions>> {
    let (external_id, challenge) = floor.challenge(&body.transaction_id)?;
    let credentials = locked(&floor.database)
        .prepare_cached("SELECT credential_id FROM devices WHERE external_id = ?1")?
        .query_map([&external_id], |row| row.get::<_, Vec<u8>>(0))?
        .map(|id| {
            Ok(Descriptor {
                r#type: "public-key",
                id: BASE64_URL_SAFE_NO_PAD.encode(id?),
            })
        })
        .collect::<rusqlite::Result<_>>()?;
    Ok(Json(Started::new(
        body.transaction_id,
        RequestOptions {
            challenge,
            rp_id: floor.cli.rp_id.clone(),
            allow_credentials: credentials,
        },
    )))
}

#[derive(Deserialize)]
struct Finish<R> {
    transaction_id: String,
    handshake_response: Credential<R>,
}

#[derive(Deserialize)]
struct Credential<R> {
    id: String,
    response: R,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attestation {
    #[serde(rename = "clientDataJSON")]
    client_data_json: String,
    attestation_object: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assertion {
    #[serde(rename = "clientDataJSON")]
    client_data_json: String,
    authenticator_data: String,
    signature: String,
}

#[derive(Deserialize)]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
}

#[derive(Serialize)]
struct Finished {
    nonce: String,
}

async fn finish_registration(
    State(floor): State<Arc<Floor>>,
    Json(body): Json<Finish<Attestation>>,
) -> Answer<Finished> {
    let open = floor.take(&body.transaction_id)?;
    let response = body.handshake_response.response;
    let client_data = BASE64_URL_SAFE_NO_PAD.decode(&response.client_data_json)?;
    floor.check_client_data(&client_data, "webauthn.create", &open)?;
    let object = BASE64_URL_SAFE_NO_PAD.decode(&response.attestation_object)?;
    let data = authenticator_data(&object)?;
    floor.check_rp_id(data)?;
    let (credential_id, public_key) = attested(data).context("attested credential")?;
    locked(&floor.database)
        .prepare_cached(
            "INSERT INTO devices (credential_id, external_id, public_key, sign_count)
             VALUES (?1, ?2, ?3, 0)",
        )?
        .execute(params![credential_id, &open.external_id, public_key])?;
    Ok(floor.issue(open.external_id))
}

async fn finish_authentication(
    State(floor): State<Arc<Floor>>,
    Json(body): Json<Finish<Assertion>>,
) -> Answer<Finished> {
    let open = floor.take(&body.transaction_id)?;
    let credential_id = BASE64_URL_SAFE_NO_PAD.decode(&body.handshake_response.id)?;
    let response = body.handshake_response.response;
    let client_data = BASE64_URL_SAFE_NO_PAD.decode(&response.client_data_json)?;
    floor.check_client_data(&client_data, "webauthn.get", &open)?;
    let mut signed = BASE64_URL_SAFE_NO_PAD.decode(&response.authenticator_data)?;
    floor.check_rp_id(&signed)?;
    let sign_count = signed
        .get(33..37)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_be_bytes)
        .context("a counter")?;
    let public_key: Vec<u8> = locked(&floor.database)
        .prepare_cached(
            "SELECT public_key FROM devices WHERE credential_id = ?1 AND external_id = ?2",
        )?
        .query_row(params![credential_id, open.external_id], |row| row.get(0))?;
    signed.extend_from_slice(digest(&SHA256, &client_data).as_ref());
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public_key)
        .verify(
            &signed,
            &BASE64_URL_SAFE_NO_PAD.decode(&response.signature)?,
        )
        .map_err(|_| anyhow::anyhow!("the signature"))?;
    locked(&floor.database)
        .prepare_cached("UPDATE devices SET sign_count = ?2 WHERE credential_id = ?1")?
        .execute(params![credential_id, sign_count])?;
    Ok(floor.issue(open.external_id))
}

#[derive(Deserialize)]
struct Verify {
    nonce: String,
}

#[derive(Serialize)]
struct Verified {
    external_id: String,
}

async fn verify(
    State(floor): State<Arc<Floor>>,
    headers: HeaderMap,
    Json(body): Json<Verify>,
) -> Answer<Verified> {
    floor.authorize(&headers)?;
    let external_id = locked(&floor.nonces)
        .remove(&body.nonce)
        .context("an unknown nonce")?;
    Ok(Json(Verified { external_id }))
}

impl Floor {
    fn authorize(&self, headers: &HeaderMap) -> anyhow::Result<()> {
        let shown = headers.get(AUTHORIZATION).context("no API key")?;
        anyhow::ensure!(shown == self.authorization.as_str(), "the API key");
        Ok(())
    }

    fn challenge(&self, transaction_id: &str) -> anyhow::Result<(String, String)> {
        let mut open = locked(&self.open);
        let open = open.get_mut(transaction_id).context("no transaction")?;
        open.challenge = random();
        Ok((open.external_id.clone(), open.challenge.clone()))
    }

    fn take(&self, transaction_id: &str) -> anyhow::Result<Open> {
        locked(&self.open)
            .remove(transaction_id)
            .context("no transaction")
    }

    fn check_client_data(&self, json: &[u8], kind: &str, open: &Open) -> anyhow::Result<()> {
        let client_data: ClientData = serde_json::from_slice(json)?;
        anyhow::ensure!(
            client_data.r#type == kind
                && client_data.challenge == open.challenge
                && client_data.origin == self.cli.origin,
            "the client data"
        );
        Ok(())
    }

    fn check_rp_id(&self, authenticator_data: &[u8]) -> anyhow::Result<()> {
        anyhow::ensure!(
            authenticator_data.get(..32) == Some(&self.rp_id_hash),
            "the RP ID"
        );
        Ok(())
    }

    fn issue(&self, external_id: String) -> Json<Finished> {
        let nonce = random();
        locked(&self.nonces).insert(nonce.clone(), external_id);
        Json(Finished { nonce })
    }
}

impl<K> Started<K> {
    fn new(transaction_id: String, public_key: K) -> Started<K> {
        Started {
            handshake: Handshake {
                id: random(),
                challenge: Challenge { public_key },
            },
            transaction_id,
        }
    }
}

/// `authData` of an attestation object.
fn authenticator_data(object: &[u8]) -> anyhow::Result<&[u8]> {
    let mut decoder = minicbor::Decoder::new(object);
    for _ in 0..decoder.map()?.context("a map")? {
        if decoder.str()? == "authData" {
            return Ok(decoder.bytes()?);
        }
        decoder.skip()?;
    }
    anyhow::bail!("no authData")
}

/// Credential id and P-256 public key (as an uncompressed point) of authenticator data.
fn attested(data: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let rest = data.get(37 + 16..)?;
    let (length, rest) = rest.split_at_checked(2)?;
    let length = u16::from_be_bytes(length.try_into().ok()?);
    let (id, key) = rest.split_at_checked(length.into())?;
    let mut decoder = minicbor::Decoder::new(key);
    let mut point = vec![4];
    for _ in 0..decoder.map().ok()?? {
        // The coordinates have the labels -2 and -3, in this order.
        match decoder.i64().ok()? {
            -2 | -3 => point.extend_from_slice(decoder.bytes().ok()?),
            _ => decoder.skip().ok()?,
        }
    }
    (point.len() == 65).then_some((id, point))
}

/// 32 random bytes in base64url.
fn random() -> String {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the operating system's random number generator works");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
