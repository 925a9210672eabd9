//! What both verifiers are asked: honest ceremonies, and each systematic fault of one.

mod cbor;
mod client_data;
pub(super) mod cryptography;
mod responses;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use webauthn::forge::attestation::{Attester, Format};
use webauthn::forge::{
    Authenticator, ClientData, ForgedAuthentication, ForgedRegistration, Item, SigningKey, flag,
};
use webauthn::{Algorithm, CounterPolicy, UserVerification};

use super::{Input, Stored, peer};
use crate::site::{Site, USER_ID, authenticator};

/// The algorithms that both verifiers know.
pub(super) const COMMON: [Algorithm; 4] = [
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::EdDsa,
    Algorithm::Rs256,
];

/// How the names of inputs begin that both must accept.
pub(super) const HONEST: &str = "honest";

/// A site with a challenge of the one size that the peer knows.
pub(super) fn site() -> Site {
    Site {
        challenge: (100..116).collect(),
        algorithms: COMMON.to_vec(),
        ..Site::new()
    }
}

/// Inputs in the making.
pub(super) struct Inputs {
    pub(super) all: Vec<Input>,
    /// One credential of each algorithm, registered with both.
    stored: Vec<(Algorithm, Stored)>,
}

impl Inputs {
    pub(super) fn new() -> Self {
        let site = site();
        let stored = COMMON.map(|algorithm| {
            let json = site.create(&mut authenticator(algorithm)).json();
            (algorithm, store(&site, &json))
        });
        Self {
            all: Vec::new(),
            stored: stored.to_vec(),
        }
    }

    pub(super) fn push(&mut self, what: &str, site: &Site, json: Value, stored: Option<Stored>) {
        self.all.push(Input {
            what: what.into(),
            site: site.clone(),
            json,
            stored,
        });
    }

    /// An honest registration, changed.
    pub(super) fn registration(
        &mut self,
        what: &str,
        site: &Site,
        algorithm: Algorithm,
        change: impl FnOnce(&mut ForgedRegistration),
    ) {
        let mut forged = site.create(&mut authenticator(algorithm));
        change(&mut forged);
        self.push(what, site, forged.json(), None);
    }

    /// An honest authentication, changed before it is signed.
    pub(super) fn authentication(
        &mut self,
        what: &str,
        site: &Site,
        algorithm: Algorithm,
        change: impl FnOnce(&mut ForgedAuthentication),
    ) {
        let mut forged = site.get(&mut holder(algorithm));
        change(&mut forged);
        self.push(what, site, forged.json(), Some(self.stored(algorithm)));
    }

    /// Changes the counter on record for the last authentication.
    pub(super) fn count_stored_to(&mut self, sign_count: u32) {
        let stored = self.all.last_mut().and_then(|input| input.stored.as_mut());
        let stored = stored.expect("an authentication");
        stored.ours.sign_count = sign_count;
        stored.theirs.count_to(sign_count);
    }

    /// What both have on record for the credential of an algorithm.
    pub(super) fn stored(&self, algorithm: Algorithm) -> Stored {
        let found = self.stored.iter().find(|(of, _)| *of == algorithm);
        found.expect("an algorithm that both know").1.clone()
    }
}

/// Registers with both, which must accept.
pub(super) fn store(site: &Site, json: &Value) -> Stored {
    Stored {
        ours: site.verify_registration(json).expect("ours").credential,
        theirs: peer::verify_registration(site, json).expect("theirs").1,
    }
}

/// The authenticator with the stored credential of an algorithm.
pub(super) fn holder(algorithm: Algorithm) -> Authenticator {
    let mut holder = authenticator(algorithm);
    holder.user_handle = Some(USER_ID.into());
    holder
}

/// What an authenticator signs.
pub(super) fn signed(authenticator_data: &[u8], client_data: &[u8]) -> Vec<u8> {
    [authenticator_data, digest(&SHA256, client_data).as_ref()].concat()
}

/// A binary member of the response, decoded.
pub(super) fn part(json: &Value, name: &str) -> Vec<u8> {
    let text = json["response"][name].as_str().expect("text");
    BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// Puts a binary member of the response in the place of what was there.
pub(super) fn set_part(json: &mut Value, name: &str, bytes: &[u8]) {
    json["response"][name] = BASE64_URL_SAFE_NO_PAD.encode(bytes).into();
}

/// All that is systematic.
pub(super) fn all() -> Vec<Input> {
    let mut inputs = Inputs::new();
    honest(&mut inputs);
    client_data::all(&mut inputs);
    embedding(&mut inputs);
    flags(&mut inputs);
    counters(&mut inputs);
    extensions(&mut inputs);
    lengths(&mut inputs);
    flipped_bits(&mut inputs);
    cbor::all(&mut inputs);
    credential_ids(&mut inputs);
    cryptography::public_keys(&mut inputs);
    statements(&mut inputs);
    cryptography::signatures(&mut inputs);
    responses::all(&mut inputs);
    inputs.all
}

fn honest(inputs: &mut Inputs) {
    for verification in [UserVerification::Required, UserVerification::Preferred] {
        let site = Site {
            user_verification: verification,
            ..site()
        };
        for algorithm in COMMON {
            inputs.registration(HONEST, &site, algorithm, |_| {});
            inputs.authentication(HONEST, &site, algorithm, |_| {});
            let key = authenticator(algorithm).key;
            inputs.registration(
                &format!("{HONEST} self attestation"),
                &site,
                algorithm,
                |forged| {
                    Attester::new(Format::PackedSelf, &key).attest(forged);
                },
            );
        }
        inputs.registration(
            &format!("{HONEST} security key"),
            &site,
            Algorithm::Es256,
            |forged| {
                forged.authenticator_data.flags =
                    flag::USER_PRESENT | flag::USER_VERIFIED | flag::ATTESTED;
                forged.authenticator_data.sign_count = 1;
            },
        );
    }
    let site = Site {
        challenge: (0..32).collect(),
        ..site()
    };
    inputs.registration("challenge of 32 bytes", &site, Algorithm::Es256, |_| {});
    inputs.authentication("challenge of 32 bytes", &site, Algorithm::Es256, |_| {});
}

fn embedding(inputs: &mut Inputs) {
    let mut site = site();
    for allowed in [&["https://example.com"][..], &[]] {
        site.relying_party.top_origins =
            Some(allowed.iter().map(|&origin| origin.into()).collect());
        for cross_origin in [json!(true), json!(false), Value::Null] {
            for top_origin in [
                json!("https://example.com"),
                json!("https://example.net"),
                json!("https://example.org"),
                Value::Null,
            ] {
                let change = |data: &mut ClientData| {
                    for (name, value) in
                        [("crossOrigin", &cross_origin), ("topOrigin", &top_origin)]
                    {
                        match value {
                            Value::Null => data.remove(name),
                            value => data.set(name, value.clone()),
                        }
                    }
                };
                let what = format!("{allowed:?} may embed: {cross_origin} {top_origin}");
                inputs.registration(&what, &site, Algorithm::Es256, |forged| {
                    change(&mut forged.client_data);
                });
                inputs.authentication(&what, &site, Algorithm::Es256, |forged| {
                    change(&mut forged.client_data);
                });
            }
        }
    }
}

fn flags(inputs: &mut Inputs) {
    for conditional in [false, true] {
        for verification in [UserVerification::Required, UserVerification::Preferred] {
            let site = Site {
                user_verification: verification,
                conditional,
                ..site()
            };
            for flags in 0..=u8::MAX {
                let what = format!("flags {flags:08b}");
                inputs.registration(&what, &site, Algorithm::EdDsa, |forged| {
                    forged.authenticator_data.flags = flags;
                });
                inputs.registration(
                    &format!("{what}, with extensions"),
                    &site,
                    Algorithm::EdDsa,
                    |forged| {
                        forged.authenticator_data.flags = flags;
                        forged.authenticator_data.extensions = Some(cred_protect(2).encode());
                    },
                );
                if conditional {
                    continue;
                }
                for backup_eligible in [false, true] {
                    inputs.authentication(&what, &site, Algorithm::EdDsa, |forged| {
                        forged.authenticator_data.flags = flags;
                    });
                    if !backup_eligible {
                        let stored = not_backup_eligible(&site);
                        inputs.all.last_mut().unwrap().stored = Some(stored);
                    }
                }
            }
        }
    }
}

/// The EdDSA credential, registered as one that stays on its device.
fn not_backup_eligible(site: &Site) -> Stored {
    let mut forged = site.create(&mut authenticator(Algorithm::EdDsa));
    forged.authenticator_data.flags = flag::USER_PRESENT | flag::USER_VERIFIED | flag::ATTESTED;
    store(site, &forged.json())
}

fn counters(inputs: &mut Inputs) {
    for counter_policy in [CounterPolicy::Record, CounterPolicy::Refuse] {
        let site = Site {
            counter_policy,
            ..site()
        };
        let counts = [0, 1, 2, 5, 0x7fff_ffff, 0x8000_0000, u32::MAX];
        for before in counts {
            for now in counts {
                inputs.authentication(
                    &format!("{now} after {before}"),
                    &site,
                    Algorithm::EdDsa,
                    |forged| forged.authenticator_data.sign_count = now,
                );
                inputs.count_stored_to(before);
            }
        }
        for count in counts {
            inputs.registration(
                &format!("counter {count}"),
                &site,
                Algorithm::EdDsa,
                |forged| forged.authenticator_data.sign_count = count,
            );
        }
    }
}

fn cred_protect(level: i64) -> Item {
    Item::Map(vec![(Item::text("credProtect"), Item::Int(level))])
}

fn extensions(inputs: &mut Inputs) {
    let one = |name: &str, value: Item| Item::Map(vec![(Item::text(name), value)]);
    let table = [
        ("credProtect 1", cred_protect(1)),
        ("credProtect 2", cred_protect(2)),
        ("credProtect 3", cred_protect(3)),
        ("credProtect 4", cred_protect(4)),
        ("credProtect as text", one("credProtect", Item::text("3"))),
        ("hmac-secret", one("hmac-secret", Item::Bool(true))),
        ("no hmac-secret", one("hmac-secret", Item::Bool(false))),
        (
            "hmac-secret of 48 bytes",
            one("hmac-secret", Item::Bytes(vec![7; 48])),
        ),
        (
            "hmac-secret of 80 bytes",
            one("hmac-secret", Item::Bytes(vec![7; 80])),
        ),
        ("minPinLength", one("minPinLength", Item::Int(8))),
        ("unknown", one("unknown", Item::Map(vec![]))),
        ("two", {
            let mut two = cred_protect(2);
            two.set(Item::text("hmac-secret"), Item::Bool(false));
            two
        }),
        ("two in another order", {
            let mut two = one("hmac-secret", Item::Bool(false));
            two.set(Item::text("credProtect"), Item::Int(2));
            two
        }),
        ("one twice", {
            let mut twice = cred_protect(2);
            twice
                .entries()
                .push((Item::text("credProtect"), Item::Int(2)));
            twice
        }),
        ("none in an empty map", Item::Map(vec![])),
        ("a list", Item::Array(vec![])),
        ("a number", Item::Int(7)),
        ("nothing at all", Item::Raw(vec![])),
        ("a map cut short", Item::Raw(vec![0xa1])),
        ("a map without end", Item::Raw(vec![0xbf, 0xff])),
        ("a map and a byte", Item::Raw(vec![0xa0, 0])),
    ];
    for verification in [UserVerification::Required, UserVerification::Preferred] {
        for is_verified in [true, false] {
            let site = Site {
                user_verification: verification,
                ..site()
            };
            for (what, outputs) in &table {
                let what = format!("extensions: {what}, verified: {is_verified}");
                let unset = if is_verified { 0 } else { flag::USER_VERIFIED };
                inputs.registration(&what, &site, Algorithm::Es256, |forged| {
                    forged.authenticator_data.flags |= flag::EXTENSIONS;
                    forged.authenticator_data.flags &= !unset;
                    forged.authenticator_data.extensions = Some(outputs.encode());
                });
                inputs.authentication(&what, &site, Algorithm::Es256, |forged| {
                    forged.authenticator_data.flags |= flag::EXTENSIONS;
                    forged.authenticator_data.flags &= !unset;
                    forged.authenticator_data.extensions = Some(outputs.encode());
                });
            }
        }
    }
    // A credential that promised never to sign without verifying the user.
    let site = Site {
        user_verification: UserVerification::Preferred,
        ..site()
    };
    let mut forged = site.create(&mut authenticator(Algorithm::Es256));
    forged.authenticator_data.flags |= flag::EXTENSIONS;
    forged.authenticator_data.extensions = Some(cred_protect(3).encode());
    let stored = store(&site, &forged.json());
    for unset in [0, flag::USER_VERIFIED] {
        inputs.authentication("protected", &site, Algorithm::Es256, |forged| {
            forged.authenticator_data.flags &= !unset;
        });
        inputs.all.last_mut().unwrap().stored = Some(stored.clone());
    }
}

fn lengths(inputs: &mut Inputs) {
    let site = site();
    for algorithm in COMMON {
        let registration = site.create(&mut authenticator(algorithm));
        let whole = registration.json();
        for name in ["attestationObject", "clientDataJSON"] {
            let bytes = part(&whole, name);
            for length in 0..bytes.len() {
                let mut json = whole.clone();
                set_part(&mut json, name, &bytes[..length]);
                inputs.push(&format!("{length} bytes of {name}"), &site, json, None);
            }
            for more in [&[0][..], &[0xff], b" ", b"{}", &[0xa0], &bytes] {
                let mut json = whole.clone();
                set_part(&mut json, name, &[&bytes, more].concat());
                inputs.push(&format!("{name} and more"), &site, json, None);
            }
        }
        let data = registration.authenticator_data.bytes();
        for length in 0..data.len() {
            inputs.push(
                &format!("{length} bytes of authenticator data"),
                &site,
                with_authenticator_data(&registration, &data[..length]),
                None,
            );
        }
        for more in [&[0][..], &[0xa0], &[0xff; 40]] {
            inputs.push(
                "authenticator data and more",
                &site,
                with_authenticator_data(&registration, &[&data, more].concat()),
                None,
            );
        }

        let authentication = site.get(&mut holder(algorithm));
        let whole = authentication.json();
        for name in ["authenticatorData", "clientDataJSON", "signature"] {
            let bytes = part(&whole, name);
            let cut = (0..bytes.len()).map(|length| bytes[..length].to_vec());
            let longer = [&[0][..], &[0xff], b" "].map(|more| [&bytes, more].concat());
            for bytes in cut.chain(longer) {
                let what = format!("{} bytes of {name}", bytes.len());
                let mut json = whole.clone();
                set_part(&mut json, name, &bytes);
                inputs.push(&what, &site, json.clone(), Some(inputs.stored(algorithm)));
                if name != "signature" && algorithm == Algorithm::EdDsa {
                    sign(&mut json, &authentication.key);
                    let what = format!("{what}, signed");
                    inputs.push(&what, &site, json, Some(inputs.stored(algorithm)));
                }
            }
        }
    }
}

/// Signs an authentication anew, whatever it is now.
pub(super) fn sign(json: &mut Value, key: &SigningKey) {
    let message = signed(
        &part(json, "authenticatorData"),
        &part(json, "clientDataJSON"),
    );
    set_part(json, "signature", &key.sign(&message));
}

/// The registration with other bytes for authenticator data, in an honest wrapping.
pub(super) fn with_authenticator_data(registration: &ForgedRegistration, bytes: &[u8]) -> Value {
    let mut object = registration.attestation_object_item();
    object.set(Item::text("authData"), Item::Bytes(bytes.to_vec()));
    let mut json = registration.json();
    set_part(&mut json, "attestationObject", &object.encode());
    json
}

fn flipped_bits(inputs: &mut Inputs) {
    let site = site();
    for algorithm in COMMON {
        // The peer is slow on P-384, and RSA keys are long.
        let step = match algorithm {
            Algorithm::Es384 => 7,
            Algorithm::Rs256 => 3,
            _ => 1,
        };
        let registration = site.create(&mut authenticator(algorithm));
        let mut attested = registration.clone();
        Attester::new(Format::PackedSelf, &authenticator(algorithm).key).attest(&mut attested);
        for (what, whole) in [("", registration.json()), (", attested", attested.json())] {
            for name in ["attestationObject", "clientDataJSON"] {
                let bytes = part(&whole, name);
                for at in (0..bytes.len()).step_by(step) {
                    let mut flipped = bytes.clone();
                    flipped[at] ^= 1 << (at % 8);
                    let mut json = whole.clone();
                    set_part(&mut json, name, &flipped);
                    inputs.push(&format!("byte {at} of {name}{what}"), &site, json, None);
                }
            }
        }
        let authentication = site.get(&mut holder(algorithm));
        let whole = authentication.json();
        for name in ["authenticatorData", "clientDataJSON", "signature"] {
            let bytes = part(&whole, name);
            for at in (0..bytes.len()).step_by(step) {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << (at % 8);
                let mut json = whole.clone();
                set_part(&mut json, name, &flipped);
                let what = format!("byte {at} of {name}");
                inputs.push(&what, &site, json.clone(), Some(inputs.stored(algorithm)));
                if name != "signature" && algorithm == Algorithm::EdDsa {
                    sign(&mut json, &authentication.key);
                    let what = format!("{what}, signed");
                    inputs.push(&what, &site, json, Some(inputs.stored(algorithm)));
                }
            }
        }
    }
}

fn credential_ids(inputs: &mut Inputs) {
    let site = site();
    for length in [0, 1, 15, 16, 17, 64, 255, 256, 1022, 1023, 1024, 2000] {
        inputs.registration(
            &format!("credential id of {length} bytes"),
            &site,
            Algorithm::Es256,
            |forged| {
                forged.credential_id = vec![7; length];
                forged.attested().credential_id = vec![7; length];
            },
        );
    }
    for announced in [0, 1, 31, 33, 110, 1023, 1024, u16::MAX] {
        inputs.registration(
            &format!("credential id said to have {announced} bytes"),
            &site,
            Algorithm::Es256,
            |forged| forged.attested().credential_id_length = Some(announced),
        );
    }
    inputs.registration(
        "credential id of another",
        &site,
        Algorithm::Es256,
        |forged| forged.credential_id[31] ^= 1,
    );
    inputs.authentication(
        "credential id of another",
        &site,
        Algorithm::Es256,
        |forged| forged.credential_id[31] ^= 1,
    );
}

fn statements(inputs: &mut Inputs) {
    let site = site();
    for format in Format::CERTIFIED {
        let key = authenticator(Algorithm::Es256).key;
        inputs.registration(format.name(), &site, Algorithm::Es256, |forged| {
            Attester::new(format, &key).attest(forged);
        });
    }
    for algorithm in COMMON {
        let key = authenticator(algorithm).key;
        let other = SigningKey::from_seed(Algorithm::Es256, "other");
        inputs.registration("self attestation by another", &site, algorithm, |forged| {
            Attester::new(Format::PackedSelf, &other).attest(forged);
        });
        inputs.registration("self attestation changed", &site, algorithm, |forged| {
            Attester::new(Format::PackedSelf, &key).attest(forged);
            forged.authenticator_data.sign_count += 1;
        });
        for number in [-7, -8, -35, -257, 0] {
            inputs.registration("self attestation as another", &site, algorithm, |forged| {
                let mut attester = Attester::new(Format::PackedSelf, &key);
                attester.algorithm_id = Some(number);
                attester.attest(forged);
            });
        }
        inputs.registration("attested without a word", &site, algorithm, |forged| {
            Attester::new(Format::PackedSelf, &key).attest(forged);
            forged.format = "none".into();
        });
        for format in ["", "None", "packed", "compound", "android-safetynet"] {
            inputs.registration(&format!("{format:?}"), &site, algorithm, |forged| {
                forged.format = format.into();
            });
        }
        let names = ["fmt", "attStmt", "authData"];
        for name in names {
            inputs.registration(&format!("without {name}"), &site, algorithm, |forged| {
                let mut object = forged.attestation_object_item();
                object.remove(&Item::text(name));
                forged.attestation_object = Some(object.encode());
            });
        }
    }
}
