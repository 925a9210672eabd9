//! Attestation, for an app that asks for it and lists the root of one maker, or goes by the metadata that was imported
//! (A15, A21 and A22).

use passkeys::{AttestationSettings, MetadataError, TrustCertificate};
use serde_json::json;
use uuid::Uuid;
use webauthn::{
    Algorithm, AttestationConveyance,
    forge::{
        ForgedRegistration, Item, SigningKey,
        attestation::tpm_public_area,
        attestation::{Android, Attester, Certificate, Extension, Format, Name, apple_nonce},
        metadata::MetadataFile,
    },
};

use super::{Bench, Case, Ceremony, authenticator, benches, benches_with, case, outside};
use crate::house::ORIGIN;
use crate::metadata::{NEXT_UPDATE, entry, import};

const MALFORMED: &str = "attestation_malformed";
const SIGNATURE_BAD: &str = "attestation_signature_bad";
const CERTIFICATE_BAD: &str = "attestation_certificate_bad";
const UNTRUSTED: &str = "attestation_untrusted";

/// Formats whose chain has two certificates.
const CHAINED: [Format; 4] = [
    Format::Packed,
    Format::Tpm,
    Format::AndroidKey,
    Format::Apple,
];

/// Apps that believe the maker of all honest attesters.
async fn direct_benches(allowed_aaguids: Vec<Uuid>) -> Vec<Bench> {
    let key = SigningKey::from_seed(Algorithm::Es256, "any");
    let root = Attester::new(Format::Packed, &key).root.der();
    benches_with(|new| {
        new.settings.attestation = AttestationSettings {
            conveyance: AttestationConveyance::Direct,
            trust_anchors: vec![TrustCertificate::from_der(&root).unwrap()],
            allowed_aaguids: allowed_aaguids.clone(),
            ..AttestationSettings::default()
        };
    })
    .await
}

/// A registration is refused when its statement is broken: before it is made, or after.
async fn refuses(
    bench: &Bench,
    format: Format,
    case: Case<'_>,
    before: impl FnOnce(&mut Attester, &mut ForgedRegistration),
    after: impl FnOnce(&mut ForgedRegistration),
) {
    let mut person = bench.newcomer(Algorithm::Es256);
    // Whoever attests herself only is refused for the named fault first, and accepted as certified.
    person.format = Some(match format {
        Format::PackedSelf => Format::Packed,
        certified => certified,
    });
    if format == Format::FidoU2f {
        person.authenticator.aaguid = [0; 16];
    }
    let ceremony = Ceremony::Registration;
    let answer = outside(ceremony, case.reason);
    bench
        .refuses(case, ceremony, &mut person, answer, |person, handshake| {
            let options = &handshake.public_key;
            assert_eq!(options["attestation"], "direct");
            let mut forged = person.authenticator.create(options, ORIGIN);
            let mut attester = Attester::new(format, &person.authenticator.key);
            before(&mut attester, &mut forged);
            attester.attest(&mut forged);
            after(&mut forged);
            handshake.finish(forged.json())
        })
        .await;
}

async fn broken(
    bench: &Bench,
    format: Format,
    case: Case<'_>,
    break_it: impl FnOnce(&mut Attester),
) {
    refuses(
        bench,
        format,
        case,
        |attester, _| break_it(attester),
        |_| {},
    )
    .await;
}

async fn edited(bench: &Bench, format: Format, case: Case<'_>, edit: impl FnOnce(&mut Item)) {
    refuses(
        bench,
        format,
        case,
        |_, _| {},
        |forged| edit(&mut forged.statement),
    )
    .await;
}

#[tokio::test]
async fn a01_to_a03_and_a07_a_known_format_says_something() {
    for bench in direct_benches(vec![]).await {
        for name in [
            "",
            "PACKED",
            "Packed",
            "android-safetynet",
            "compound",
            "fido-u2f ",
        ] {
            let case = case("A01", name, "attestation_format_unknown");
            refuses(
                &bench,
                Format::Packed,
                case,
                |_, _| {},
                |forged| forged.format = name.into(),
            )
            .await;
        }
        let case02 = case("A02", "a packed statement under none", MALFORMED);
        refuses(
            &bench,
            Format::Packed,
            case02,
            |_, _| {},
            |forged| forged.format = "none".into(),
        )
        .await;
        let case03 = case("A03", "none", UNTRUSTED);
        refuses(
            &bench,
            Format::Packed,
            case03,
            |_, _| {},
            |forged| {
                forged.format = "none".into();
                forged.statement = Item::Map(vec![]);
            },
        )
        .await;
        let case07 = case("A07", "self attestation", UNTRUSTED);
        broken(&bench, Format::PackedSelf, case07, |_| {}).await;
    }
    // Also where nothing is asked for, none says nothing.
    for bench in benches().await {
        let statements = [
            Item::Map(vec![(Item::text("sig"), Item::Bytes(vec![1]))]),
            Item::Map(vec![
                (Item::text("alg"), Item::Int(-7)),
                (Item::text("sig"), Item::Bytes(vec![1; 70])),
                (
                    Item::text("x5c"),
                    Item::Array(vec![Item::Bytes(vec![0x30])]),
                ),
            ]),
        ];
        for statement in statements {
            bench
                .refuses_registration(case("A02", "a statement under none", MALFORMED), |forged| {
                    forged.statement = statement;
                })
                .await;
        }
    }
}

#[tokio::test]
async fn a04_and_a08_members_of_a_statement_have_their_types() {
    for bench in direct_benches(vec![]).await {
        for format in Format::CERTIFIED {
            let row = "A04";
            let what = format!("{format:?} empty");
            edited(&bench, format, case(row, &what, MALFORMED), |statement| {
                *statement = Item::Map(vec![]);
            })
            .await;
            for name in members(format).iter().copied() {
                let row = if name == "x5c" { "A08" } else { "A04" };
                // Without certificates packed is self attestation, by a key that is not the credential's.
                let reason = match (format, name) {
                    (Format::Packed, "x5c") => SIGNATURE_BAD,
                    _ => MALFORMED,
                };
                let what = format!("{format:?} without {name}");
                edited(&bench, format, case(row, &what, reason), |statement| {
                    statement.remove(&Item::text(name));
                })
                .await;
                for wrong in [
                    Item::Bool(true),
                    Item::Map(vec![]),
                    Item::Array(vec![]),
                    Item::Bytes(vec![]),
                    Item::text("-7"),
                    Item::Array(vec![Item::Int(1)]),
                    Item::Array(vec![Item::Bytes(vec![])]),
                    Item::Array(vec![Item::Bytes(vec![0x30, 0])]),
                    Item::Array(vec![Item::text("certificate")]),
                ] {
                    let what = format!("{format:?} {name} {wrong:?}");
                    edited(&bench, format, case(row, &what, MALFORMED), |statement| {
                        statement.set(Item::text(name), wrong);
                    })
                    .await;
                }
            }
            for what in ["a byte behind", "cut short", "no sequence"] {
                let words = format!("{format:?} last certificate with {what}");
                edited(
                    &bench,
                    format,
                    case("A08", &words, MALFORMED),
                    |statement| {
                        let Some(Item::Bytes(der)) = chain(statement).last_mut() else {
                            panic!("not a certificate");
                        };
                        match what {
                            "a byte behind" => der.push(0),
                            "cut short" => der.truncate(der.len() - 1),
                            _ => der[0] = 0x31,
                        }
                    },
                )
                .await;
            }
            let words = format!("{format:?} nine certificates");
            edited(
                &bench,
                format,
                case("A08", &words, MALFORMED),
                |statement| {
                    let first = chain(statement)[0].clone();
                    *chain(statement) = vec![first; 9];
                },
            )
            .await;
        }
    }
}

#[tokio::test]
async fn a05_a06_and_a09_statements_are_signed_by_whom_they_say_over_this_ceremony() {
    let another = || SigningKey::from_seed(Algorithm::Es256, "another");
    for bench in direct_benches(vec![]).await {
        let own = Format::PackedSelf;
        for id in [-257, -8, -35] {
            let what = format!("{id}");
            broken(&bench, own, case("A05", &what, MALFORMED), |attester| {
                attester.algorithm_id = Some(id);
            })
            .await;
        }
        edited(
            &bench,
            own,
            case("A06", "one bit", SIGNATURE_BAD),
            |statement| {
                signature(statement)[20] ^= 1;
            },
        )
        .await;
        broken(
            &bench,
            own,
            case("A06", "over other bytes", SIGNATURE_BAD),
            |attester| {
                attester.signed = Some(vec![7; 100]);
            },
        )
        .await;
        broken(
            &bench,
            own,
            case("A06", "by another key", SIGNATURE_BAD),
            |attester| {
                attester.key = another();
            },
        )
        .await;
        let case06 = case("A06", "over other client data", SIGNATURE_BAD);
        refuses(
            &bench,
            own,
            case06,
            |_, _| {},
            |forged| {
                forged.client_data.set("extra", "added after signing");
            },
        )
        .await;
        for format in [
            Format::Packed,
            Format::FidoU2f,
            Format::Tpm,
            Format::AndroidKey,
        ] {
            let row = match format {
                Format::Packed => "A09",
                Format::FidoU2f => "A16",
                Format::Tpm => "A17",
                _ => "A18",
            };
            broken(
                &bench,
                format,
                case(row, "by another key", SIGNATURE_BAD),
                |attester| {
                    attester.key = another();
                },
            )
            .await;
            broken(
                &bench,
                format,
                case(row, "over other bytes", SIGNATURE_BAD),
                |attester| {
                    attester.signed = Some(vec![7; 100]);
                },
            )
            .await;
            edited(
                &bench,
                format,
                case(row, "one bit", SIGNATURE_BAD),
                |statement| {
                    signature(statement)[20] ^= 1;
                },
            )
            .await;
        }
        for format in [Format::Packed, Format::FidoU2f, Format::Tpm] {
            let case = case("A09", "by the credential's key", SIGNATURE_BAD);
            let key = authenticator(Algorithm::Es256, "some credential").key;
            broken(&bench, format, case, |attester| attester.key = key).await;
        }
        for id in [-35, -257, -8, -47, -65_535, 0] {
            let what = format!("under {id}");
            let case = case("A09", &what, SIGNATURE_BAD);
            broken(&bench, Format::Packed, case, |attester| {
                attester.algorithm_id = Some(id)
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a10_to_a12_certificates_are_of_their_time_and_kind() {
    for bench in direct_benches(vec![]).await {
        for format in Format::CERTIFIED {
            // The clock of the tests stands in August 2024.
            broken(
                &bench,
                format,
                case("A10", "leaf expired", CERTIFICATE_BAD),
                |attester| {
                    attester.leaf().not_after = "20240801".into();
                },
            )
            .await;
            broken(
                &bench,
                format,
                case("A10", "leaf not yet valid", CERTIFICATE_BAD),
                |attester| {
                    attester.leaf().not_before = "20250801".into();
                },
            )
            .await;
            if CHAINED.contains(&format) {
                let case = case("A10", "intermediate expired", CERTIFICATE_BAD);
                broken(&bench, format, case, |attester| {
                    attester.certificates[1].not_after = "20240801".into();
                })
                .await;
            }
        }
        type Break = fn(&mut Certificate);
        let packed: [(&str, Break); 13] = [
            ("version 2", |leaf| leaf.version = 2),
            ("version 1", |leaf| leaf.version = 1),
            ("an authority", |leaf| {
                leaf.set(Extension::basic_constraints(true, None))
            }),
            ("no word whether an authority", |leaf| {
                leaf.remove("2.5.29.19")
            }),
            ("another unit", |leaf| {
                leaf.subject.set("2.5.4.11", "authenticator attestation")
            }),
            ("no unit", |leaf| leaf.subject.remove("2.5.4.11")),
            ("no country", |leaf| leaf.subject.remove("2.5.4.6")),
            ("a long country", |leaf| leaf.subject.set("2.5.4.6", "USA")),
            ("no organization", |leaf| leaf.subject.remove("2.5.4.10")),
            ("no common name", |leaf| leaf.subject.remove("2.5.4.3")),
            ("no name", |leaf| leaf.subject = Name::default()),
            ("an extension twice", |leaf| {
                let again = leaf.extensions[0].clone();
                leaf.extensions.push(again);
            }),
            ("an unknown critical extension", |leaf| {
                leaf.set(Extension::new("1.2.3.4", true, vec![5, 0]));
            }),
        ];
        for (what, break_it) in packed {
            let case = case("A11", what, CERTIFICATE_BAD);
            broken(&bench, Format::Packed, case, |attester| {
                break_it(attester.leaf())
            })
            .await;
        }
        for format in [Format::Packed, Format::Tpm] {
            let case12 = case("A12", "another model", CERTIFICATE_BAD);
            broken(&bench, format, case12, |attester| {
                attester.leaf().set(Extension::aaguid(&[7; 16]));
            })
            .await;
            for what in ["critical", "not doubly wrapped"] {
                let case12 = case("A12", what, CERTIFICATE_BAD);
                let before = |attester: &mut Attester, forged: &mut ForgedRegistration| {
                    let mut extension = Extension::aaguid(&forged.attested().aaguid);
                    match what {
                        "critical" => extension.is_critical = true,
                        _ => drop(extension.value.drain(..2)),
                    }
                    attester.leaf().set(extension);
                };
                refuses(&bench, format, case12, before, |_| {}).await;
            }
        }
    }
}

#[tokio::test]
async fn a13_and_a14_the_chain_leads_to_the_root() {
    let other = SigningKey::from_seed(Algorithm::Es256, "another authority");
    for bench in direct_benches(vec![]).await {
        for format in Format::CERTIFIED {
            let case13 = case("A13", "not signed by its issuer", UNTRUSTED);
            broken(&bench, format, case13, |attester| {
                attester.leaf().issuer_key = other.clone();
            })
            .await;
            let case13 = case("A13", "issued by an unknown root", UNTRUSTED);
            broken(&bench, format, case13, |attester| {
                let last = attester.certificates.last_mut().unwrap();
                last.issuer = Name::common("Another root");
                last.issuer_key = other.clone();
            })
            .await;
        }
        for format in CHAINED {
            type Break = fn(&mut Attester);
            let table: [(&str, Break); 5] = [
                ("broken", |attester| {
                    attester.certificates.pop();
                }),
                ("a stranger between", |attester| {
                    let key = SigningKey::from_seed(Algorithm::Es256, "stranger");
                    let stranger = Certificate::authority("Stranger", &key, "Stranger", &key);
                    attester.certificates.insert(1, stranger);
                }),
                ("issued by no authority", |attester| {
                    attester.certificates[1].set(Extension::basic_constraints(false, None));
                }),
                ("may not sign certificates", |attester| {
                    attester.certificates[1].set(Extension::key_usage(0x80));
                }),
                ("path too long", |attester| {
                    let upper = SigningKey::from_seed(Algorithm::Es256, "upper");
                    let root = attester.root.key.clone();
                    let mut authority = Certificate::authority("Upper", &upper, "Root", &root);
                    authority.set(Extension::basic_constraints(true, Some(0)));
                    attester.certificates[1].issuer = Name::common("Upper");
                    attester.certificates[1].issuer_key = upper;
                    attester.certificates.push(authority);
                }),
            ];
            for (what, break_it) in table {
                let what = format!("{format:?} {what}");
                broken(&bench, format, case("A13", &what, UNTRUSTED), break_it).await;
            }
            // The first certificate is the one whose key signed, or is the credential's: any other is seen at once.
            let reason = match format {
                Format::Packed | Format::Tpm => SIGNATURE_BAD,
                _ => CERTIFICATE_BAD,
            };
            let what = format!("{format:?} out of order");
            edited(&bench, format, case("A13", &what, reason), |statement| {
                chain(statement).reverse();
            })
            .await;
        }
        let case13 = case("A13", "two authorities out of order", UNTRUSTED);
        broken(&bench, Format::Packed, case13, |attester| {
            let upper = SigningKey::from_seed(Algorithm::Es256, "upper");
            let root = attester.root.key.clone();
            let authority = Certificate::authority("Upper", &upper, "Root", &root);
            attester.certificates[1].issuer = Name::common("Upper");
            attester.certificates[1].issuer_key = upper;
            attester.certificates.insert(1, authority);
        })
        .await;
        // The root may be sent along.
        let mut ann = bench.newcomer(Algorithm::Es256);
        let ceremony = Ceremony::Registration;
        let handshake = bench.start(ceremony, &ann.external_id).await;
        let mut forged = ann.authenticator.create(&handshake.public_key, ORIGIN);
        let mut attester = Attester::new(Format::Packed, &ann.authenticator.key);
        attester.certificates.push(attester.root.clone());
        attester.attest(&mut forged);
        let finish = handshake.finish(forged.json());
        let case14 = case("A14", "the root in x5c", "accepted");
        bench
            .completes(case14, ceremony, &ann.external_id, &handshake, &finish)
            .await;
    }
}

#[tokio::test]
async fn a16_to_a19_each_format_keeps_its_own_rules() {
    for bench in direct_benches(vec![]).await {
        // U2F.
        let u2f = Format::FidoU2f;
        let case16 = case("A16", "an AAGUID", MALFORMED);
        refuses(
            &bench,
            u2f,
            case16,
            |_, forged| forged.attested().aaguid[15] = 1,
            |_| {},
        )
        .await;
        broken(
            &bench,
            u2f,
            case("A16", "two certificates", MALFORMED),
            |attester| {
                let root = attester.root.clone();
                attester.certificates.push(root);
            },
        )
        .await;
        broken(
            &bench,
            u2f,
            case("A16", "a leaf on P-384", MALFORMED),
            |attester| {
                let key = SigningKey::from_seed(Algorithm::Es384, "another");
                attester.key = key.clone();
                attester.leaf().key = key;
            },
        )
        .await;

        // TPM.
        let tpm = Format::Tpm;
        type Break = fn(&mut Attester);
        let table: [(&str, &str, Break); 15] = [
            ("magic", MALFORMED, |attester| attester.tpm.magic ^= 1),
            ("type", MALFORMED, |attester| attester.tpm.kind = 0x8018),
            ("no extra data", MALFORMED, |attester| {
                attester.tpm.extra_data = Some(vec![])
            }),
            ("extra data of another ceremony", MALFORMED, |attester| {
                attester.tpm.extra_data = Some(vec![7; 32]);
            }),
            ("name", MALFORMED, |attester| {
                attester.tpm.name = Some(vec![7; 34])
            }),
            ("name without its hash", MALFORMED, |attester| {
                attester.tpm.name = Some(vec![0, 0x0b]);
            }),
            ("another key", MALFORMED, |attester| {
                let other = SigningKey::from_seed(Algorithm::Es256, "another");
                attester.tpm.public_area = Some(tpm_public_area(&other.cose_key().encode()));
            }),
            ("a key of another kind", MALFORMED, |attester| {
                let other = authenticator(Algorithm::Rs256, "another").key;
                attester.tpm.public_area = Some(tpm_public_area(&other.cose_key().encode()));
            }),
            ("a byte behind the information", MALFORMED, |attester| {
                attester.tpm.trailing = vec![0];
            }),
            ("leaf of version 2", CERTIFICATE_BAD, |attester| {
                attester.leaf().version = 2
            }),
            ("leaf with a subject", CERTIFICATE_BAD, |attester| {
                attester.leaf().subject = Name::common("a TPM");
            }),
            ("leaf without key usage", CERTIFICATE_BAD, |attester| {
                attester.leaf().remove("2.5.29.37");
            }),
            ("leaf with another key usage", CERTIFICATE_BAD, |attester| {
                let server = vec![0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
                attester
                    .leaf()
                    .set(Extension::new("2.5.29.37", false, server));
            }),
            ("leaf that names no TPM", CERTIFICATE_BAD, |attester| {
                attester.leaf().remove("2.5.29.17");
            }),
            ("leaf that is an authority", CERTIFICATE_BAD, |attester| {
                attester
                    .leaf()
                    .set(Extension::basic_constraints(true, None));
            }),
        ];
        for (what, reason, break_it) in table {
            broken(&bench, tpm, case("A17", what, reason), break_it).await;
        }
        for version in ["1.2", "2", "2.0 ", ""] {
            let what = format!("ver {version:?}");
            edited(&bench, tpm, case("A17", &what, MALFORMED), |statement| {
                statement.set(Item::text("ver"), Item::text(version));
            })
            .await;
        }

        // Android.
        let android = Format::AndroidKey;
        type BreakAndroid = fn(&mut Android);
        let table: [(&str, BreakAndroid); 11] = [
            ("another challenge", |android| {
                android.challenge = Some(vec![7; 32])
            }),
            ("no challenge", |android| android.challenge = Some(vec![])),
            ("no description", |android| android.is_present = false),
            ("for all apps, says hardware", |android| {
                android.hardware.push(Android::all_applications());
            }),
            ("for all apps, says software", |android| {
                android.software.push(Android::all_applications());
            }),
            ("imported", |android| {
                android.hardware[1] = Android::origin(2)
            }),
            ("for encryption", |android| {
                android.hardware[0] = Android::purposes(&[0, 1])
            }),
            ("without origin", |android| {
                android.hardware.pop();
            }),
            ("without purpose", |android| {
                android.hardware.remove(0);
            }),
            ("said by software", |android| android.security_level = 0),
            ("known to software only", |android| {
                android.software.append(&mut android.hardware);
            }),
        ];
        for (what, break_it) in table {
            let case = case("A18", what, CERTIFICATE_BAD);
            broken(&bench, android, case, |attester| {
                break_it(&mut attester.android)
            })
            .await;
        }
        broken(
            &bench,
            android,
            case("A18", "another key", CERTIFICATE_BAD),
            |attester| {
                let other = SigningKey::from_seed(Algorithm::Es256, "another");
                attester.key = other.clone();
                attester.leaf().key = other;
            },
        )
        .await;

        // Apple.
        for (what, nonce) in [
            ("no nonce", None),
            ("an empty nonce", Some(vec![])),
            ("a bare nonce", Some(vec![7; 32])),
            ("a nonce of other data", Some(apple_nonce(b"other data"))),
        ] {
            let case = case("A19", what, CERTIFICATE_BAD);
            broken(&bench, Format::Apple, case, |attester| {
                attester.apple_nonce = Some(nonce);
            })
            .await;
        }
        broken(
            &bench,
            Format::Apple,
            case("A19", "another key", CERTIFICATE_BAD),
            |attester| {
                attester.leaf().key = SigningKey::from_seed(Algorithm::Es256, "another");
            },
        )
        .await;
        broken(
            &bench,
            Format::Apple,
            case("A19", "chain broken", UNTRUSTED),
            |attester| {
                attester.certificates.pop();
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a20_only_models_on_the_list_register() {
    const LISTED: [u8; 16] = [7; 16];
    for bench in direct_benches(vec![Uuid::from_bytes(LISTED), Uuid::nil()]).await {
        for format in CHAINED {
            let mut ann = bench.newcomer(Algorithm::Es256);
            ann.format = Some(format);
            ann.authenticator.aaguid = LISTED;
            let what = format!("{format:?}");
            let case20 = case("A20", &what, "model_not_allowed");
            let ceremony = Ceremony::Registration;
            let answer = outside(ceremony, case20.reason);
            bench
                .refuses(case20, ceremony, &mut ann, answer, |person, handshake| {
                    let mut forged = person.authenticator.create(&handshake.public_key, ORIGIN);
                    forged.attested().aaguid = [8; 16];
                    Attester::new(format, &person.authenticator.key).attest(&mut forged);
                    handshake.finish(forged.json())
                })
                .await;
        }
        // The word of somebody who is not believed does not help.
        let mut ann = bench.newcomer(Algorithm::Es256);
        ann.format = Some(Format::Packed);
        ann.authenticator.aaguid = LISTED;
        let case20 = case("A20", "listed, but unattested", UNTRUSTED);
        let ceremony = Ceremony::Registration;
        let answer = outside(ceremony, case20.reason);
        bench
            .refuses(case20, ceremony, &mut ann, answer, |person, handshake| {
                handshake.registration(&mut person.authenticator)
            })
            .await;
    }
}

#[tokio::test]
async fn a20_models_that_are_denied_do_not_register() {
    const DENIED: [u8; 16] = [8; 16];
    let key = SigningKey::from_seed(Algorithm::Es256, "any");
    let root = Attester::new(Format::Packed, &key).root.der();
    let benches = benches_with(|new| {
        new.settings.attestation = AttestationSettings {
            conveyance: AttestationConveyance::Direct,
            trust_anchors: vec![TrustCertificate::from_der(&root).unwrap()],
            denied_aaguids: vec![Uuid::from_bytes(DENIED)],
            ..AttestationSettings::default()
        };
    });
    for bench in benches.await {
        for format in CHAINED {
            claims(&bench, format, "A20", DENIED, "model_not_allowed").await;
        }
    }
}

/// In the metadata, with keys on P-256.
const KNOWN: [u8; 16] = [1; 16];
/// The same, of another maker.
const OTHER_MAKERS: [u8; 16] = [2; 16];
/// The same, with RSA keys.
const RSA_ONLY: [u8; 16] = [3; 16];
const COMPROMISED: [u8; 16] = [4; 16];
const REVOKED: [u8; 16] = [5; 16];
const UNKNOWN: [u8; 16] = [6; 16];

fn metadata(number: i64) -> MetadataFile {
    let stranger = SigningKey::from_seed(Algorithm::Es256, "stranger");
    let stranger = Certificate::authority("Root", &stranger, "Root", &stranger);
    let others = webauthn::aaguid::format(&OTHER_MAKERS);
    let mut rsa_only = entry(RSA_ONLY, &[]);
    rsa_only["metadataStatement"]["authenticationAlgorithms"] =
        json!(["rsassa_pkcsv15_sha256_raw"]);
    let entries = json!([
        entry(KNOWN, &["FIDO_CERTIFIED_L1", "UPDATE_AVAILABLE"]),
        MetadataFile::entry(&others, &[&stranger], &[]),
        rsa_only,
        entry(
            COMPROMISED,
            &["ATTESTATION_KEY_COMPROMISE", "FIDO_CERTIFIED_L2"]
        ),
        entry(REVOKED, &["FIDO_CERTIFIED", "REVOKED"]),
    ]);
    MetadataFile::new(number, NEXT_UPDATE, entries)
}

/// Apps that go by the metadata, and perhaps by the maker of all honest attesters.
async fn metadata_benches(believes_maker: bool) -> Vec<Bench> {
    let key = SigningKey::from_seed(Algorithm::Es256, "any");
    let root = Attester::new(Format::Packed, &key).root.der();
    benches_with(|new| {
        let root = TrustCertificate::from_der(&root).unwrap();
        new.settings.attestation = AttestationSettings {
            conveyance: AttestationConveyance::Direct,
            trust_anchors: if believes_maker { vec![root] } else { vec![] },
            uses_metadata: true,
            ..AttestationSettings::default()
        };
    })
    .await
}

/// An honest statement about the model `aaguid` is refused; the same about [`KNOWN`] is accepted.
async fn claims(bench: &Bench, format: Format, row: &str, aaguid: [u8; 16], reason: &str) {
    let what = format!("{format:?} of model {}", aaguid[0]);
    claims_with(bench, format, case(row, &what, reason), |_, forged| {
        forged.attested().aaguid = aaguid;
    })
    .await;
}

async fn claims_with(
    bench: &Bench,
    format: Format,
    case: Case<'_>,
    change: impl FnOnce(&mut Attester, &mut ForgedRegistration),
) {
    let mut person = bench.newcomer(Algorithm::Es256);
    person.format = Some(format);
    person.authenticator.aaguid = KNOWN;
    let ceremony = Ceremony::Registration;
    let answer = outside(ceremony, case.reason);
    bench
        .refuses(case, ceremony, &mut person, answer, |person, handshake| {
            let mut forged = person.authenticator.create(&handshake.public_key, ORIGIN);
            let mut attester = Attester::new(format, &person.authenticator.key);
            change(&mut attester, &mut forged);
            attester.attest(&mut forged);
            handshake.finish(forged.json())
        })
        .await;
}

#[tokio::test]
async fn a15_the_leafs_key_is_of_a_kind_that_the_metadata_says_of_the_model() {
    for bench in metadata_benches(false).await {
        import(&bench.house.passkeys, &metadata(1)).await.unwrap();
        for format in CHAINED {
            claims(&bench, format, "A15", RSA_ONLY, CERTIFICATE_BAD).await;
        }
        for format in [Format::Packed, Format::Tpm] {
            let what = format!("{format:?} with a key on P-384");
            let case = case("A15", &what, CERTIFICATE_BAD);
            claims_with(&bench, format, case, |attester, _| {
                let key = SigningKey::from_seed(Algorithm::Es384, "another");
                attester.key = key.clone();
                attester.leaf().key = key;
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a21_a_model_that_is_compromised_or_revoked_is_refused() {
    for believes_maker in [false, true] {
        for bench in metadata_benches(believes_maker).await {
            import(&bench.house.passkeys, &metadata(1)).await.unwrap();
            for format in CHAINED {
                for aaguid in [COMPROMISED, REVOKED] {
                    claims(&bench, format, "A21", aaguid, "model_compromised").await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a22_whom_to_believe_is_what_the_metadata_in_use_says() {
    for bench in metadata_benches(false).await {
        let passkeys = &bench.house.passkeys;
        // No file, or none that was accepted: nobody is believed.
        let nobody = async || {
            let mut ann = bench.newcomer(Algorithm::Es256);
            ann.format = Some(Format::Packed);
            ann.authenticator.aaguid = KNOWN;
            let handshake = bench.start(Ceremony::Registration, &ann.external_id).await;
            let finish = super::respond(Ceremony::Registration, &handshake, &mut ann);
            bench
                .finish(Ceremony::Registration, &finish)
                .await
                .refuses(401, "webauthn_login_failed");
            assert_eq!(bench.recorded(&handshake).await, UNTRUSTED);
        };
        nobody().await;
        let mut forged = metadata(9);
        forged.key = SigningKey::from_seed(Algorithm::Es256, "stranger");
        let refused = import(passkeys, &forged).await;
        assert_eq!(refused, Err(MetadataError::SignatureBad));
        nobody().await;

        import(passkeys, &metadata(2)).await.unwrap();
        for format in CHAINED {
            claims(&bench, format, "A22", UNKNOWN, UNTRUSTED).await;
            claims(&bench, format, "A22", OTHER_MAKERS, UNTRUSTED).await;
        }
        // Refused files do not change who is believed.
        let mut older = metadata(1);
        older.content["entries"] = json!([entry(UNKNOWN, &[])]);
        let refused = import(passkeys, &older).await;
        assert_eq!(refused, Err(MetadataError::Superseded));
        let outdated = MetadataFile::new(3, "2024-08-01", json!([entry(UNKNOWN, &[])]));
        let refused = import(passkeys, &outdated).await;
        assert_eq!(refused, Err(MetadataError::Outdated));
        claims(&bench, Format::Packed, "A22", UNKNOWN, UNTRUSTED).await;
        // A newer one does.
        let newer = MetadataFile::new(3, NEXT_UPDATE, json!([entry(UNKNOWN, &[])]));
        import(passkeys, &newer).await.unwrap();
        nobody().await;
    }
    // The app's own anchors stand for models that the metadata does not know, and for no others.
    for bench in metadata_benches(true).await {
        import(&bench.house.passkeys, &metadata(1)).await.unwrap();
        claims(&bench, Format::Packed, "A22", OTHER_MAKERS, UNTRUSTED).await;
        let mut ann = bench.newcomer(Algorithm::Es256);
        ann.format = Some(Format::Packed);
        ann.authenticator.aaguid = UNKNOWN;
        let case22 = case("A22", "a model that the app alone knows", "accepted");
        bench
            .accepts(case22, Ceremony::Registration, &mut ann)
            .await;
    }
}

/// The names in an honest statement.
fn members(format: Format) -> &'static [&'static str] {
    match format {
        Format::Tpm => &["alg", "sig", "x5c", "ver", "certInfo", "pubArea"],
        Format::FidoU2f => &["sig", "x5c"],
        Format::Apple => &["x5c"],
        Format::Packed | Format::PackedSelf | Format::AndroidKey => &["alg", "sig", "x5c"],
    }
}

fn member<'s>(statement: &'s mut Item, name: &str) -> &'s mut Item {
    let name = Item::text(name);
    let mut entries = statement.entries().iter_mut();
    let entry = entries.find(|(key, _)| *key == name);
    entry.map(|(_, value)| value).expect("the member is there")
}

fn chain(statement: &mut Item) -> &mut Vec<Item> {
    match member(statement, "x5c") {
        Item::Array(certificates) => certificates,
        other => panic!("not a chain: {other:?}"),
    }
}

fn signature(statement: &mut Item) -> &mut Vec<u8> {
    match member(statement, "sig") {
        Item::Bytes(signature) => signature,
        other => panic!("not a signature: {other:?}"),
    }
}
