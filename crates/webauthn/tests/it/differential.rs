//! The same inputs through another relying-party library, and the table of all differences.
//!
//! Two readers of one standard who agree are no proof, but each difference is a question: who is stricter, and does the
//! standard say so. The answers stand in [`TABLE`]. A difference that it does not explain fails the test, and so does
//! an explanation that no input needs any longer.

mod inputs;
mod mutations;
mod peer;
mod plain;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use webauthn::forge::{Item, SigningKey};
use webauthn::{Algorithm, AuthenticationResponse, Credential, Denial, user_handle_matches};

use crate::site::{Site, USER_ID};
use crate::vectors::{Vector, Vectors, hex};
use inputs::cryptography::SMALL_ORDER_Y;
use inputs::{HONEST, part, set_part, sign, signed};

#[test]
fn two_verifiers_differ_only_where_the_table_says() {
    let mut met = [0; TABLE.len()];
    let mut unexplained = vec![];
    let (mut accepted, mut refused) = (0, 0);
    let all = [inputs::all(), mutations::all(), of_the_standard()].concat();
    for input in &all {
        match compare(input) {
            Ok(Agreement::Accept) => accepted += 1,
            Ok(Agreement::Refuse) => {
                assert!(!input.what.starts_with(HONEST), "{}", input.what);
                refused += 1;
            }
            Err(difference) => {
                match TABLE
                    .iter()
                    .position(|row| row.explains(&difference, input))
                {
                    Some(row) => met[row] += 1,
                    None => unexplained.push((difference, input)),
                }
            }
        }
    }
    let explained: usize = met.iter().sum();
    println!("accepted by both {accepted}, refused by both {refused}, explained {explained}");
    for (difference, input) in unexplained.iter().take(20) {
        let ceremony = match input.stored {
            None => "registration",
            Some(_) => "authentication",
        };
        println!("{difference:?}: {ceremony}, {}", input.what);
    }
    assert!(unexplained.is_empty(), "{} unexplained", unexplained.len());
    for (row, count) in TABLE.iter().zip(met) {
        println!("{count:6} {}", row.why);
        assert_ne!(count, 0, "nothing differs any longer: {}", row.why);
    }
    // Two that refuse everything would agree as well.
    assert!(accepted > 1000 && refused > 5000);
}

/// A class of differences. The first row that explains one is the one that counts.
struct Row {
    stricter: Stricter,
    /// What must be so of the input beyond the words of the refusal.
    when: fn(&Input) -> bool,
    /// Who is stricter, and by what right.
    why: &'static str,
}

/// Who refuses alone, and in which words.
enum Stricter {
    We(Denial),
    /// One of these is in what the peer says.
    They(&'static [&'static str]),
}

impl Row {
    fn explains(&self, difference: &Difference, input: &Input) -> bool {
        let is_said = match (&self.stricter, difference) {
            (Stricter::We(expected), Difference::OnlyWeRefuse(denial)) => denial == expected,
            (Stricter::They(words), Difference::OnlyTheyRefuse(refusal)) => {
                words.iter().any(|words| refusal.contains(words))
            }
            _ => false,
        };
        is_said && (self.when)(input)
    }
}

const TABLE: &[Row] = &[
    Row {
        stricter: Stricter::We(Denial::ClientDataMalformed),
        when: |input| std::str::from_utf8(&part(&input.json, "clientDataJSON")).is_err(),
        why: "Client data that is not UTF-8. The standard's decoder (r5, a8) replaces what it cannot read; we refuse, as no \
              client writes such text.",
    },
    Row {
        stricter: Stricter::We(Denial::ClientDataMalformed),
        when: |input| {
            plain::client_data(input).is_some_and(|data| {
                ["crossOrigin", "topOrigin"]
                    .iter()
                    .any(|name| data.get(name).is_some_and(Value::is_null))
            })
        },
        why: "`crossOrigin` or `topOrigin` null. Section 5.8.1 has a boolean and a text, which may be missing but not null.",
    },
    Row {
        stricter: Stricter::We(Denial::ClientDataMalformed),
        when: |input| plain::client_data(input).is_none(),
        why: "Client data that is no JSON. The peer reads names and unknown texts as bytes and so passes over control characters.",
    },
    Row {
        stricter: Stricter::We(Denial::TopOriginNotAllowed),
        when: |input| {
            plain::client_data(input).is_some_and(|data| {
                data["crossOrigin"] == Value::Bool(true) && data.get("topOrigin").is_none()
            })
        },
        why: "Embedded, and no word of the page around. Steps r11 and a14 check `topOrigin` if it is there; we demand it, else \
              the list of pages protects nothing.",
    },
    Row {
        stricter: Stricter::We(Denial::UserVerificationMissing),
        when: |input| {
            let stored = input.stored.as_ref();
            stored.is_some_and(|stored| stored.ours.requires_user_verification)
        },
        why: "An authentication without user verification by a credential that promised (`credProtect` 3) never to make one. \
              The standard leaves the promise to the authenticator; we hold it to it.",
    },
    Row {
        stricter: Stricter::We(Denial::PublicKeyWeak),
        when: |input| {
            plain::ed25519_point(input).is_some_and(|mut y| {
                y[31] &= 0x7f;
                SMALL_ORDER_Y.contains(&y)
            })
        },
        why: "An Ed25519 key of small order. The standard says nothing of it; one signature under such a key fits many messages.",
    },
    Row {
        stricter: Stricter::We(Denial::PublicKeyWeak),
        when: |input| plain::modulus_bits(input).is_some_and(|bits| !(2048..=8192).contains(&bits)),
        why: "An RSA modulus of fewer than 2048 or more than 8192 bits. The peer counts bytes, up to 2048 of them. RFC 8230, \
              section 6.1, asks for 2048 bits and warns of keys that cost too much.",
    },
    Row {
        stricter: Stricter::We(Denial::RequestMalformed),
        when: |input| {
            ["id", "type"]
                .iter()
                .any(|name| input.json.get(name).is_none())
        },
        why: "`id` or `type` missing. Section 5.1 has both in every response; the peer takes the id from the attestation object.",
    },
    Row {
        stricter: Stricter::We(Denial::RequestMalformed),
        when: |input| {
            let outside = input.json.get("transports");
            outside.is_some_and(|json| json.as_array().is_none_or(|list| list.len() > 16))
        },
        why: "`transports` beside `response`, no list or longer than any. The peer looks for them within only, where the standard \
              has them; some clients' libraries put them outside.",
    },
    Row {
        stricter: Stricter::They(&["expected 22 bytes encoded in base64url"]),
        when: |input| input.site.challenge.len() != 16,
        why: "A challenge that has not 16 bytes. Section 13.4.3 asks for at least 16; the peer knows no other than its own.",
    },
    Row {
        stricter: Stricter::They(&[
            "flags 1-bit",
            "flags 5-bit",
            "FlagsBit1Not0",
            "FlagsBit5Not0",
        ]),
        when: plain::differs_in_telling_only,
        why: "Reserved flags set. Section 6.1 reserves bits 1 and 5 for future use; who refuses them refuses the future.",
    },
    Row {
        stricter: Stricter::They(&[
            "did not have an attestation format",
            "did not have an attestation statement",
            "did not have 'authData' as its third key",
            "was not a map of three key-value pairs",
            "wrong format for the none attestation",
            "authenticator data had an invalid encoded length",
            "COSE key type was not",
            "COSE key was not encoded correctly",
            "RSA public key exponent is too large",
        ]),
        when: plain::differs_in_telling_only,
        why: "CBOR in another order, with longer lengths or with more members than needed. CTAP2 demands the canonical form of \
              authenticators; decoders may be lenient, and the meaning is the same. A key twice is refused by both.",
    },
    Row {
        stricter: Stricter::They(&[
            "AttestationSignature",
            "attestation format is not supported",
            "for the packed attestation",
            "contained a self attestation whose format did not match",
        ]),
        when: plain::differs_in_telling_only,
        why: "An attestation statement that is wrong, or of a format unknown to the peer. Step r21 verifies each; we judge none \
              that was not asked for, as nothing would follow from it: the credential is unattested either way.",
    },
    Row {
        stricter: Stricter::They(&[
            "CBOR authenticator extension",
            "AuthenticatorExtension(",
            "HmacSecretForPrfIncapableCred",
            "HmacSecretWithoutPrf",
            "HmacSecretWithoutUserVerified",
            "CredProtectUserVerificationRequiredWithoutUserVerified",
        ]),
        when: plain::differs_in_telling_only,
        why: "Outputs of extensions that were not asked for, unknown or with values that make no sense. Steps r27 and a23 \
              leave them to the relying party; clients add some of their own.",
    },
    Row {
        stricter: Stricter::They(&[
            "PrfWithoutHmacSecret",
            "Option value, expected null",
            "expected ClientExtensionsOutputs",
            "unknown field `enabled`",
        ]),
        when: |input| input.json.get("clientExtensionResults").is_some(),
        why: "The same for what the client says of extensions. The peer refuses secrets that should not have left the browser.",
    },
    Row {
        stricter: Stricter::They(&["expected 'ble', 'hybrid'", "expected 'platform' or"]),
        when: |_| true,
        why: "A transport or an attachment with a new name. Sections 5.1 and 5.2.1 say that unknown words may come.",
    },
    Row {
        stricter: Stricter::They(&[
            "expected public key algorithm to match",
            "expected authenticator data to be long enough",
            "SubjectPublicKeyInfo",
        ]),
        when: |input| {
            let copies = ["publicKey", "publicKeyAlgorithm", "authenticatorData"];
            let response = &input.json["response"];
            input.stored.is_none() && copies.iter().any(|name| response.get(name).is_some())
        },
        why: "Copies of what the attestation object holds, not the same. Section 5.2.1 has them for the client's convenience; we \
              read the original and never a copy.",
    },
    Row {
        stricter: Stricter::They(&["invalid type: null, expected CredentialId"]),
        when: |input| input.json["rawId"].is_null(),
        why: "`rawId` null. It repeats `id`, and for us null is missing.",
    },
    Row {
        stricter: Stricter::They(&["expected 16 to 1023 bytes encoded"]),
        when: |input| {
            let id = input.json["id"]
                .as_str()
                .map(|id| BASE64_URL_SAFE_NO_PAD.decode(id));
            matches!(id, Some(Ok(id)) if (1..16).contains(&id.len()))
        },
        why: "A credential id of fewer than 16 bytes. Section 4 has at least 16 of authenticators; step r24 checks the \
              upper bound only.",
    },
    Row {
        stricter: Stricter::They(&["expected 24 bytes encoded in base64url"]),
        when: |input| {
            let handle = input.json["response"]["userHandle"].as_str();
            handle.is_some_and(|handle| handle.is_empty() || user_handle_matches(USER_ID, handle))
        },
        why: "A user handle that is empty, not encoded or encoded twice. Clients differ in this; the user is the same.",
    },
    Row {
        stricter: Stricter::They(&["PubKey(Ed25519)"]),
        when: |input| plain::ed25519_point(input).is_some(),
        why: "32 bytes for an Ed25519 key that are no point of the curve. RFC 8032 decodes the key when it verifies, and so does \
              aws-lc. Nothing can be signed under such a key, so that it harms nobody but its maker.",
    },
    Row {
        stricter: Stricter::They(&["COSE key was not encoded correctly"]),
        when: |input| {
            let key = plain::public_key(input);
            input.site.algorithms.contains(&Algorithm::Es512)
                && key.and_then(|key| plain::value(&key, Item::Int(3))) == Some(Item::Int(-36))
        },
        why: "ES512 where it is offered. The peer does not know it.",
    },
    Row {
        stricter: Stricter::They(&["RSA public key exponent is too large"]),
        when: |_| true,
        why: "An RSA exponent of 33 bits. RFC 8230 has no bound; ours is that of aws-lc, the peer's has 32 bits.",
    },
];

/// What a registration proved.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RegistrationFacts {
    credential_id: Vec<u8>,
    public_key: Vec<u8>,
    aaguid: Vec<u8>,
    user_verified: bool,
    backup_eligible: bool,
    backed_up: bool,
    sign_count: u32,
}

/// What stands in the record after an authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
struct AuthenticationFacts {
    backup_eligible: bool,
    backed_up: bool,
    sign_count: u32,
}

/// What both verifiers are asked.
#[derive(Clone, Debug)]
struct Input {
    what: String,
    site: Site,
    json: Value,
    /// What both keep of the credential that authenticates; `None` for a registration.
    stored: Option<Stored>,
}

/// A credential on record.
#[derive(Clone, Debug)]
struct Stored {
    ours: Credential,
    theirs: peer::Record,
}

/// How two verdicts on one input differ.
#[derive(Clone, Debug)]
enum Difference {
    OnlyWeRefuse(Denial),
    OnlyTheyRefuse(String),
    /// Both accept, and understood different things.
    Facts,
}

enum Agreement {
    Accept,
    Refuse,
}

fn compare(input: &Input) -> Result<Agreement, Difference> {
    match &input.stored {
        None => contrast(
            register(input),
            peer::verify_registration(&input.site, &input.json).map(|(facts, _)| facts),
        ),
        Some(stored) => contrast(
            authenticate(input, &stored.ours),
            peer::verify_authentication(&input.site, &stored.theirs, &input.json),
        ),
    }
}

fn contrast<F: PartialEq>(
    ours: Result<F, Denial>,
    theirs: Result<F, String>,
) -> Result<Agreement, Difference> {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) if ours == theirs => Ok(Agreement::Accept),
        (Ok(_), Ok(_)) => Err(Difference::Facts),
        (Err(_), Err(_)) => Ok(Agreement::Refuse),
        (Err(denial), Ok(_)) => Err(Difference::OnlyWeRefuse(denial)),
        (Ok(_), Err(refusal)) => Err(Difference::OnlyTheyRefuse(refusal)),
    }
}

fn register(input: &Input) -> Result<RegistrationFacts, Denial> {
    let registration = input.site.verify_registration(&input.json)?;
    let credential = registration.credential;
    Ok(RegistrationFacts {
        credential_id: credential.id,
        public_key: credential.public_key,
        aaguid: credential.aaguid.to_vec(),
        user_verified: registration.user_verified,
        backup_eligible: credential.backup_eligible == Some(true),
        backed_up: credential.backed_up,
        sign_count: credential.sign_count,
    })
}

/// With the two checks that this crate leaves to whoever has the credentials: steps a5 and a6.
fn authenticate(input: &Input, credential: &Credential) -> Result<AuthenticationFacts, Denial> {
    let response = AuthenticationResponse::from_json(&input.json)?;
    if response.credential_id() != credential.id {
        return Err(Denial::CredentialNotAllowed);
    }
    if response
        .user_handle()
        .is_some_and(|handle| !user_handle_matches(USER_ID, handle))
    {
        return Err(Denial::UserHandleMismatch);
    }
    let verified = input.site.verify_authentication(credential, &input.json)?;
    Ok(AuthenticationFacts {
        backup_eligible: verified.backup_eligible,
        backed_up: verified.backed_up,
        sign_count: verified.sign_count.max(credential.sign_count),
    })
}

/// The standard's own vectors, with challenges of the size that the peer knows, signed anew by the published keys.
fn of_the_standard() -> Vec<Input> {
    let mut all = vec![];
    let Some(vectors) = Vectors::load() else {
        return all;
    };
    for vector in vectors.all() {
        for top_origins in [None, Some(vec!["https://example.com".to_owned()])] {
            let mut site = vectors.site(&vector, "registration");
            site.relying_party.top_origins = top_origins;
            let input = |what: &str, site: &Site, json, stored| Input {
                what: format!("{what} {}", vector.name()),
                site: site.clone(),
                json,
                stored,
            };
            let key = private_key(&vector);
            let mut json = vector.registration();
            shorten_challenge(&mut site, &mut json);
            if let Some(key) = &key {
                attest_anew(&mut json, key);
            }
            let registration = input("registration of", &site, json, None);
            let stored = store_plainly(&registration);
            all.push(registration);

            if let (Some(key), Some(stored)) = (key, stored) {
                site.challenge = hex(&vector.0["authentication"]["challenge"]);
                let mut json = vector.authentication(&stored.ours);
                shorten_challenge(&mut site, &mut json);
                sign(&mut json, &key);
                all.push(input(HONEST, &site, json, Some(stored)));
            }
        }
    }
    // Twelve keys, each twice, but for the two embedded ceremonies: one fits once and the other never.
    let authentications = all.iter().filter(|input| input.stored.is_some());
    assert_eq!(authentications.count(), 21);
    all
}

/// The credential's own key, where it is published as a number and of an algorithm that both verifiers know.
fn private_key(vector: &Vector) -> Option<SigningKey> {
    let registration = &vector.0["registration"];
    let number = |name: &str| hex(&registration[name]);
    let ecdsa = |algorithm| SigningKey::ecdsa(algorithm, &number("credential_private_key"));
    vector.name().split('-').find_map(|part| match part {
        "es256" => Some(ecdsa(Algorithm::Es256)),
        "es384" => Some(ecdsa(Algorithm::Es384)),
        "eddsa" => Some(SigningKey::ed25519(&number("private_key"))),
        _ => None,
    })
}

/// Leaves the first 16 bytes of the site's challenge, in the client data as well.
fn shorten_challenge(site: &mut Site, json: &mut Value) {
    let text = |challenge: &[u8]| format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(challenge));
    let long = text(&site.challenge);
    site.challenge.truncate(16);
    let client_data = String::from_utf8(part(json, "clientDataJSON")).unwrap();
    assert!(client_data.contains(&long));
    let client_data = client_data.replace(&long, &text(&site.challenge));
    set_part(json, "clientDataJSON", client_data.as_bytes());
}

/// Signs a self attestation anew; every other statement stays as it is.
fn attest_anew(json: &mut Value, key: &SigningKey) {
    let object = plain::whole(&part(json, "attestationObject"));
    let mut object = object.expect("CBOR in a vector");
    let (Some(mut statement), Some(Item::Bytes(data))) = (
        plain::value(&object, Item::text("attStmt")),
        plain::value(&object, Item::text("authData")),
    ) else {
        panic!("not an attestation object");
    };
    let is_signed = plain::value(&statement, Item::text("sig")).is_some();
    let is_certified = plain::value(&statement, Item::text("x5c")).is_some();
    if is_signed && !is_certified {
        let signature = key.sign(&signed(&data, &part(json, "clientDataJSON")));
        statement.set(Item::text("sig"), Item::Bytes(signature));
        object.set(Item::text("attStmt"), statement);
        set_part(json, "attestationObject", &object.encode());
    }
}

/// Registers with both, told plainly to the peer.
fn store_plainly(registration: &Input) -> Option<Stored> {
    let ours = registration
        .site
        .verify_registration(&registration.json)
        .ok()?;
    let plain = plain::plain_registration(registration)?;
    let (_, theirs) = peer::verify_registration(&plain.site, &plain.json).ok()?;
    Some(Stored {
        ours: ours.credential,
        theirs,
    })
}
