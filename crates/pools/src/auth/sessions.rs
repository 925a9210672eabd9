//! The `Session` text: what a sign-in remembers between two requests (`cognito.md` §6.3).
//!
//! The text is a random handle; the row is found by its hash, so who reads the database cannot go
//! on with anybody's sign-in. A session is taken by one conditional statement: of two answers to
//! the same challenge one is looked at.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL};
use platform::{Fault, values};
use serde::{Deserialize, Serialize};

use crate::{Contact, Error, SessionDenial, UserPools, app_clients::AppClient, auth::machine};

/// As long as the texts of the real service are wide, and far beyond guessing.
const SESSION_LENGTH: usize = 128;
/// A sign-in between two requests.
#[derive(Serialize, Deserialize)]
pub(crate) struct SessionState {
    pub(crate) subject: SessionSubject,
    pub(crate) challenge: Challenge,
}

/// Who is signing in.
#[derive(Serialize, Deserialize)]
pub(crate) enum SessionSubject {
    /// A user, and the kind of address that named the user.
    User { sub: String, alias: Option<Contact> },
    /// A name that nobody has, at a client that hides this.
    Nobody { name: String },
}

/// What the client was asked.
#[derive(Serialize, Deserialize)]
pub(crate) enum Challenge {
    /// `CUSTOM_CHALLENGE`.
    Custom(machine::State),
    /// `NEW_PASSWORD_REQUIRED`.
    NewPassword,
}

/// A session that was found and can still be taken.
pub(crate) struct FoundSession {
    hash: [u8; 32],
    pub(crate) state: SessionState,
}

impl UserPools {
    /// Keeps the state for one answer and gives the `Session` text.
    pub(crate) async fn store_session(
        &self,
        client: &AppClient,
        state: &SessionState,
    ) -> Result<String, Error> {
        let session = self.0.platform.entropy.alphanumeric(SESSION_LENGTH);
        let hash = self.session_hash(&session);
        let state = serde_json::to_vec(state)
            .map_err(|error| Fault::while_doing("writing an auth session", error))?;
        let sealed = self.0.platform.vault.seal(&purpose(&hash), &state)?;
        let client_id = client.id.clone();
        let expires_at_ms =
            self.0.platform.clock.now_ms() + client.configuration.auth_session_lifetime_ms();
        self.0
            .platform
            .db
            .write(async move |tx| {
                tx.execute(
                    "INSERT INTO pools_auth_sessions
                        (handle_hash, client_id, state_sealed, is_taken, expires_at_ms)
                     VALUES ($1, $2, $3, 0, $4)",
                    values![hash, &client_id, &sealed, expires_at_ms],
                )
                .await
            })
            .await?;
        Ok(session)
    }

    /// The state behind a `Session` of this client. Finding does not use it up.
    pub(crate) async fn find_session(
        &self,
        client: &AppClient,
        session: &str,
    ) -> Result<FoundSession, Error> {
        let hash = self.session_hash(session);
        let client_id = client.id.clone();
        let row = self
            .0
            .platform
            .db
            .read(async move |tx| {
                tx.row(
                    "SELECT state_sealed, is_taken, expires_at_ms FROM pools_auth_sessions
                     WHERE handle_hash = $1 AND client_id = $2",
                    values![hash, &client_id],
                )
                .await
            })
            .await?
            .ok_or(SessionDenial::Unknown)?;
        if row.get("is_taken")? {
            return Err(SessionDenial::Used.into());
        }
        if row.get::<i64>("expires_at_ms")? <= self.0.platform.clock.now_ms() {
            return Err(SessionDenial::Expired.into());
        }
        let state = self
            .0
            .platform
            .vault
            .open(&purpose(&hash), &row.get::<Vec<u8>>("state_sealed")?)?;
        let state = serde_json::from_slice(&state)
            .map_err(|error| Fault::while_doing("reading an auth session", error))?;
        Ok(FoundSession { hash, state })
    }

    /// Uses a session up. Who loses the race learns that it has been used.
    pub(crate) async fn take_session(&self, found: &FoundSession) -> Result<(), Error> {
        let (hash, now_ms) = (found.hash, self.0.platform.clock.now_ms());
        let taken = self
            .0
            .platform
            .db
            .write(async move |tx| {
                tx.execute(
                    "UPDATE pools_auth_sessions SET is_taken = 1
                     WHERE handle_hash = $1 AND is_taken = 0 AND expires_at_ms > $2",
                    values![hash, now_ms],
                )
                .await
            })
            .await?;
        if taken == 1 {
            Ok(())
        } else {
            Err(SessionDenial::Used.into())
        }
    }

    pub(crate) async fn sweep_auth_sessions(&self) -> Result<(), Fault> {
        let now_ms = self.0.platform.clock.now_ms();
        self.0
            .platform
            .db
            .delete_expired(
                "DELETE FROM pools_auth_sessions WHERE handle_hash IN
                            (SELECT handle_hash FROM pools_auth_sessions
                             WHERE expires_at_ms < $1 LIMIT $2)",
                now_ms,
            )
            .await?;
        Ok(())
    }

    fn session_hash(&self, session: &str) -> [u8; 32] {
        self.0
            .platform
            .vault
            .hash("pools auth session", session.as_bytes())
    }
}

/// Bound to the row, so that a sealed state cannot be moved to another session.
fn purpose(hash: &[u8; 32]) -> String {
    format!("pools auth session {}", BASE64_URL.encode(hash))
}
