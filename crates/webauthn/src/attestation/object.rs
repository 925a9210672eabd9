//! The attestation object: the envelope around a registration's authenticator data and attestation statement
//! ([section 6.5](https://www.w3.org/TR/webauthn-3/#sctn-attestation)).

use super::certificate::Chain;
use crate::cbor::{self, Map, Value};
use crate::{Algorithm, Denial};

/// The three members of an attestation object.
#[derive(Debug)]
pub(crate) struct AttestationObject<'b> {
    pub(crate) format: &'b str,
    pub(super) statement: Statement<'b>,
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
            statement: Statement(Map::read(statement).map_err(|_| malformed)?),
            authenticator_data,
        })
    }

    /// Step r21, as far as it does not depend on who asks: the format `none` has nothing to say
    /// ([section 8.7](https://www.w3.org/TR/webauthn-3/#sctn-none-attestation)), every other may say anything.
    pub(super) fn check_form(&self) -> Result<(), Denial> {
        if self.format == "none" && !self.statement.0.is_empty() {
            Err(Denial::AttestationMalformed)
        } else {
            Ok(())
        }
    }
}

/// An attestation statement; its members are read as a format asks for them.
///
/// A member that is missing, of the wrong type or empty is `AttestationMalformed`.
#[derive(Debug)]
pub(super) struct Statement<'b>(Map<'b>);

impl<'b> Statement<'b> {
    /// A byte string with something in it.
    pub(super) fn bytes(&self, name: &str) -> Result<&'b [u8], Denial> {
        match self.0.text(name) {
            Some(Value::Bytes(bytes)) if !bytes.is_empty() => Ok(bytes),
            _ => Err(Denial::AttestationMalformed),
        }
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<&'b str, Denial> {
        match self.0.text(name) {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(Denial::AttestationMalformed),
        }
    }

    /// `alg`: a number, and (else `AttestationSignatureBad`) one whose signatures can be verified.
    pub(super) fn algorithm(&self) -> Result<Algorithm, Denial> {
        let Some(Value::Int(id)) = self.0.text("alg") else {
            return Err(Denial::AttestationMalformed);
        };
        i64::try_from(id)
            .ok()
            .and_then(Algorithm::from_cose_id)
            .ok_or(Denial::AttestationSignatureBad)
    }

    /// `x5c`, if it is there.
    pub(super) fn chain_if_any(&self) -> Result<Option<Chain<'b>>, Denial> {
        match self.0.text("x5c") {
            None => Ok(None),
            Some(Value::Array(encoded)) => {
                let certificates =
                    cbor::byte_strings(encoded).map_err(|_| Denial::AttestationMalformed)?;
                Chain::read(&certificates).map(Some)
            }
            Some(_) => Err(Denial::AttestationMalformed),
        }
    }

    /// `x5c`.
    pub(super) fn chain(&self) -> Result<Chain<'b>, Denial> {
        self.chain_if_any()?.ok_or(Denial::AttestationMalformed)
    }
}
