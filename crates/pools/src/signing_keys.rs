//! The signing keys of a pool: made with it, sealed at rest, published as a key set.
//!
//! Each pool has two, one for ID tokens and one for access tokens (`cognito.md` §13). What does
//! not live here: what tokens say (`claims`) and which are still good (`tokens`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64_URL},
};
use platform::{Fault, Platform, Tx, values};
use serde_json::{Map, Value, json};

use crate::UserPools;

/// What a token is for: the `token_use` claim, and which key signs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenUse {
    Id,
    Access,
}

impl TokenUse {
    pub(crate) fn name(self) -> &'static str {
        match self {
            TokenUse::Id => "id",
            TokenUse::Access => "access",
        }
    }
}

/// A key that has just been made.
#[derive(Clone)]
pub(crate) struct NewKey {
    id: String,
    user_pool_id: String,
    token_use: TokenUse,
    private_key_sealed: Vec<u8>,
    modulus: String,
    exponent: String,
}

/// Makes the two keys of a pool. Takes a tenth of a second or more of a processor, on threads of
/// its own.
pub(crate) async fn make_pair(platform: &Platform, pool_id: &str) -> Result<[NewKey; 2], Fault> {
    let make = |token_use| {
        let (platform, pool_id) = (platform.clone(), pool_id.to_owned());
        tokio::task::spawn_blocking(move || make(&platform, pool_id, token_use))
    };
    let (id, access) = (make(TokenUse::Id), make(TokenUse::Access));
    let joined = |error| Fault::while_doing("making a signing key", error);
    Ok([id.await.map_err(joined)??, access.await.map_err(joined)??])
}

fn make(platform: &Platform, user_pool_id: String, token_use: TokenUse) -> Result<NewKey, Fault> {
    let failed = |_| Fault::new("making a signing key");
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
    let private_key = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(failed)?;
    let id = BASE64.encode(platform.entropy.bytes::<32>());
    let public_key = pair.public_key();
    Ok(NewKey {
        private_key_sealed: platform
            .vault
            .seal(&private_key_purpose(&id), private_key.as_ref())?,
        id,
        user_pool_id,
        token_use,
        modulus: BASE64_URL.encode(public_key.modulus().big_endian_without_leading_zero()),
        exponent: BASE64_URL.encode(public_key.exponent().big_endian_without_leading_zero()),
    })
}

fn private_key_purpose(id: &str) -> String {
    format!("pools signing key {id}")
}

impl NewKey {
    pub(crate) async fn insert(&self, tx: &mut Tx, now_ms: i64) -> Result<(), Fault> {
        tx.execute(
            "INSERT INTO pools_signing_keys
                (id, user_pool_id, token_use, private_key_sealed, modulus, exponent, created_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            values![
                &self.id,
                &self.user_pool_id,
                self.token_use.name(),
                &self.private_key_sealed,
                &self.modulus,
                &self.exponent,
                now_ms,
            ],
        )
        .await?;
        Ok(())
    }
}

/// A key ready to sign.
pub(crate) struct SigningKey {
    id: String,
    pair: RsaKeyPair,
}

/// The two keys of a pool, ready to sign.
pub(crate) struct PoolKeys {
    id: SigningKey,
    access: SigningKey,
}

impl PoolKeys {
    /// A signed token: JWS compact serialization, RS256, header exactly `kid` and `alg`.
    pub(crate) fn sign(
        &self,
        token_use: TokenUse,
        claims: &Map<String, Value>,
    ) -> Result<String, Fault> {
        let key = match token_use {
            TokenUse::Id => &self.id,
            TokenUse::Access => &self.access,
        };
        // The key is parsed once and kept, which the JWT library's encoder does not allow; it
        // also orders the header's members in its own way.
        let header = format!(r#"{{"kid":"{}","alg":"RS256"}}"#, key.id);
        let mut token = BASE64_URL.encode(header);
        token.push('.');
        BASE64_URL.encode_string(json!(claims).to_string(), &mut token);
        let mut signature = vec![0; key.pair.public_modulus_len()];
        key.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                token.as_bytes(),
                &mut signature,
            )
            .map_err(|_| Fault::new("signing a token"))?;
        token.push('.');
        BASE64_URL.encode_string(signature, &mut token);
        Ok(token)
    }
}

/// Opened keys by pool. A pool's keys never change.
#[derive(Default)]
pub(crate) struct Cache(Mutex<HashMap<String, Arc<PoolKeys>>>);

/// The public half of a key, as it verifies.
pub(crate) struct VerifyingKey {
    pub(crate) user_pool_id: String,
    pub(crate) is_for_access: bool,
    pub(crate) modulus: String,
    pub(crate) exponent: String,
}

impl UserPools {
    /// The keys of a pool, opened.
    pub(crate) async fn signing_keys(&self, pool_id: &str) -> Result<Arc<PoolKeys>, Fault> {
        let cache = &self.0.signing_keys.0;
        let cached = cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(pool_id)
            .cloned();
        if let Some(keys) = cached {
            return Ok(keys);
        }
        let keys = Arc::new(PoolKeys {
            id: self.open_signing_key(pool_id, TokenUse::Id).await?,
            access: self.open_signing_key(pool_id, TokenUse::Access).await?,
        });
        cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(pool_id.to_owned(), keys.clone());
        Ok(keys)
    }

    async fn open_signing_key(
        &self,
        pool_id: &str,
        token_use: TokenUse,
    ) -> Result<SigningKey, Fault> {
        let pool_id = pool_id.to_owned();
        let row = self
            .0
            .platform
            .db
            .read(async move |tx| {
                tx.row(
                    "SELECT id, private_key_sealed FROM pools_signing_keys
                     WHERE user_pool_id = $1 AND token_use = $2",
                    values![&pool_id, token_use.name()],
                )
                .await
            })
            .await?
            .ok_or_else(|| Fault::new("a pool has no signing key"))?;
        let id: String = row.get("id")?;
        let private_key = self.0.platform.vault.open(
            &private_key_purpose(&id),
            &row.get::<Vec<u8>>("private_key_sealed")?,
        )?;
        let pair = RsaKeyPair::from_pkcs8(&private_key)
            .map_err(|error| Fault::new(format!("reading a signing key: {error}")))?;
        Ok(SigningKey { id, pair })
    }

    /// The public half of the key that a token names.
    pub(crate) async fn find_verifying_key(&self, id: &str) -> Result<Option<VerifyingKey>, Fault> {
        if id.contains('\0') {
            return Ok(None);
        }
        let id = id.to_owned();
        let row = self
            .0
            .platform
            .db
            .read(async move |tx| {
                tx.row(
                    "SELECT user_pool_id, token_use, modulus, exponent FROM pools_signing_keys
                     WHERE id = $1",
                    values![&id],
                )
                .await
            })
            .await?;
        row.map(|row| {
            Ok(VerifyingKey {
                user_pool_id: row.get("user_pool_id")?,
                is_for_access: row.get::<String>("token_use")? == TokenUse::Access.name(),
                modulus: row.get("modulus")?,
                exponent: row.get("exponent")?,
            })
        })
        .transpose()
    }

    /// The key set of a pool, as published: `{"keys": […]}`. Nothing when there is no such pool.
    pub(crate) async fn key_set(&self, pool_id: &str) -> Result<Option<Value>, Fault> {
        if pool_id.contains('\0') {
            return Ok(None);
        }
        let pool_id = pool_id.to_owned();
        let rows = self
            .0
            .platform
            .db
            .read(async move |tx| {
                tx.rows(
                    "SELECT id, modulus, exponent FROM pools_signing_keys
                     WHERE user_pool_id = $1 ORDER BY created_at_ms, token_use DESC",
                    values![&pool_id],
                )
                .await
            })
            .await?;
        let keys = rows
            .iter()
            .map(|row| {
                Ok(json!({
                    "alg": "RS256",
                    "e": row.get::<String>("exponent")?,
                    "kid": row.get::<String>("id")?,
                    "kty": "RSA",
                    "n": row.get::<String>("modulus")?,
                    "use": "sig",
                }))
            })
            .collect::<Result<Vec<Value>, Fault>>()?;
        Ok((!keys.is_empty()).then(|| json!({ "keys": keys })))
    }
}
