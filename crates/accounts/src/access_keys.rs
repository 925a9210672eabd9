//! Access keys: the id and secret with which an AWS client signs its calls.
//!
//! The secret is needed to check a signature, so it is sealed, not hashed.

use aws_protocol::sigv4::{self, Authorization, SigV4Denial, SignedRequest};
use platform::{Fault, values};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{Accounts, Organization, organizations};

/// How signed calls are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignaturePolicy {
    /// The signature must be right, and of a known access key.
    Verify,
    /// Anything that looks like a signature passes, so that a laptop needs no
    /// credentials of its own. For `dev` only, which listens on loopback.
    WellFormed,
}

/// A signing key of an AWS client.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// `AKIA` and 16 characters of `[A-Z2-7]`.
    pub id: String,
    /// 40 characters; shown when the key is created.
    pub secret: SecretString,
}

/// Why a signed call is not served.
#[derive(Debug, thiserror::Error)]
pub enum Unauthorized {
    /// The caller's fault: no signature, a malformed or a wrong one.
    #[error("{}", .0.message())]
    Denied(SigV4Denial),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Accounts {
    /// Creates an access key that acts for an organization.
    pub async fn create_access_key(
        &self,
        organization_id: &str,
        name: &str,
    ) -> Result<AccessKey, Fault> {
        let platform = &self.platform;
        let id = format!("AKIA{}", platform.entropy.uppercase_base32(16));
        let secret = SecretString::from(platform.entropy.alphanumeric(40));
        let sealed = platform
            .vault
            .seal(&purpose(&id), secret.expose_secret().as_bytes())?;
        let now_ms = platform.clock.now_ms();
        let row = (id.clone(), organization_id.to_owned(), name.to_owned());
        platform
            .db
            .write(async move |tx| {
                let (id, organization_id, name) = &row;
                tx.execute(
                    "INSERT INTO accounts_access_keys
                     (id, organization_id, name, secret_sealed, created_at_ms)
                     VALUES ($1, $2, $3, $4, $5)",
                    values![id, organization_id, name, &sealed, now_ms],
                )
                .await
            })
            .await?;
        Ok(AccessKey { id, secret })
    }

    /// Deletes the access keys of an organization that have this name; what they sign is refused
    /// from then on.
    pub async fn delete_access_keys(&self, organization_id: &str, name: &str) -> Result<(), Fault> {
        let (organization_id, name) = (organization_id.to_owned(), name.to_owned());
        self.platform
            .db
            .write(async move |tx| {
                tx.execute(
                    "DELETE FROM accounts_access_keys WHERE organization_id = $1 AND name = $2",
                    values![&organization_id, &name],
                )
                .await
            })
            .await?;
        Ok(())
    }

    /// For whom a signed call to `service` acts.
    pub async fn authorize(
        &self,
        request: &SignedRequest<'_>,
        service: &str,
    ) -> Result<Organization, Unauthorized> {
        let authorization = Authorization::parse(request.headers).map_err(Unauthorized::Denied)?;
        let owner = self.find_owner(authorization.access_key_id()).await?;
        match (self.signatures, owner) {
            (SignaturePolicy::Verify, Some((organization, secret))) => {
                let now_ms = self.platform.clock.now_ms();
                sigv4::verify(
                    request,
                    &authorization,
                    secret.expose_secret(),
                    now_ms,
                    service,
                )
                .map_err(Unauthorized::Denied)?;
                Ok(organization)
            }
            (SignaturePolicy::Verify, None) => Err(Unauthorized::Denied(SigV4Denial::UnknownKey)),
            (SignaturePolicy::WellFormed, Some((organization, _))) => Ok(organization),
            (SignaturePolicy::WellFormed, None) => self
                .find_first_organization()
                .await?
                .ok_or(Unauthorized::Denied(SigV4Denial::UnknownKey)),
        }
    }

    async fn find_owner(
        &self,
        key_id: &str,
    ) -> Result<Option<(Organization, SecretString)>, Fault> {
        // What no database can hold is no known key either.
        if key_id.contains('\0') {
            return Ok(None);
        }
        let key_id = key_id.to_owned();
        let vault = self.platform.vault.clone();
        self.platform
            .db
            .read(async move |tx| {
                let found = tx
                    .row(
                        "SELECT o.id, o.account_id, o.name, o.created_at_ms, k.secret_sealed
                         FROM accounts_access_keys k
                         JOIN accounts_organizations o ON o.id = k.organization_id
                         WHERE k.id = $1",
                        values![&key_id],
                    )
                    .await?;
                let Some(row) = found else { return Ok(None) };
                let sealed: Vec<u8> = row.get("secret_sealed")?;
                let secret = vault.open(&purpose(&key_id), &sealed)?;
                let secret = String::from_utf8(secret.to_vec())
                    .map_err(|_| Fault::new("an access key's secret is not text"))?;
                Ok(Some((
                    organizations::from_row(&row)?,
                    SecretString::from(secret),
                )))
            })
            .await
    }
}

fn purpose(id: &str) -> String {
    format!("access key {id}")
}
