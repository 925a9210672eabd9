//! The format `android-key` ([section 8.4](https://www.w3.org/TR/webauthn-3/#sctn-android-key-attestation)): the
//! certificate of the credential's own key, in which Android's keystore describes it
//! ([schema](https://source.android.com/docs/security/features/keystore/attestation#schema)).

use x509_cert::der::asn1::{AnyRef, OctetStringRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Error, ErrorKind, Reader, Result as DerResult, SliceReader, Tag, Tagged};

use super::object::Statement;
use super::{AndroidKeys, Certified, Evidence, NewCredential};
use crate::Denial;

/// The verification procedure.
///
/// The key is compared before the signature is verified, so that a chain in the wrong order is a fault of the
/// certificates and not of the signature.
pub(super) fn verify<'b>(
    statement: &Statement<'b>,
    credential: &NewCredential<'_>,
    keys: AndroidKeys,
) -> Result<Evidence<'b>, Denial> {
    let signature = statement.bytes("sig")?;
    let algorithm = statement.algorithm()?;
    let chain = statement.chain()?;
    let leaf = chain.leaf();
    if leaf.key_numbers().as_ref() != Some(&credential.key) {
        return Err(Denial::AttestationCertificateBad);
    }
    leaf.verify(algorithm, &credential.signed_data(), signature)?;
    let is_fit = leaf
        .extension(KEY_DESCRIPTION)
        .and_then(|extension| KeyDescription::read(extension.extn_value.as_bytes()).ok())
        .is_some_and(|key| key.challenge == credential.client_data_hash && key.is_fit(keys));
    if !is_fit {
        return Err(Denial::AttestationCertificateBad);
    }
    Ok(Evidence::Certified(Certified {
        chain,
        aaguid: credential.attested.aaguid,
        names_model: false,
    }))
}

/// What the keystore says about a key, as far as it is looked at.
#[derive(Debug)]
struct KeyDescription<'c> {
    /// Who says it: 0 is software.
    security_level: &'c [u8],
    challenge: &'c [u8],
    software: Authorizations,
    hardware: Authorizations,
}

/// What one environment enforces.
#[derive(Debug, Default)]
struct Authorizations {
    all_applications: bool,
    origin: Option<u8>,
    purposes: Option<Vec<u8>>,
}

impl<'c> KeyDescription<'c> {
    fn read(der: &'c [u8]) -> DerResult<Self> {
        let mut reader = SliceReader::new(der)?;
        let description = reader.sequence(|reader| {
            let _attestation_version = typed(reader, Tag::Integer)?;
            let security_level = typed(reader, Tag::Enumerated)?.value();
            let _keystore_version = typed(reader, Tag::Integer)?;
            let _keystore_security_level = typed(reader, Tag::Enumerated)?;
            let challenge = reader.decode::<&OctetStringRef>()?.as_bytes();
            let _unique_id = reader.decode::<&OctetStringRef>()?;
            DerResult::Ok(Self {
                security_level,
                challenge,
                software: Authorizations::read(typed(reader, Tag::Sequence)?)?,
                hardware: Authorizations::read(typed(reader, Tag::Sequence)?)?,
            })
        })?;
        reader.finish()?;
        Ok(description)
    }

    /// Whether the key was made on the device to sign, and is bound to the app that asked for it.
    fn is_fit(&self, keys: AndroidKeys) -> bool {
        let is_bound = !self.software.all_applications && !self.hardware.all_applications;
        let is_guarded = match keys {
            AndroidKeys::TrustedEnvironment => {
                self.security_level != [SECURITY_LEVEL_SOFTWARE]
                    && self.hardware.is_generated() == Some(true)
                    && self.hardware.is_for_signing() == Some(true)
            }
            AndroidKeys::AnyEnvironment => [&self.software, &self.hardware].iter().all(|list| {
                list.is_generated() != Some(false) && list.is_for_signing() != Some(false)
            }),
        };
        is_bound && is_guarded
    }
}

impl Authorizations {
    fn read(list: AnyRef<'_>) -> DerResult<Self> {
        let mut authorizations = Self::default();
        let mut reader = SliceReader::new(list.value())?;
        while !reader.is_finished() {
            let entry: AnyRef<'_> = reader.decode()?;
            let Tag::ContextSpecific { number, .. } = entry.tag() else {
                return Err(ErrorKind::Failed.into());
            };
            match number.0 {
                tag::PURPOSE => {
                    let mut content = SliceReader::new(entry.value())?;
                    let set = typed(&mut content, Tag::Set)?;
                    let mut members = SliceReader::new(set.value())?;
                    let mut purposes = Vec::new();
                    while !members.is_finished() {
                        purposes.push(members.decode::<u8>()?);
                    }
                    authorizations.purposes = Some(purposes);
                }
                tag::ALL_APPLICATIONS => authorizations.all_applications = true,
                tag::ORIGIN => {
                    let mut content = SliceReader::new(entry.value())?;
                    authorizations.origin = Some(content.decode::<u8>()?);
                }
                _ => {}
            }
        }
        Ok(authorizations)
    }

    fn is_generated(&self) -> Option<bool> {
        self.origin.map(|origin| origin == ORIGIN_GENERATED)
    }

    fn is_for_signing(&self) -> Option<bool> {
        self.purposes
            .as_ref()
            .map(|purposes| purposes.contains(&PURPOSE_SIGN))
    }
}

fn typed<'c>(reader: &mut impl Reader<'c>, tag: Tag) -> DerResult<AnyRef<'c>> {
    let element: AnyRef<'c> = reader.decode()?;
    if element.tag() == tag {
        Ok(element)
    } else {
        Err(Error::from(ErrorKind::Failed))
    }
}

const KEY_DESCRIPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.1.17");

const SECURITY_LEVEL_SOFTWARE: u8 = 0;
const ORIGIN_GENERATED: u8 = 0;
const PURPOSE_SIGN: u8 = 2;

/// Tags of an authorization list.
mod tag {
    pub(super) const PURPOSE: u32 = 1;
    pub(super) const ALL_APPLICATIONS: u32 = 600;
    pub(super) const ORIGIN: u32 = 702;
}
