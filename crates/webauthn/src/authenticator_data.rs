//! The authenticator data: what the authenticator signed
//! ([section 6.1](https://www.w3.org/TR/webauthn-3/#sctn-authenticator-data)).

use aws_lc_rs::digest::{SHA256, digest};

use crate::cbor::{self, Map, Value};
use crate::{Denial, UserVerification};

/// The fixed part of the authenticator data: hash, flags and counter.
#[derive(Debug)]
pub(crate) struct Header {
    rp_id_hash: [u8; 32],
    flags: u8,
    /// The signature counter.
    pub(crate) sign_count: u32,
}

/// The authenticator data of a registration.
#[derive(Debug)]
pub(crate) struct Attested<'b> {
    pub(crate) header: Header,
    pub(crate) aaguid: [u8; 16],
    pub(crate) credential_id: &'b [u8],
    /// One CBOR item; whether it is a key is not yet known.
    pub(crate) public_key: &'b [u8],
    /// Whether the authenticator said (`credProtect` level 3) that it will never sign without user verification.
    pub(crate) requires_user_verification: bool,
}

impl<'b> Attested<'b> {
    /// Reads the authenticator data of a registration, which must hold a credential.
    pub(crate) fn parse(bytes: &'b [u8]) -> Result<Self, Denial> {
        let (header, rest) = Header::split(bytes)?;
        if !header.has(flag::ATTESTED) {
            return Err(Denial::AttestedDataMissing);
        }
        let (aaguid, rest) = split_array::<16>(rest)?;
        let (length, rest) = split_array::<2>(rest)?;
        let (credential_id, rest) = rest
            .split_at_checked(u16::from_be_bytes(length).into())
            .ok_or(Denial::AuthenticatorDataMalformed)?;
        let (public_key, rest) =
            cbor::split_first(rest).map_err(|_| Denial::AuthenticatorDataMalformed)?;
        let extensions = header.extensions(rest)?;
        let protection = extensions.and_then(|outputs| outputs.text("credProtect"));
        Ok(Self {
            header,
            aaguid,
            credential_id,
            public_key,
            requires_user_verification: protection
                == Some(Value::Int(CRED_PROTECT_USER_VERIFICATION_REQUIRED)),
        })
    }
}

impl Header {
    /// Reads the authenticator data of an authentication, which must not hold a credential.
    pub(crate) fn parse_assertion(bytes: &[u8]) -> Result<Self, Denial> {
        let (header, rest) = Self::split(bytes)?;
        if header.has(flag::ATTESTED) {
            return Err(Denial::AuthenticatorDataMalformed);
        }
        header.extensions(rest)?;
        Ok(header)
    }

    /// Steps r14 and a15.
    pub(crate) fn check_rp_id_hash(&self, rp_id: &str) -> Result<(), Denial> {
        if digest(&SHA256, rp_id.as_bytes()).as_ref() == self.rp_id_hash {
            Ok(())
        } else {
            Err(Denial::RpIdHashMismatch)
        }
    }

    /// Steps r15 and a16.
    pub(crate) fn check_user_present(&self) -> Result<(), Denial> {
        if self.is_user_present() {
            Ok(())
        } else {
            Err(Denial::UserPresenceMissing)
        }
    }

    /// Steps r16 and a17.
    pub(crate) fn check_user_verified(&self, demand: UserVerification) -> Result<(), Denial> {
        if demand == UserVerification::Required && !self.is_user_verified() {
            Err(Denial::UserVerificationMissing)
        } else {
            Ok(())
        }
    }

    /// Steps r17 and a18.
    pub(crate) fn check_backup_flags(&self) -> Result<(), Denial> {
        if self.is_backed_up() && !self.is_backup_eligible() {
            Err(Denial::BackupFlagsImpossible)
        } else {
            Ok(())
        }
    }

    pub(crate) fn rp_id_hash(&self) -> &[u8; 32] {
        &self.rp_id_hash
    }

    pub(crate) fn is_user_present(&self) -> bool {
        self.has(flag::USER_PRESENT)
    }

    pub(crate) fn is_user_verified(&self) -> bool {
        self.has(flag::USER_VERIFIED)
    }

    pub(crate) fn is_backup_eligible(&self) -> bool {
        self.has(flag::BACKUP_ELIGIBLE)
    }

    pub(crate) fn is_backed_up(&self) -> bool {
        self.has(flag::BACKED_UP)
    }

    fn split(bytes: &[u8]) -> Result<(Self, &[u8]), Denial> {
        let (rp_id_hash, rest) = split_array::<32>(bytes)?;
        let ([flags], rest) = split_array::<1>(rest)?;
        let (sign_count, rest) = split_array::<4>(rest)?;
        let header = Self {
            rp_id_hash,
            flags,
            sign_count: u32::from_be_bytes(sign_count),
        };
        Ok((header, rest))
    }

    /// The extension outputs, which must fill the rest exactly when the flag says so; else nothing may be left.
    fn extensions<'b>(&self, rest: &'b [u8]) -> Result<Option<Map<'b>>, Denial> {
        match (self.has(flag::EXTENSIONS), rest) {
            (false, []) => Ok(None),
            (false, _) => Err(Denial::AuthenticatorDataMalformed),
            (true, outputs) => Map::read(outputs)
                .map(Some)
                .map_err(|_| Denial::AuthenticatorDataMalformed),
        }
    }

    /// Bits 1 and 5 are reserved for future use and therefore never looked at.
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

fn split_array<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), Denial> {
    let (head, rest) = bytes
        .split_first_chunk::<N>()
        .ok_or(Denial::AuthenticatorDataMalformed)?;
    Ok((*head, rest))
}

/// `userVerificationRequired` of the credential protection extension (CTAP 2.1, section 12.1).
const CRED_PROTECT_USER_VERIFICATION_REQUIRED: i128 = 3;

mod flag {
    pub(super) const USER_PRESENT: u8 = 1;
    pub(super) const USER_VERIFIED: u8 = 1 << 2;
    pub(super) const BACKUP_ELIGIBLE: u8 = 1 << 3;
    pub(super) const BACKED_UP: u8 = 1 << 4;
    pub(super) const ATTESTED: u8 = 1 << 6;
    pub(super) const EXTENSIONS: u8 = 1 << 7;
}
