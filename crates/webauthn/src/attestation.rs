//! The attestation object: the envelope around a registration's authenticator data
//! ([section 6.5](https://www.w3.org/TR/webauthn-3/#sctn-attestation)).
//!
//! Statements are read for their form only. Whether one is true, and whom it would convince, is not asked here.

use crate::Denial;
use crate::cbor::{Map, Value};

/// The three members of an attestation object.
#[derive(Debug)]
pub(crate) struct AttestationObject<'b> {
    pub(crate) format: &'b str,
    statement: Map<'b>,
    pub(crate) authenticator_data: &'b [u8],
}

impl<'b> AttestationObject<'b> {
    /// Step r13: one CBOR map with `fmt`, `attStmt` and `authData`; further text keys are ignored.
    pub(crate) fn parse(bytes: &'b [u8]) -> Result<Self, Denial> {
        let malformed = Denial::AttestationObjectMalformed;
        let object = Map::read(bytes).map_err(|_| malformed)?;
        let (
            Some(Value::Text(format)),
            Some(Value::Map(statement)),
            Some(Value::Bytes(authenticator_data)),
        ) = (
            object.text("fmt"),
            object.text("attStmt"),
            object.text("authData"),
        )
        else {
            return Err(malformed);
        };
        Ok(Self {
            format,
            statement: Map::read(statement).map_err(|_| malformed)?,
            authenticator_data,
        })
    }

    /// Step r21, as far as nobody asks for attestation: the format `none` has nothing to say
    /// ([section 8.7](https://www.w3.org/TR/webauthn-3/#sctn-none-attestation)), every other may say anything.
    pub(crate) fn check_statement(&self) -> Result<(), Denial> {
        if self.format == "none" && !self.statement.is_empty() {
            Err(Denial::AttestationMalformed)
        } else {
            Ok(())
        }
    }
}
