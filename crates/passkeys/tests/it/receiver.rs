//! A customer's server that gets webhooks: a real one, on a port of its own,
//! which answers as it is told and remembers what came.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Response, StatusCode},
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// What came in one request.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
    pub(crate) body: Value,
}

impl Message {
    pub(crate) fn id(&self) -> String {
        self.header("webhook-id")
    }

    pub(crate) fn event_type(&self) -> String {
        self.body["type"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }
}

/// The server. It goes away when this is dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    messages: watch::Sender<Vec<Message>>,
    answers: Mutex<VecDeque<Response<Body>>>,
    gate: watch::Sender<Gate>,
}

/// Who is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    Everybody,
    /// All but those that came while the gate was closed.
    NewOnes,
    Nobody,
}

impl Receiver {
    /// One that answers 204.
    pub(crate) async fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Receiver::on(listener)
    }

    /// An address where nobody listens now.
    pub(crate) async fn nobody() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    }

    /// One that comes up at an address of [`Receiver::nobody`].
    pub(crate) async fn start_at(address: SocketAddr) -> Receiver {
        Receiver::on(TcpListener::bind(address).await.unwrap())
    }

    fn on(listener: TcpListener) -> Receiver {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            messages: watch::Sender::new(Vec::new()),
            answers: Mutex::default(),
            gate: watch::Sender::new(Gate::Everybody),
        });
        let router = Router::new()
            .fallback(receive)
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Receiver {
            address,
            shared,
            server,
        }
    }

    pub(crate) fn url(&self) -> String {
        url(self.address)
    }

    /// Answers the next request not yet answered with this, and the ones after as before.
    pub(crate) fn answer(&self, status: u16, headers: &[(&str, &str)]) {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let response = response.body(Body::empty()).unwrap();
        self.shared.answers.lock().unwrap().push_back(response);
    }

    /// Takes requests and answers none until [`Receiver::release`].
    pub(crate) fn hold(&self) {
        self.shared.gate.send_replace(Gate::Nobody);
    }

    /// Answers again what comes from now on, and not yet what is held.
    pub(crate) fn let_new_ones_pass(&self) {
        self.shared.gate.send_replace(Gate::NewOnes);
    }

    pub(crate) fn release(&self) {
        self.shared.gate.send_replace(Gate::Everybody);
    }

    /// Everything that came, in the order in which it came.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.shared.messages.borrow().clone()
    }

    /// Waits until this many have come in all.
    pub(crate) async fn came(&self, number: usize) {
        let mut messages = self.shared.messages.subscribe();
        messages
            .wait_for(|messages| messages.len() >= number)
            .await
            .unwrap();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{address}/hook")
}

async fn receive(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    let mut gate = shared.gate.subscribe();
    let is_held = *gate.borrow() == Gate::Nobody;
    let message = Message {
        headers,
        body: serde_json::from_slice(&bytes).unwrap(),
        bytes,
    };
    shared
        .messages
        .send_modify(|messages| messages.push(message));
    if is_held {
        gate.wait_for(|gate| *gate == Gate::Everybody)
            .await
            .unwrap();
    }
    let answer = shared.answers.lock().unwrap().pop_front();
    answer.unwrap_or_else(|| {
        Response::builder()
            .status(StatusCode::NO_CONTENT)
            .body(Body::empty())
            .unwrap()
    })
}
