//! A person with an authenticator, as seen by the passkey service: what the
//! customer's server and the browser SDK do together.

use serde_json::{Value, json};
use webauthn::{
    Algorithm,
    forge::{Authenticator, ForgedAuthentication, ForgedRegistration},
};

use crate::{
    Server,
    server::{App, ORIGIN},
};

/// Somebody with one authenticator.
pub struct Person {
    /// As the customer knows them.
    pub external_id: String,
    /// What they sign with; every field can be made wrong.
    pub authenticator: Authenticator,
}

/// A ceremony that was started.
pub struct Started {
    /// The id of the handshake.
    pub handshake_id: String,
    /// The transaction, if there is one.
    pub transaction_id: Option<String>,
    /// What `navigator.credentials` would get.
    pub options: Value,
}

impl Person {
    /// A person whose authenticator makes ES256 keys.
    pub fn new(external_id: &str) -> Person {
        Person {
            external_id: external_id.to_owned(),
            authenticator: Authenticator::new(Algorithm::Es256, external_id),
        }
    }

    /// Makes a passkey; gives the nonce.
    pub async fn register(&mut self, server: &Server, app: &App) -> String {
        let transaction_id = register_transaction(server, app, &self.external_id).await;
        self.register_with(server, app, &transaction_id).await
    }

    /// Makes a passkey with a transaction from elsewhere; gives the nonce.
    pub async fn register_with(
        &mut self,
        server: &Server,
        app: &App,
        transaction_id: &str,
    ) -> String {
        let started = start_registration(server, app, transaction_id).await;
        let response = self.authenticator.create(&started.options, ORIGIN);
        let (status, answer) = finish_registration(server, app, &started, &response).await;
        assert_eq!(status, 200, "{answer}");
        text(&answer["nonce"])
    }

    /// Signs in by transaction; gives the nonce.
    pub async fn authenticate(&mut self, server: &Server, app: &App) -> String {
        let transaction_id = authenticate_transaction(server, app, &self.external_id).await;
        self.authenticate_with(server, app, &transaction_id).await
    }

    /// Signs in with a transaction from elsewhere; gives the nonce.
    pub async fn authenticate_with(
        &mut self,
        server: &Server,
        app: &App,
        transaction_id: &str,
    ) -> String {
        let started = start_authentication(server, app, Some(transaction_id)).await;
        let response = self.authenticator.get(&started.options, ORIGIN);
        let (status, answer) = finish_authentication(server, app, &started, &response).await;
        assert_eq!(status, 200, "{answer}");
        text(&answer["nonce"])
    }

    /// Makes a register transaction and starts its ceremony.
    pub async fn start_registration(&self, server: &Server, app: &App) -> Started {
        let transaction_id = register_transaction(server, app, &self.external_id).await;
        start_registration(server, app, &transaction_id).await
    }
}

impl Started {
    fn read(answer: &Value, transaction_id: Option<String>) -> Started {
        Started {
            handshake_id: text(&answer["handshake"]["id"]),
            transaction_id,
            options: answer["handshake"]["challenge"]["publicKey"].clone(),
        }
    }

    fn finish(&self, response: Value) -> Value {
        let mut body = json!({
            "handshake_id": self.handshake_id,
            "handshake_response": response,
        });
        if let Some(transaction_id) = &self.transaction_id {
            body["transaction_id"] = transaction_id.clone().into();
        }
        body
    }
}

/// Makes a register transaction; gives its id.
pub async fn register_transaction(server: &Server, app: &App, external_id: &str) -> String {
    let (status, answer) = server
        .manage(
            app,
            "/transactions/register",
            json!({"external_id": external_id, "passkey_display_name": external_id}),
        )
        .await;
    assert_eq!(status, 201, "{answer}");
    text(&answer["transaction_id"])
}

/// Makes an authenticate transaction; gives its id.
pub async fn authenticate_transaction(server: &Server, app: &App, external_id: &str) -> String {
    let (status, answer) = server
        .manage(
            app,
            "/transactions/authenticate",
            json!({"external_id": external_id}),
        )
        .await;
    assert_eq!(status, 201, "{answer}");
    text(&answer["transaction_id"])
}

/// Starts a registration.
pub async fn start_registration(server: &Server, app: &App, transaction_id: &str) -> Started {
    let (status, answer) = server
        .browse(
            app,
            "/register/transactions/webauthn/start",
            json!({"transaction_id": transaction_id}),
        )
        .await;
    assert_eq!(status, 200, "{answer}");
    Started::read(&answer, Some(transaction_id.to_owned()))
}

/// Starts an authentication, discoverable without a transaction.
pub async fn start_authentication(
    server: &Server,
    app: &App,
    transaction_id: Option<&str>,
) -> Started {
    let body = transaction_id.map_or(json!({}), |id| json!({"transaction_id": id}));
    let (status, answer) = server
        .browse(app, "/authenticate/transactions/webauthn/start", body)
        .await;
    assert_eq!(status, 200, "{answer}");
    Started::read(&answer, transaction_id.map(str::to_owned))
}

/// Posts what the authenticator made of a registration.
pub async fn finish_registration(
    server: &Server,
    app: &App,
    started: &Started,
    response: &ForgedRegistration,
) -> (u16, Value) {
    let body = started.finish(response.json());
    server
        .browse(app, "/register/transactions/webauthn/finish", body)
        .await
}

/// Posts what the authenticator made of an authentication.
pub async fn finish_authentication(
    server: &Server,
    app: &App,
    started: &Started,
    response: &ForgedAuthentication,
) -> (u16, Value) {
    let body = started.finish(response.json());
    server
        .browse(app, "/authenticate/transactions/webauthn/finish", body)
        .await
}

/// Exchanges a nonce as the customer's server does.
pub async fn verify(server: &Server, app: &App, nonce: &str) -> (u16, Value) {
    server
        .manage(app, "/authenticate/verify", json!({"nonce": nonce}))
        .await
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
