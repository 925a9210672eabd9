//! The Runtime API: what the process of one instance talks to (lambda.md §8). Each instance has a
//! listener of its own on loopback, so a process cannot take part in another one's invocations by
//! naming its id.
//!
//! The listener also turns away connections of anybody else: ports of loopback can be tried out by
//! every process of the host.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::Listener,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use crate::{
    exchange::{Dispatch, Exchange, ExchangeDenial},
    invocations::{ANSWER_BYTES_MAX, Failure},
};

/// Answers one instance until the task is ended.
pub(crate) async fn serve(listener: TcpListener, exchange: Arc<Exchange>, owner: Owner) {
    let routes = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route(
            "/2018-06-01/runtime/invocation/{id}/response",
            post(response),
        )
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .with_state(exchange);
    let listener = OwnListener { listener, owner };
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!(%error, "serving a Runtime API");
    }
}

async fn next(State(exchange): State<Arc<Exchange>>) -> Response {
    let asked = match exchange.next() {
        Ok(asked) => asked,
        Err(denial) => return refuse(denial),
    };
    match asked.await {
        Ok(dispatch) => invocation(&dispatch),
        // A later question took the place of this one.
        Err(_) => refuse(ExchangeDenial::InvalidTransition),
    }
}

fn invocation(dispatch: &Dispatch) -> Response {
    let invocation = &dispatch.invocation;
    let mut response = Response::new(Body::from(invocation.payload.clone()));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    let deadline_ms = dispatch.deadline_ms.to_string();
    for (name, value) in [
        ("lambda-runtime-aws-request-id", Some(&invocation.id)),
        ("lambda-runtime-deadline-ms", Some(&deadline_ms)),
        (
            "lambda-runtime-invoked-function-arn",
            Some(&invocation.function_arn),
        ),
        ("lambda-runtime-trace-id", Some(&invocation.trace_id)),
        (
            "lambda-runtime-client-context",
            invocation.client_context.as_ref(),
        ),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    response
}

async fn response(
    State(exchange): State<Arc<Exchange>>,
    Path(id): Path<String>,
    body: Body,
) -> Response {
    let answered = match read(body).await {
        Read::Whole(body) => exchange.answer(&id, Ok(body)).map(|()| accepted()),
        Read::TooLarge => exchange
            .answer(&id, Err(Failure::AnswerTooLarge))
            .map(|()| too_large()),
        Read::Broken => return StatusCode::BAD_REQUEST.into_response(),
    };
    answered.unwrap_or_else(refuse)
}

async fn error(
    State(exchange): State<Arc<Exchange>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let failure = match read(body).await {
        Read::Whole(body) => Failure::Reported(error_body(&headers, body)),
        Read::TooLarge => Failure::AnswerTooLarge,
        Read::Broken => return StatusCode::BAD_REQUEST.into_response(),
    };
    match exchange.answer(&id, Err(failure)) {
        Ok(()) => accepted(),
        Err(denial) => refuse(denial),
    }
}

async fn init_error(
    State(exchange): State<Arc<Exchange>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Read::Whole(body) = read(body).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match exchange.fail_init(error_body(&headers, body)) {
        Ok(()) => accepted(),
        Err(denial) => refuse(denial),
    }
}

/// What a runtime says about a failure is the caller's unchanged. A runtime that says nothing but
/// the type in the header still gives the caller an error object.
fn error_body(headers: &HeaderMap, body: Bytes) -> Bytes {
    if !body.is_empty() {
        return body;
    }
    let error_type = headers
        .get("lambda-runtime-function-error-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or("Unhandled");
    Bytes::from(json!({ "errorType": error_type, "errorMessage": "" }).to_string())
}

enum Read {
    Whole(Bytes),
    TooLarge,
    Broken,
}

/// Reads a body whole, also one that is too large: a client that is cut off while it is writing
/// never sees the answer that tells it why. The invocation's deadline bounds the time.
async fn read(body: Body) -> Read {
    let mut parts = body.into_data_stream();
    let mut whole = BytesMut::new();
    let mut is_too_large = false;
    while let Some(part) = parts.next().await {
        let Ok(part) = part else {
            return Read::Broken;
        };
        is_too_large |= whole.len() + part.len() > ANSWER_BYTES_MAX;
        if !is_too_large {
            whole.extend_from_slice(&part);
        }
    }
    if is_too_large {
        Read::TooLarge
    } else {
        Read::Whole(whole.freeze())
    }
}

fn accepted() -> Response {
    (
        StatusCode::ACCEPTED,
        [(header::CONTENT_TYPE, "application/json")],
        r#"{"status":"OK"}"#,
    )
        .into_response()
}

fn too_large() -> Response {
    let message = format!("Exceeded maximum allowed payload size ({ANSWER_BYTES_MAX} bytes).");
    problem(
        StatusCode::PAYLOAD_TOO_LARGE,
        "RequestEntityTooLarge",
        &message,
    )
}

fn refuse(denial: ExchangeDenial) -> Response {
    match denial {
        ExchangeDenial::InvalidRequestId => problem(
            StatusCode::BAD_REQUEST,
            "InvalidRequestID",
            "Invalid request ID",
        ),
        ExchangeDenial::InvalidTransition => problem(
            StatusCode::FORBIDDEN,
            "InvalidStateTransition",
            "The call does not fit the state of this environment",
        ),
    }
}

fn problem(status: StatusCode, error_type: &str, message: &str) -> Response {
    let body = json!({ "errorMessage": message, "errorType": error_type }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A listener that serves the connections of one instance only.
struct OwnListener {
    listener: TcpListener,
    owner: Owner,
}

/// Whose connections are an instance's own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner {
    /// Those of this user, which no other instance has.
    User(u32),
    /// Those of the processes in this group, where instances have the server's user.
    Group(i32),
}

impl Listener for OwnListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            let own = self.listener.local_addr();
            if own.is_ok_and(|own| is_connection_of(self.owner, peer, own)) {
                // An answer is one small packet that must not wait for another.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            tracing::warn!(%peer, "a stranger's connection to a Runtime API was refused");
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Whether the socket at the other end of a loopback connection is the owner's. The kernel's tables
/// say so; they are read once for each connection, and runtimes keep theirs.
fn is_connection_of(owner: Owner, peer: SocketAddr, own: SocketAddr) -> bool {
    let Some(socket) = fs::read_to_string("/proc/net/tcp")
        .ok()
        .and_then(|table| find_socket(&table, peer.port(), own.port()))
    else {
        return false;
    };
    match owner {
        Owner::User(user) => socket.user == user,
        Owner::Group(group) => {
            let leader = PathBuf::from(format!("/proc/{group}"));
            // Nearly always it is the leader's, and the others need not be looked at.
            holds(&leader, socket.inode)
                || fs::read_dir("/proc").is_ok_and(|processes| {
                    processes
                        .flatten()
                        .map(|process| process.path())
                        .any(|process| {
                            group_of(&process) == Some(group) && holds(&process, socket.inode)
                        })
                })
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Socket {
    user: u32,
    inode: u64,
}

/// The loopback socket that is bound to the port `from` and connected to the port `to`.
fn find_socket(table: &str, from: u16, to: u16) -> Option<Socket> {
    let from = format!("0100007F:{from:04X}");
    let to = format!("0100007F:{to:04X}");
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Number, both addresses, state, queues, timer, retransmissions, user, time-out, inode.
        let [_, local, remote, _, _, _, _, user, _, inode, ..] = fields[..] else {
            return None;
        };
        let socket = Socket {
            user: user.parse().ok()?,
            inode: inode.parse().ok()?,
        };
        (local == from && remote == to).then_some(socket)
    })
}

/// Whether the process with this folder of the kernel's has the socket open.
fn holds(process: &FilePath, inode: u64) -> bool {
    let socket = PathBuf::from(format!("socket:[{inode}]"));
    fs::read_dir(process.join("fd")).is_ok_and(|files| {
        files
            .flatten()
            .any(|file| fs::read_link(file.path()).is_ok_and(|target| target == socket))
    })
}

/// The process group: the third field after the name, which may hold anything but ends in the last
/// closing parenthesis.
fn group_of(process: &FilePath) -> Option<i32> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1111 1
   1: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000 1900000007        0 2222 1
   2: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 3333 1
";

    #[test]
    fn a_connection_is_found_by_its_far_end() {
        let socket = |user, inode| Some(Socket { user, inode });
        assert_eq!(
            find_socket(TABLE, 50_000, 8080),
            socket(1_900_000_007, 2222)
        );
        assert_eq!(find_socket(TABLE, 8080, 50_000), socket(0, 3333));
        assert_eq!(find_socket(TABLE, 50_001, 8080), None);
        assert_eq!(find_socket("", 1, 2), None);
    }

    #[tokio::test]
    async fn a_connection_belongs_to_the_user_and_group_that_opened_it() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own = listener.local_addr().unwrap();
        let stream = TcpStream::connect(own).await.unwrap();
        let peer = stream.local_addr().unwrap();
        let user = rustix::process::geteuid().as_raw();
        let group = rustix::process::getpgrp().as_raw_nonzero().get();
        assert!(is_connection_of(Owner::User(user), peer, own));
        assert!(!is_connection_of(Owner::User(user + 1), peer, own));
        assert!(is_connection_of(Owner::Group(group), peer, own));
        // The first process is never of a test's group.
        assert!(!is_connection_of(Owner::Group(1), peer, own));
    }
}
