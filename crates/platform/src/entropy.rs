//! Chance: ids, tokens, challenges. The operating system's, or a seeded stream for tests.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore as _, SeedableRng as _},
};
use uuid::{Builder, Uuid};

const ALPHANUMERIC: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LOWERCASE_ALPHANUMERIC: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const UPPERCASE_BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const DIGITS: &[u8; 10] = b"0123456789";

/// A source of random values. Clones draw from the same source.
#[derive(Clone)]
pub struct Entropy(Source);

#[derive(Clone)]
enum Source {
    System(SystemRandom),
    Seeded(Arc<Mutex<ChaCha20Rng>>),
}

impl Entropy {
    /// The operating system's randomness.
    pub fn system() -> Entropy {
        Entropy(Source::System(SystemRandom::new()))
    }

    /// A stream that a test can predict. Never for anything that guards a login.
    pub fn seeded(seed: u64) -> Entropy {
        Entropy(Source::Seeded(Arc::new(Mutex::new(
            ChaCha20Rng::seed_from_u64(seed),
        ))))
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// `length` characters of `[0-9A-Za-z]`, each equally likely.
    pub fn alphanumeric(&self, length: usize) -> String {
        self.text(ALPHANUMERIC, length)
    }

    /// `length` characters of `[0-9a-z]`, each equally likely.
    pub fn lowercase_alphanumeric(&self, length: usize) -> String {
        self.text(LOWERCASE_ALPHANUMERIC, length)
    }

    /// `length` characters of `[A-Z2-7]`, each equally likely: the alphabet of access key ids.
    pub fn uppercase_base32(&self, length: usize) -> String {
        self.text(UPPERCASE_BASE32, length)
    }

    /// `length` decimal digits, each equally likely.
    pub fn digits(&self, length: usize) -> String {
        self.text(DIGITS, length)
    }

    /// A random UUID (version 4).
    pub fn uuid(&self) -> Uuid {
        Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// A UUID that sorts by time (version 7).
    pub fn uuid_at(&self, now_ms: i64) -> Uuid {
        Builder::from_unix_timestamp_millis(u64::try_from(now_ms).unwrap_or(0), &self.bytes())
            .into_uuid()
    }

    fn fill(&self, bytes: &mut [u8]) {
        match &self.0 {
            Source::System(random) => random
                .fill(bytes)
                .expect("the operating system's random number generator works"),
            Source::Seeded(stream) => stream
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .fill_bytes(bytes),
        }
    }

    fn text(&self, alphabet: &[u8], length: usize) -> String {
        // Bytes beyond the last whole multiple of the alphabet are drawn again,
        // so that no character is likelier than another.
        let fair = 256 - 256 % alphabet.len();
        let mut text = String::with_capacity(length);
        while text.len() < length {
            for byte in self.bytes::<32>() {
                if usize::from(byte) < fair && text.len() < length {
                    text.push(char::from(alphabet[usize::from(byte) % alphabet.len()]));
                }
            }
        }
        text
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System(_) => "Entropy(system)",
            Source::Seeded(_) => "Entropy(seeded)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_the_length_and_alphabet_asked_for() {
        let entropy = Entropy::system();
        let id = entropy.alphanumeric(24);
        assert_eq!(id.len(), 24);
        assert!(id.bytes().all(|byte| ALPHANUMERIC.contains(&byte)));
        assert!(entropy.digits(6).bytes().all(|byte| byte.is_ascii_digit()));
        assert_ne!(id, entropy.alphanumeric(24));
    }

    #[test]
    fn a_seeded_source_repeats_itself() {
        let draw = || Entropy::seeded(7).alphanumeric(40);
        assert_eq!(draw(), draw());
    }

    #[test]
    fn every_character_of_an_alphabet_is_about_equally_likely() {
        let text = Entropy::seeded(1).lowercase_alphanumeric(36_000);
        for character in LOWERCASE_ALPHANUMERIC {
            let count = text.bytes().filter(|byte| byte == character).count();
            assert!((850..1150).contains(&count), "{character}: {count}");
        }
    }

    #[test]
    fn time_ordered_uuids_sort_by_time() {
        let entropy = Entropy::system();
        assert!(entropy.uuid_at(1_000) < entropy.uuid_at(2_000));
        assert_eq!(entropy.uuid_at(1_000).get_version_num(), 7);
        assert_eq!(entropy.uuid().get_version_num(), 4);
    }
}
