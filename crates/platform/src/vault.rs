//! Secrets at rest: what must be read again is sealed, what must only be
//! recognized is hashed. All keys come from one master key.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest,
    hkdf::{self, HKDF_SHA256},
    hmac,
};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::Fault;

/// First byte of every sealed value: the layout, so that it can change.
const LAYOUT: u8 = 1;
const KEY_ID_LEN: usize = 4;

/// Seals, opens and hashes secrets with keys derived from the master key.
#[derive(Clone)]
pub struct Vault(Arc<Keys>);

struct Keys {
    key_id: [u8; KEY_ID_LEN],
    sealing: RandomizedNonceKey,
    hashing: hmac::Key,
}

impl Vault {
    /// A vault under `master_key`, 32 random bytes that live outside the database.
    pub fn new(master_key: &[u8; 32]) -> Vault {
        let mut key_id = [0; KEY_ID_LEN];
        key_id.copy_from_slice(
            &digest::digest(&digest::SHA256, &*derive(master_key, b"key id")).as_ref()
                [..KEY_ID_LEN],
        );
        Vault(Arc::new(Keys {
            key_id,
            sealing: RandomizedNonceKey::new(&AES_256_GCM, &*derive(master_key, b"sealing"))
                .expect("a 32-byte key fits AES-256"),
            hashing: hmac::Key::new(hmac::HMAC_SHA256, &*derive(master_key, b"hashing")),
        }))
    }

    /// Encrypts `plaintext` (AES-256-GCM, fresh nonce). `purpose` is bound to
    /// the result: it opens under the same text only, so that a sealed value
    /// cannot be moved to another column or row.
    pub fn seal(&self, purpose: &str, plaintext: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut body = plaintext.to_vec();
        let nonce = self
            .0
            .sealing
            .seal_in_place_append_tag(Aad::from(purpose), &mut body)
            .map_err(|_| Fault::new(format!("sealing {purpose}")))?;
        let mut sealed = Vec::with_capacity(1 + KEY_ID_LEN + NONCE_LEN + body.len());
        sealed.push(LAYOUT);
        sealed.extend_from_slice(&self.0.key_id);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Decrypts what [`Vault::seal`] made for the same `purpose`. A failure is
    /// ours: another master key, or a damaged row.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let damaged = || Fault::new(format!("opening {purpose}: the sealed value is damaged"));
        let (header, body) = sealed
            .split_at_checked(1 + KEY_ID_LEN + NONCE_LEN)
            .ok_or_else(damaged)?;
        if header[0] != LAYOUT {
            return Err(damaged());
        }
        if header[1..=KEY_ID_LEN] != self.0.key_id {
            return Err(Fault::new(format!(
                "opening {purpose}: sealed under another master key than the configured one"
            )));
        }
        let nonce =
            Nonce::try_assume_unique_for_key(&header[1 + KEY_ID_LEN..]).map_err(|_| damaged())?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self
            .0
            .sealing
            .open_in_place(nonce, Aad::from(purpose), &mut body)
            .map_err(|_| damaged())?
            .len();
        body.truncate(length);
        Ok(body)
    }

    /// A keyed hash (HMAC-SHA-256) of a secret of high entropy, such as an API
    /// key or a nonce, or a stable pseudonym of a name. Not for passwords.
    pub fn hash(&self, purpose: &str, secret: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0.hashing);
        context.update(&(purpose.len() as u64).to_be_bytes());
        context.update(purpose.as_bytes());
        context.update(secret);
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        hash
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

/// Equality in time that depends on the lengths only.
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

fn derive(master_key: &[u8; 32], purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    hkdf::Salt::new(HKDF_SHA256, b"claviger vault")
        .extract(master_key)
        .expand(&[purpose], HKDF_SHA256)
        .and_then(|material| material.fill(&mut *key))
        .expect("32 bytes are within HKDF's limit");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_for_its_purpose_only() {
        let vault = Vault::new(&[7; 32]);
        let sealed = vault.seal("access key AKIA1", b"secret").unwrap();
        assert_eq!(
            *vault.open("access key AKIA1", &sealed).unwrap(),
            b"secret".to_vec()
        );
        assert!(vault.open("access key AKIA2", &sealed).is_err());
    }

    #[test]
    fn a_sealed_value_never_shows_its_content_and_differs_each_time() {
        let vault = Vault::new(&[7; 32]);
        let one = vault.seal("p", b"secret").unwrap();
        let other = vault.seal("p", b"secret").unwrap();
        assert_ne!(one, other);
        assert!(!one.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn another_master_key_and_every_damaged_byte_are_refused() {
        let sealed = Vault::new(&[7; 32]).seal("p", b"secret").unwrap();
        let other = Vault::new(&[8; 32]).open("p", &sealed).unwrap_err();
        assert!(other.to_string().contains("another master key"));
        for position in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[position] ^= 1;
            assert!(Vault::new(&[7; 32]).open("p", &damaged).is_err());
        }
        for length in 0..sealed.len() {
            assert!(Vault::new(&[7; 32]).open("p", &sealed[..length]).is_err());
        }
    }

    #[test]
    fn a_hash_depends_on_key_purpose_and_secret() {
        let vault = Vault::new(&[7; 32]);
        let hash = vault.hash("api key", b"abc");
        assert_eq!(hash, vault.hash("api key", b"abc"));
        assert_ne!(hash, vault.hash("api key", b"abd"));
        assert_ne!(hash, vault.hash("api keya", b"bc"));
        assert_ne!(hash, Vault::new(&[8; 32]).hash("api key", b"abc"));
    }

    #[test]
    fn equality_is_equality() {
        assert!(equal(b"abc", b"abc"));
        assert!(!equal(b"abc", b"abd"));
        assert!(!equal(b"abc", b"ab"));
    }
}
