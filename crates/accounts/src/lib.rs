//! Who owns what: organizations, and the access keys that sign AWS calls for them.
//!
//! This crate knows nothing of the products. They hold an [`Accounts`] handle
//! and ask it for whom a signed call acts.

mod access_keys;
mod organizations;

pub use access_keys::{AccessKey, SignaturePolicy, Unauthorized};
pub use organizations::Organization;
use platform::Platform;

/// The handle on organizations and access keys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Accounts {
    platform: Platform,
    signatures: SignaturePolicy,
}

impl Accounts {
    /// A handle that checks signatures as `signatures` says.
    pub fn new(platform: Platform, signatures: SignaturePolicy) -> Accounts {
        Accounts {
            platform,
            signatures,
        }
    }
}
