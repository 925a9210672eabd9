//! Transactions and nonces: the part `auth` of the client. How a request travels is in `client`.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::{Client, required};
use crate::error::Error;
use crate::models::VerifiedNonce;

/// Makes transactions and redeems nonces. Found at [`PassageFlex::auth`](crate::PassageFlex::auth).
#[derive(Debug, Clone)]
pub struct Auth {
    client: Arc<Client>,
}

impl Auth {
    pub(crate) fn new(client: Arc<Client>) -> Self {
        Self { client }
    }

    /// Permits one passkey registration and returns the transaction's id, to be handed to the browser or app.
    ///
    /// `external_id` is your own unchanging identifier of the user, 1 to 256 bytes; a user who is not known yet is
    /// created when the ceremony starts. `passkey_display_name` is what the user's authenticator shows for the passkey,
    /// 1 to 128 characters, and cannot be changed later.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if a value is empty; nothing is sent then. Else what the service answered.
    ///
    /// ```no_run
    /// # async fn example(flex: claviger_flex::PassageFlex) -> Result<(), claviger_flex::Error> {
    /// let transaction_id = flex.auth.create_register_transaction("user-42", "mia@example.com").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_register_transaction(
        &self,
        external_id: impl Into<String>,
        passkey_display_name: impl Into<String>,
    ) -> Result<String, Error> {
        let request = RegisterTransaction {
            external_id: required("external_id", external_id.into())?,
            passkey_display_name: required("passkey_display_name", passkey_display_name.into())?,
        };
        let transaction: Transaction = self
            .client
            .post(&["transactions", "register"], &request)
            .await?;
        Ok(transaction.transaction_id)
    }

    /// Permits one authentication of a known user and returns the transaction's id, to be handed to the browser or app.
    ///
    /// # Errors
    ///
    /// [`Error::UserNotFound`] if no user has this `external_id`, [`Error::UserHasNoPasskeys`] if the user has none,
    /// [`Error::InvalidArgument`] if the value is empty; nothing is sent then. Else what the service answered.
    ///
    /// ```no_run
    /// # async fn example(flex: claviger_flex::PassageFlex) -> Result<(), claviger_flex::Error> {
    /// use claviger_flex::Error;
    ///
    /// match flex.auth.create_authenticate_transaction("user-42").await {
    ///     Ok(transaction_id) => println!("hand {transaction_id} to the browser"),
    ///     Err(Error::UserNotFound | Error::UserHasNoPasskeys) => println!("offer the password instead"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_authenticate_transaction(
        &self,
        external_id: impl Into<String>,
    ) -> Result<String, Error> {
        let request = AuthenticateTransaction {
            external_id: required("external_id", external_id.into())?,
        };
        let transaction: Transaction = self
            .client
            .post(&["transactions", "authenticate"], &request)
            .await?;
        Ok(transaction.transaction_id)
    }

    /// Redeems the nonce of a finished ceremony and returns the external id of the user who did it.
    ///
    /// A nonce is good for one exchange, of whatever ceremony and whatever user of the app. A server that already knows
    /// who is signing in (a second step, a step-up) must compare the returned id with that user: the nonce of somebody
    /// else verifies just as well. [`Auth::verify_nonce_details`] says more.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidNonce`] if it is unknown, expired or was redeemed before, [`Error::InvalidArgument`] if it is
    /// empty; nothing is sent then. Else what the service answered. After [`Error::Timeout`] or [`Error::Transport`]
    /// the nonce may have been redeemed: let the user start over, do not send it again.
    ///
    /// ```no_run
    /// # async fn example(flex: claviger_flex::PassageFlex, nonce: String) -> Result<(), claviger_flex::Error> {
    /// let external_id = flex.auth.verify_nonce(nonce).await?;
    /// println!("{external_id} is signed in");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn verify_nonce(&self, nonce: impl Into<String>) -> Result<String, Error> {
        let proof: Proof = self.redeem(nonce.into()).await?;
        Ok(proof.external_id)
    }

    /// Redeems a nonce as [`Auth::verify_nonce`] does, and returns all that it proves: enough to insist on one
    /// transaction, on user verification and on freshness, as a step-up must.
    ///
    /// # Errors
    ///
    /// As for [`Auth::verify_nonce`]. [`Error::UnexpectedResponse`] from a service that answers with the external id only,
    /// as Passage's did; the nonce is redeemed then.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     flex: claviger_flex::PassageFlex, nonce: String, expected: String, user: String,
    /// # ) -> Result<bool, claviger_flex::Error> {
    /// let proof = flex.auth.verify_nonce_details(nonce).await?;
    /// let is_this_step_up = proof.transaction_id == Some(expected);
    /// Ok(is_this_step_up && proof.external_id == user && proof.user_verified)
    /// # }
    /// ```
    pub async fn verify_nonce_details(
        &self,
        nonce: impl Into<String>,
    ) -> Result<VerifiedNonce, Error> {
        self.redeem(nonce.into()).await
    }

    async fn redeem<P: DeserializeOwned>(&self, nonce: String) -> Result<P, Error> {
        let request = Nonce {
            nonce: required("nonce", nonce)?,
        };
        self.client
            .post(&["authenticate", "verify"], &request)
            .await
    }
}

#[derive(Serialize)]
struct RegisterTransaction {
    external_id: String,
    passkey_display_name: String,
}

#[derive(Serialize)]
struct AuthenticateTransaction {
    external_id: String,
}

#[derive(Deserialize)]
struct Transaction {
    transaction_id: String,
}

#[derive(Serialize)]
struct Nonce {
    nonce: String,
}

#[derive(Deserialize)]
struct Proof {
    external_id: String,
}
