//! Hashing and verifying passwords: argon2id, off the async threads and a few at a time.
//!
//! What does not live here: which passwords are accepted (`password_policy`) and the lock after
//! wrong ones (`password_failures`).

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::{self, phc::PasswordHash},
};
use platform::Fault;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::UserPools;

/// OWASP's parameters: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Lets as many hashes run at once as there are processors; others wait in line, not on threads.
#[derive(Debug)]
pub(crate) struct Hashing {
    permits: Arc<Semaphore>,
}

/// The right to hash. While it is held, at most a handful of other attempts run, which bounds how
/// far a burst of guesses can run ahead of the lock.
pub(crate) struct HashingPermit(tokio::sync::OwnedSemaphorePermit);

impl Hashing {
    pub(crate) fn new() -> Hashing {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Hashing {
            permits: Arc::new(Semaphore::new(processors)),
        }
    }

    pub(crate) async fn permit(&self) -> Result<HashingPermit, Fault> {
        self.permits
            .clone()
            .acquire_owned()
            .await
            .map(HashingPermit)
            .map_err(|error| Fault::while_doing("waiting to hash a password", error))
    }
}

impl UserPools {
    /// The hash of a new password, as a PHC string.
    pub(crate) async fn hash_password(&self, password: &str) -> Result<String, Fault> {
        let permit = self.0.hashing.permit().await?;
        let password = Zeroizing::new(password.to_owned());
        let salt: [u8; 16] = self.0.platform.entropy.bytes();
        off_thread(permit, move || {
            argon2()
                .hash_password_with_salt(password.as_bytes(), &salt)
                .map(|hash| hash.to_string())
                .map_err(|error| Fault::new(format!("hashing a password: {error}")))
        })
        .await
    }
}

/// Whether the password is the one behind `hash`. Without a hash the answer is no and costs the
/// same, so that its time does not tell whether there is one.
pub(crate) async fn verify(
    permit: HashingPermit,
    password: &str,
    hash: Option<String>,
) -> Result<bool, Fault> {
    let password = Zeroizing::new(password.to_owned());
    off_thread(permit, move || {
        let Some(hash) = hash else {
            let _ = argon2().hash_password_with_salt(password.as_bytes(), &[0; 16]);
            return Ok(false);
        };
        let hash = PasswordHash::new(&hash)
            .map_err(|error| Fault::new(format!("reading a password hash: {error}")))?;
        match argon2().verify_password(password.as_bytes(), &hash) {
            Ok(()) => Ok(true),
            Err(password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(Fault::new(format!("verifying a password: {error}"))),
        }
    })
    .await
}

async fn off_thread<T: Send + 'static>(
    permit: HashingPermit,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(move || {
        let result = work();
        drop(permit.0);
        result
    })
    .await
    .map_err(|error| Fault::while_doing("hashing a password", error))?
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn verifies(password: &str, hash: Option<&str>) -> bool {
        let permit = Hashing::new().permit().await.unwrap();
        verify(permit, password, hash.map(str::to_owned))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn only_the_right_password_verifies() {
        let hash = argon2()
            .hash_password_with_salt(b"correct horse", &[7; 16])
            .unwrap()
            .to_string();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verifies("correct horse", Some(&hash)).await);
        assert!(!verifies("wrong horse", Some(&hash)).await);
        assert!(!verifies("correct horse", None).await);
    }
}
