//! The load: virtual users with an authenticator each, who register and sign in the way browsers and customers'
//! servers do, one ceremony after the other on each connection.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Bytes, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::LocalSet};
use webauthn::{Algorithm, forge::Authenticator};

use crate::server::{ORIGIN, Server};

/// The two things that a user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ceremony {
    /// Create a register transaction, start, finish, verify the nonce.
    Registration,
    /// Create an authenticate transaction, start, finish, verify the nonce.
    SignIn,
}

/// A user of a server, with a passkey.
pub(crate) struct User {
    external_id: String,
    authenticator: Authenticator,
}

impl User {
    /// A user nobody has seen before.
    pub(crate) fn new(number: usize) -> User {
        let external_id = format!("user-{number:08}");
        User {
            // A security key: its counter grows, so each sign-in has something new to store.
            authenticator: Authenticator::security_key(Algorithm::Es256, &external_id),
            external_id,
        }
    }
}

/// What a run of ceremonies took.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// CPU of the server for each ceremony.
    pub(crate) cpu_each: Duration,
    /// Ceremonies a second, by the clock on the wall.
    pub(crate) rate: f64,
    /// How long each ceremony took, the shortest first.
    pub(crate) latencies: Vec<Duration>,
}

impl Run {
    /// The latency that the share `percentile` of all ceremonies did not exceed.
    pub(crate) fn latency(&self, percentile: usize) -> Duration {
        self.latencies[(self.latencies.len() - 1) * percentile / 100]
    }
}

/// Runs one ceremony for each of `users`, over `connections` at once.
pub(crate) async fn run(
    server: &Server,
    ceremony: Ceremony,
    users: &mut Vec<User>,
    connections: usize,
) -> anyhow::Result<Run> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(Client::connect(server).await?);
    }
    let count = users.len();
    let waiting = Rc::new(RefCell::new(std::mem::take(users)));
    let done = Rc::new(RefCell::new(Vec::with_capacity(count)));
    let cpu_before = server.cpu()?;
    let began = Instant::now();
    let local = LocalSet::new();
    let workers: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let (waiting, done) = (Rc::clone(&waiting), Rc::clone(&done));
            local.spawn_local(async move {
                loop {
                    let Some(mut user) = waiting.borrow_mut().pop() else {
                        return anyhow::Ok(());
                    };
                    let began = Instant::now();
                    client.run(ceremony, &mut user).await?;
                    done.borrow_mut().push((began.elapsed(), user));
                }
            })
        })
        .collect();
    local
        .run_until(async {
            for worker in workers {
                worker.await??;
            }
            anyhow::Ok(())
        })
        .await?;
    let wall = began.elapsed();
    let cpu = server.cpu()? - cpu_before;
    let (mut latencies, done): (Vec<Duration>, Vec<User>) = done.take().into_iter().unzip();
    *users = done;
    latencies.sort_unstable();
    Ok(Run {
        cpu_each: cpu / u32::try_from(count)?,
        rate: count as f64 / wall.as_secs_f64(),
        latencies,
    })
}

/// One connection to a server.
struct Client {
    sender: SendRequest<Full<Bytes>>,
    base: String,
    host: String,
    authorization: String,
}

impl Client {
    async fn connect(server: &Server) -> anyhow::Result<Client> {
        let stream = TcpStream::connect(server.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Client {
            sender,
            base: format!("/v1/apps/{}", server.app_id),
            host: server.address.to_string(),
            authorization: format!("Bearer {}", server.api_key),
        })
    }

    async fn run(&mut self, ceremony: Ceremony, user: &mut User) -> anyhow::Result<()> {
        let nonce = match ceremony {
            Ceremony::Registration => self.register(user).await?,
            Ceremony::SignIn => self.authenticate(user).await?,
        };
        let verified = self
            .post("/authenticate/verify", true, &json!({"nonce": nonce}))
            .await?;
        if verified["external_id"] != user.external_id {
            bail!("{} became {verified}", user.external_id);
        }
        Ok(())
    }

    async fn register(&mut self, user: &mut User) -> anyhow::Result<String> {
        let permitted = json!({
            "external_id": user.external_id,
            "passkey_display_name": user.external_id,
        });
        let created = self
            .post("/transactions/register", true, &permitted)
            .await?;
        let started = self
            .post("/register/transactions/webauthn/start", false, &created)
            .await?;
        let options = &started["handshake"]["challenge"]["publicKey"];
        let response = user.authenticator.create(options, ORIGIN).json();
        self.finish("/register/transactions/webauthn/finish", &started, response)
            .await
    }

    async fn authenticate(&mut self, user: &mut User) -> anyhow::Result<String> {
        let permitted = json!({"external_id": user.external_id});
        let created = self
            .post("/transactions/authenticate", true, &permitted)
            .await?;
        let started = self
            .post("/authenticate/transactions/webauthn/start", false, &created)
            .await?;
        let options = &started["handshake"]["challenge"]["publicKey"];
        let response = user.authenticator.get(options, ORIGIN).json();
        self.finish(
            "/authenticate/transactions/webauthn/finish",
            &started,
            response,
        )
        .await
    }

    async fn finish(
        &mut self,
        path: &str,
        started: &Value,
        response: Value,
    ) -> anyhow::Result<String> {
        let body = json!({
            "handshake_id": started["handshake"]["id"],
            "transaction_id": started["transaction_id"],
            "handshake_response": response,
        });
        let finished = self.post(path, false, &body).await?;
        Ok(finished["nonce"].as_str().context("no nonce")?.to_owned())
    }

    /// Posts JSON as a customer's server does (with its API key) or as a page does (with its origin).
    async fn post(&mut self, path: &str, is_server: bool, body: &Value) -> anyhow::Result<Value> {
        let mut request = Request::post(format!("{}{path}", self.base))
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/json");
        request = if is_server {
            request.header(header::AUTHORIZATION, &self.authorization)
        } else {
            request
                .header(header::ORIGIN, ORIGIN)
                .header(header::USER_AGENT, USER_AGENT)
        };
        let request = request.body(Full::new(Bytes::from(body.to_string())))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{path}: {status} {}", String::from_utf8_lossy(&bytes));
        }
        Ok(serde_json::from_slice(&bytes)?)
    }
}

const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                          Chrome/141.0.0.0 Safari/537.36";
