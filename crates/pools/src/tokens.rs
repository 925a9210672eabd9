//! Tokens of signed-in users: issued, refreshed, recognized, revoked.
//!
//! Every sign-in is one row: the hash of its refresh token, and the identity that all its access
//! tokens carry. What is revoked is the row, never a point in time, so a sign-out in the same
//! second as the sign-in ends it (`cognito.md` §12). What does not live here: what tokens say
//! (`claims`) and the keys (`signing_keys`).

use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};
use platform::{Fault, values};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    AccessTokenDenial, Error, IssuerForm, RefreshTokenDenial, Refusal, UserPools,
    app_clients::AppClient,
    claims::{self, Grant, Overrides},
    password_failures,
    signing_keys::TokenUse,
    user_pools::UserPool,
    users::User,
};

/// Refresh tokens are texts over `[0-9A-Za-z]`; clients take them for opaque.
const REFRESH_TOKEN_LENGTH: usize = 96;

/// No access token outlives its refresh token by more than this.
const ACCESS_TOKEN_LIFETIME_MAX_MS: i64 = 24 * 60 * 60 * 1000;

/// Whose tokens, and for which app.
#[derive(Clone, Copy)]
pub(crate) struct Bearer<'b> {
    pub(crate) pool: &'b UserPool,
    pub(crate) client: &'b AppClient,
    pub(crate) user: &'b User,
}

/// One sign-in, as its tokens refer to it.
struct SignIn {
    origin_jti: String,
    authenticated_at_ms: i64,
}

/// What a refresh token stands for, and who holds it.
pub(crate) struct Refreshable {
    pub(crate) user: User,
    sign_in: SignIn,
}

/// Who an access token speaks for.
pub(crate) struct Authenticated {
    pub(crate) client: AppClient,
    pub(crate) user: User,
}

#[derive(Deserialize)]
struct AccessClaims {
    sub: String,
    client_id: String,
    token_use: String,
    scope: String,
    exp: i64,
    event_id: String,
    origin_jti: Option<String>,
}

impl UserPools {
    /// Records a sign-in and gives its tokens: the `AuthenticationResult` of an answer. Wrong
    /// passwords are forgotten in the same transaction, unless they have locked the user while
    /// this attempt was under way.
    pub(crate) async fn issue_tokens(
        &self,
        bearer: Bearer<'_>,
        overrides: Overrides,
    ) -> Result<Value, Error> {
        let now_ms = self.0.platform.clock.now_ms();
        let sign_in = SignIn {
            origin_jti: self.0.platform.entropy.uuid().to_string(),
            authenticated_at_ms: now_ms,
        };
        let refresh_token = self.0.platform.entropy.alphanumeric(REFRESH_TOKEN_LENGTH);
        // Signed before the row is written: tokens nobody has seen are worth nothing without it.
        let mut result = self.sign_tokens(bearer, &sign_in, overrides).await?;
        result["RefreshToken"] = json!(refresh_token);

        let hash = self.refresh_token_hash(&refresh_token);
        let lifetime_ms = bearer.client.configuration.refresh_token_lifetime_s() * 1000;
        let (pool_id, client_id, sub) = (
            bearer.pool.id.clone(),
            bearer.client.id.clone(),
            bearer.user.sub.clone(),
        );
        self.0
            .platform
            .db
            .write(async move |tx| {
                if !password_failures::forget(tx, &pool_id, &sub, now_ms).await? {
                    return Err(Error::Refusal(Refusal::PasswordAttemptsExceeded));
                }
                tx.execute(
                    "INSERT INTO pools_refresh_tokens
                        (token_hash, origin_jti, user_pool_id, client_id, sub, is_revoked,
                         authenticated_at_ms, expires_at_ms)
                     VALUES ($1, $2, $3, $4, $5, 0, $6, $7)",
                    values![
                        hash,
                        &sign_in.origin_jti,
                        &pool_id,
                        &client_id,
                        &sub,
                        now_ms,
                        now_ms + lifetime_ms,
                    ],
                )
                .await?;
                Ok(())
            })
            .await?;
        Ok(result)
    }

    /// New ID and access tokens of an earlier sign-in, without a refresh token.
    pub(crate) async fn refresh_tokens(
        &self,
        pool: &UserPool,
        client: &AppClient,
        refreshable: &Refreshable,
        overrides: Overrides,
    ) -> Result<Value, Error> {
        let bearer = Bearer {
            pool,
            client,
            user: &refreshable.user,
        };
        Ok(self
            .sign_tokens(bearer, &refreshable.sign_in, overrides)
            .await?)
    }

    /// The sign-in behind a refresh token, when the token is good and of this client.
    pub(crate) async fn find_refreshable(
        &self,
        client: &AppClient,
        token: &str,
    ) -> Result<Refreshable, Error> {
        let hash = self.refresh_token_hash(token);
        let row = self
            .0
            .platform
            .db
            .read(async move |tx| {
                tx.row(
                    "SELECT origin_jti, user_pool_id, client_id, sub, is_revoked,
                            authenticated_at_ms, expires_at_ms
                     FROM pools_refresh_tokens WHERE token_hash = $1",
                    values![hash],
                )
                .await
            })
            .await?
            .ok_or(RefreshTokenDenial::Unknown)?;
        if row.get::<String>("client_id")? != client.id {
            return Err(RefreshTokenDenial::Unknown.into());
        }
        let pool_id: String = row.get("user_pool_id")?;
        let sub: String = row.get("sub")?;
        let user = self
            .find_user_by_sub(&pool_id, &sub)
            .await?
            .ok_or(RefreshTokenDenial::UserDeleted)?;
        if row.get("is_revoked")? {
            return Err(RefreshTokenDenial::Revoked.into());
        }
        if row.get::<i64>("expires_at_ms")? <= self.0.platform.clock.now_ms() {
            return Err(RefreshTokenDenial::Expired.into());
        }
        if !user.is_enabled {
            return Err(Refusal::UserDisabled.into());
        }
        Ok(Refreshable {
            user,
            sign_in: SignIn {
                origin_jti: row.get("origin_jti")?,
                authenticated_at_ms: row.get("authenticated_at_ms")?,
            },
        })
    }

    /// Who an access token speaks for: signed by us, not expired, not revoked, and meant for the
    /// user's own data.
    pub(crate) async fn authenticate(&self, token: &str) -> Result<Authenticated, Error> {
        let (pool_id, claims) = self.verify_access_token(token).await?;
        if claims.exp.saturating_mul(1000) <= self.0.platform.clock.now_ms() {
            return Err(AccessTokenDenial::Expired.into());
        }
        let client = self
            .find_app_client(&claims.client_id)
            .await?
            .filter(|client| client.user_pool_id == pool_id)
            .ok_or(AccessTokenDenial::Revoked)?;
        let user = self
            .find_user_by_sub(&pool_id, &claims.sub)
            .await?
            .ok_or(Refusal::UserNotFound)?;
        let origin_jti = claims.origin_jti.unwrap_or(claims.event_id);
        if !self.is_signed_in(origin_jti).await? {
            return Err(AccessTokenDenial::Revoked.into());
        }
        if !user.is_enabled {
            return Err(Refusal::UserDisabled.into());
        }
        if !claims
            .scope
            .split(' ')
            .any(|scope| scope == claims::USER_SCOPE)
        {
            return Err(AccessTokenDenial::Scope.into());
        }
        Ok(Authenticated { client, user })
    }

    /// GlobalSignOut: ends every sign-in of the user. Tokens of one that is being made at this
    /// moment are of a later sign-in and stay.
    pub(crate) async fn sign_out_everywhere(&self, user: &User) -> Result<(), Fault> {
        let (pool_id, sub) = (user.user_pool_id.clone(), user.sub.clone());
        self.0
            .platform
            .db
            .write(async move |tx| {
                tx.execute(
                    "UPDATE pools_refresh_tokens SET is_revoked = 1
                     WHERE user_pool_id = $1 AND sub = $2 AND is_revoked = 0",
                    values![&pool_id, &sub],
                )
                .await
            })
            .await?;
        Ok(())
    }

    /// RevokeToken: ends the sign-in behind a refresh token. An unknown token is fine, so that
    /// nobody learns from the answer.
    pub(crate) async fn revoke_token(&self, client: &AppClient, token: &str) -> Result<(), Error> {
        if !client.configuration.enable_token_revocation {
            return Err(Refusal::RevocationDisabled.into());
        }
        // Ours are opaque; whatever reads as a JWT is an access or ID token.
        if jsonwebtoken::decode_header(token).is_ok() {
            return Err(Refusal::TokenNotRevocable.into());
        }
        let (hash, client_id) = (self.refresh_token_hash(token), client.id.clone());
        self.0
            .platform
            .db
            .write(async move |tx| {
                let row = tx
                    .row(
                        "SELECT client_id FROM pools_refresh_tokens WHERE token_hash = $1",
                        values![hash],
                    )
                    .await?;
                match row {
                    Some(row) if row.get::<String>("client_id")? != client_id => {
                        Err(Error::Refusal(Refusal::Unauthorized))
                    }
                    _ => {
                        tx.execute(
                            "UPDATE pools_refresh_tokens SET is_revoked = 1
                             WHERE token_hash = $1 AND client_id = $2",
                            values![hash, &client_id],
                        )
                        .await?;
                        Ok(())
                    }
                }
            })
            .await
    }

    /// The `iss` claim of a pool's tokens (`cognito.md` §13).
    pub(crate) fn issuer(&self, pool_id: &str) -> String {
        match self.0.settings.issuer {
            IssuerForm::Server => format!("{}/{pool_id}", self.0.settings.public_url),
            IssuerForm::Aws => {
                let region = pool_id.rsplit_once('_').map_or("", |(region, _)| region);
                format!("https://cognito-idp.{region}.amazonaws.com/{pool_id}")
            }
        }
    }

    pub(crate) async fn sweep_refresh_tokens(&self) -> Result<(), Fault> {
        let before_ms = self.0.platform.clock.now_ms() - ACCESS_TOKEN_LIFETIME_MAX_MS;
        self.0
            .platform
            .db
            .delete_expired(
                "DELETE FROM pools_refresh_tokens WHERE token_hash IN
                            (SELECT token_hash FROM pools_refresh_tokens
                             WHERE expires_at_ms < $1 LIMIT $2)",
                before_ms,
            )
            .await?;
        Ok(())
    }

    async fn sign_tokens(
        &self,
        bearer: Bearer<'_>,
        sign_in: &SignIn,
        overrides: Overrides,
    ) -> Result<Value, Fault> {
        let Bearer { pool, client, user } = bearer;
        let settings = &client.configuration;
        let uuid = || self.0.platform.entropy.uuid().to_string();
        let (id_jti, access_jti) = (uuid(), uuid());
        // Without revocation there is no claim for the sign-in's identity, and yet a sign-out must
        // find its tokens: the event's id is that identity then.
        let event_id = if settings.enable_token_revocation {
            uuid()
        } else {
            sign_in.origin_jti.clone()
        };
        let mut attributes = user.attributes.clone();
        attributes.retain(|name, _| settings.may_read(name));
        let grant = Grant {
            issuer: &self.issuer(&pool.id),
            client_id: &client.id,
            sub: &user.sub,
            username: &user.username,
            attributes,
            origin_jti: &sign_in.origin_jti,
            has_origin_claim: settings.enable_token_revocation,
            event_id: &event_id,
            auth_time_s: sign_in.authenticated_at_ms.div_euclid(1000),
            now_s: self.0.platform.clock.now_ms().div_euclid(1000),
            id_jti: &id_jti,
            id_lifetime_s: settings.id_token_lifetime_s(),
            access_jti: &access_jti,
            access_lifetime_s: settings.access_token_lifetime_s(),
            overrides,
        };
        let (id, access) = (claims::id_token(&grant), claims::access_token(&grant));
        let keys = self.signing_keys(&pool.id).await?;
        // Two signatures take more than a millisecond of a processor.
        let (id, access) = tokio::task::spawn_blocking(move || {
            Ok::<_, Fault>((
                keys.sign(TokenUse::Id, &id)?,
                keys.sign(TokenUse::Access, &access)?,
            ))
        })
        .await
        .map_err(|error| Fault::while_doing("signing tokens", error))??;
        Ok(json!({
            "AccessToken": access,
            "IdToken": id,
            "ExpiresIn": settings.access_token_lifetime_s(),
            "TokenType": "Bearer",
        }))
    }

    /// The pool whose key signed the token, and what the token says. Time is not looked at: the
    /// library would take it from the operating system's clock.
    async fn verify_access_token(&self, token: &str) -> Result<(String, AccessClaims), Error> {
        let key_id = jsonwebtoken::decode_header(token)
            .ok()
            .and_then(|header| header.kid)
            .ok_or(AccessTokenDenial::Malformed)?;
        let key = self
            .find_verifying_key(&key_id)
            .await?
            .filter(|key| key.is_for_access)
            .ok_or(AccessTokenDenial::Malformed)?;
        let decoding_key = DecodingKey::from_rsa_components(&key.modulus, &key.exponent)
            .map_err(|error| Fault::while_doing("reading a verifying key", error))?;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<AccessClaims>(token, &decoding_key, &validation)
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature => AccessTokenDenial::Signature,
                _ => AccessTokenDenial::Malformed,
            })?
            .claims;
        if claims.token_use != TokenUse::Access.name() {
            return Err(AccessTokenDenial::Malformed.into());
        }
        Ok((key.user_pool_id, claims))
    }

    async fn is_signed_in(&self, origin_jti: String) -> Result<bool, Fault> {
        let row = self
            .0
            .platform
            .db
            .read(async move |tx| {
                tx.row(
                    "SELECT is_revoked FROM pools_refresh_tokens WHERE origin_jti = $1",
                    values![&origin_jti],
                )
                .await
            })
            .await?;
        row.map_or(Ok(false), |row| Ok(!row.get::<bool>("is_revoked")?))
    }

    fn refresh_token_hash(&self, token: &str) -> [u8; 32] {
        self.0
            .platform
            .vault
            .hash("pools refresh token", token.as_bytes())
    }
}
