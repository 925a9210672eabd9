//! Attestation where it is asked for, by the rows of the matrix.

use webauthn::Denial::{self, *};
use webauthn::forge::attestation::{
    Android, Attester, Certificate, Extension, Format, Name, apple_nonce, tpm_public_area,
};
use webauthn::forge::{ForgedRegistration, Item, SigningKey};
use webauthn::{
    Algorithm, AndroidKeys, AttestationPolicy, AuthenticatorModel, DirectAttestation, Registration,
    TrustAnchor,
};

use crate::site::{Site, authenticator};

/// One registration with its attestation, and the policy it meets.
struct Story {
    site: Site,
    policy: DirectAttestation,
    registration: ForgedRegistration,
    attester: Attester,
    /// What happens to the statement on its way.
    edit: Box<dyn Fn(&mut Item)>,
}

impl Story {
    /// An honest one: it is accepted.
    fn new(format: Format) -> Self {
        Self::with_key(format, Algorithm::Es256)
    }

    fn with_key(format: Format, algorithm: Algorithm) -> Self {
        let mut site = Site::new();
        site.algorithms.extend([Algorithm::Es384, Algorithm::Es512]);
        let mut authenticator = authenticator(algorithm);
        if format == Format::FidoU2f {
            authenticator.aaguid = [0; 16];
        }
        let attester = Attester::new(format, &authenticator.key);
        Self {
            registration: site.create(&mut authenticator),
            policy: DirectAttestation {
                trust_anchors: vec![anchor(&attester.root)],
                ..DirectAttestation::default()
            },
            site,
            attester,
            edit: Box::new(|_| {}),
        }
    }

    fn verify(&mut self) -> Result<Registration, Denial> {
        self.attester.attest(&mut self.registration);
        (self.edit)(&mut self.registration.statement);
        self.site.attestation = AttestationPolicy::Direct(self.policy.clone());
        self.site.verify_registration(&self.registration.json())
    }

    fn aaguid(&mut self) -> [u8; 16] {
        self.registration.attested().aaguid
    }
}

fn anchor(certificate: &Certificate) -> TrustAnchor {
    TrustAnchor::from_der(&certificate.der()).unwrap()
}

/// Refuses the registration for `denial` once it is broken, and only then.
#[track_caller]
fn refuses(format: Format, denial: Denial, what: &str, break_it: impl FnOnce(&mut Story)) {
    let mut story = Story::new(format);
    let unbroken = story.verify();
    assert!(unbroken.is_ok(), "unbroken {format:?}: {unbroken:?}");
    break_it(&mut story);
    assert_eq!(story.verify(), Err(denial), "{what}, {format:?}");
}

/// The same for a change of the statement on its way.
#[track_caller]
fn refuses_edited(format: Format, denial: Denial, what: &str, edit: impl Fn(&mut Item) + 'static) {
    refuses(format, denial, what, |story| story.edit = Box::new(edit));
}

#[track_caller]
fn accepts(what: &str, mut story: Story) -> Registration {
    let verdict = story.verify();
    verdict.unwrap_or_else(|denial| panic!("{what}: {denial}"))
}

#[test]
fn every_format_attests_and_says_what_it_proved() {
    for format in Format::CERTIFIED {
        let mut story = Story::new(format);
        let root = story.attester.root.der();
        story.policy.trust_anchors = vec![TrustAnchor::from_der(&root).unwrap()];
        let registration = story.verify().unwrap();
        assert_eq!(registration.attestation_format, format.name());
        let mut expected: Vec<_> = chain(&mut story.registration.statement)
            .iter()
            .map(|certificate| match certificate {
                Item::Bytes(der) => der.clone(),
                other => panic!("not a certificate: {other:?}"),
            })
            .collect();
        expected.push(root);
        let attestation = registration.attestation.unwrap();
        assert_eq!(attestation.trust_path, expected);
        assert!(!attestation.is_aaguid_proven);
    }
}

#[test]
fn every_kind_of_key_can_be_attested() {
    let kinds = [
        (Format::Packed, Algorithm::Es384),
        (Format::Packed, Algorithm::Es512),
        (Format::Packed, Algorithm::EdDsa),
        (Format::Packed, Algorithm::Rs256),
        (Format::Tpm, Algorithm::Rs256),
        (Format::AndroidKey, Algorithm::Es384),
        (Format::AndroidKey, Algorithm::EdDsa),
        (Format::AndroidKey, Algorithm::Rs256),
        (Format::Apple, Algorithm::Es384),
    ];
    for (format, algorithm) in kinds {
        let what = format!("{format:?} of {algorithm:?}");
        accepts(&what, Story::with_key(format, algorithm));
    }
    // And the attestation key, and those of the authorities.
    for algorithm in [
        Algorithm::Es384,
        Algorithm::Es512,
        Algorithm::EdDsa,
        Algorithm::Rs256,
    ] {
        let key = authenticator(algorithm).key;
        for format in [Format::Packed, Format::Tpm] {
            if (format, algorithm) == (Format::Tpm, Algorithm::EdDsa) {
                // Which hash a TPM would use is written nowhere.
                continue;
            }
            let mut story = Story::new(format);
            story.attester.key = key.clone();
            story.attester.leaf().key = key.clone();
            accepts(&format!("by {algorithm:?}"), story);
        }
        let mut story = Story::new(Format::Packed);
        story.attester.leaf().issuer_key = key.clone();
        story.attester.certificates[1].key = key.clone();
        accepts(&format!("under {algorithm:?}"), story);
    }
}

#[test]
fn without_the_wish_every_statement_counts_as_none() {
    for format in Format::CERTIFIED {
        let mut story = Story::new(format);
        story.attester.attest(&mut story.registration);
        let registration = story
            .site
            .verify_registration(&story.registration.json())
            .unwrap();
        assert_eq!(registration.attestation, None);
        assert_eq!(registration.attestation_format, format.name());
    }
}

#[test]
fn a01_an_unknown_format_is_refused() {
    for name in [
        "",
        "PACKED",
        "Packed",
        "android-safetynet",
        "compound",
        "fido-u2f ",
    ] {
        let mut story = Story::new(Format::Packed);
        story.verify().unwrap();
        story.registration.format = name.into();
        let verdict = story.site.verify_registration(&story.registration.json());
        assert_eq!(verdict, Err(AttestationFormatUnknown), "{name:?}");
    }
}

#[test]
fn a02_the_format_none_says_nothing() {
    let mut story = Story::new(Format::Packed);
    story.verify().unwrap();
    story.registration.format = "none".into();
    let json = story.registration.json();
    assert_eq!(
        story.site.verify_registration(&json),
        Err(AttestationMalformed)
    );
    story.site.attestation = AttestationPolicy::None;
    assert_eq!(
        story.site.verify_registration(&json),
        Err(AttestationMalformed)
    );
}

#[test]
fn a03_a07_what_nobody_stands_for_is_not_trusted() {
    let mut story = Story::new(Format::PackedSelf);
    assert_eq!(story.verify(), Err(AttestationUntrusted), "self");
    story.registration.format = "none".into();
    story.registration.statement = Item::Map(vec![]);
    let json = story.registration.json();
    assert_eq!(
        story.site.verify_registration(&json),
        Err(AttestationUntrusted)
    );
    story.site.attestation = AttestationPolicy::None;
    assert!(story.site.verify_registration(&json).is_ok());
}

#[test]
fn a04_a08_members_of_a_statement_must_have_their_types() {
    for format in Format::CERTIFIED {
        let mut story = Story::new(format);
        story.verify().unwrap();
        let names: Vec<String> = story
            .registration
            .statement
            .entries()
            .iter()
            .map(|(name, _)| match name {
                Item::Text(name) => name.clone(),
                other => panic!("{other:?} is not text"),
            })
            .collect();
        refuses_edited(format, AttestationMalformed, "empty", |statement| {
            *statement = Item::Map(vec![]);
        });
        for name in names {
            let key = Item::text(&name);
            let missing = key.clone();
            let denial = match (format, &name[..]) {
                // Without certificates it is self attestation, by a key that is not the credential's.
                (Format::Packed, "x5c") => AttestationSignatureBad,
                _ => AttestationMalformed,
            };
            refuses_edited(format, denial, &name, move |statement| {
                statement.remove(&missing);
            });
            let wrong = [
                Item::Bool(true),
                Item::Map(vec![]),
                Item::Array(vec![]),
                Item::Bytes(vec![]),
                Item::text("-7"),
                Item::Array(vec![Item::Int(1)]),
                Item::Array(vec![Item::Bytes(vec![])]),
                Item::Array(vec![Item::Bytes(vec![0x30, 0])]),
                Item::Array(vec![Item::text("certificate")]),
            ];
            for value in wrong {
                let key = key.clone();
                let what = format!("{name} {value:?}");
                refuses_edited(format, AttestationMalformed, &what, move |statement| {
                    statement.set(key.clone(), value.clone());
                });
            }
        }
    }
}

#[test]
fn a08_every_element_of_x5c_must_be_one_certificate() {
    for format in Format::CERTIFIED {
        type Spoil = fn(&mut Vec<u8>);
        let spoils: [(&str, Spoil); 3] = [
            ("a byte behind", |der| der.push(0)),
            ("cut short", |der| {
                der.pop();
            }),
            ("not a sequence", |der| der[0] = 0x31),
        ];
        for (what, spoil) in spoils {
            refuses_edited(format, AttestationMalformed, what, move |statement| {
                let last = chain(statement).last_mut().unwrap();
                let Item::Bytes(der) = last else {
                    panic!("not a certificate");
                };
                spoil(der);
            });
        }
        refuses_edited(format, AttestationMalformed, "nine of them", |statement| {
            let first = chain(statement)[0].clone();
            *chain(statement) = vec![first; 9];
        });
    }
}

#[test]
fn a05_self_attestation_has_the_algorithm_of_the_key() {
    let mut story = Story::new(Format::PackedSelf);
    story.attester.algorithm_id = Some(-257);
    assert_eq!(story.verify(), Err(AttestationMalformed));
    story.attester.algorithm_id = Some(-47);
    assert_eq!(story.verify(), Err(AttestationSignatureBad));
}

#[test]
fn a06_self_attestation_is_signed_by_the_key_over_this_ceremony() {
    let mut story = Story::new(Format::PackedSelf);
    story.attester.signed = Some(vec![7; 100]);
    assert_eq!(story.verify(), Err(AttestationSignatureBad), "other bytes");
    story.attester.signed = None;
    story.attester.key = SigningKey::from_seed(Algorithm::Es256, "another");
    assert_eq!(story.verify(), Err(AttestationSignatureBad), "another key");

    let mut story = Story::new(Format::PackedSelf);
    story.edit = Box::new(|statement| signature(statement)[20] ^= 1);
    assert_eq!(story.verify(), Err(AttestationSignatureBad), "one bit");
}

#[test]
fn a09_a16_a17_the_statement_is_signed_by_the_leaf_over_this_ceremony() {
    let formats = [
        Format::Packed,
        Format::FidoU2f,
        Format::Tpm,
        Format::AndroidKey,
    ];
    for format in formats {
        let denial = AttestationSignatureBad;
        refuses(format, denial, "by another key", |story| {
            story.attester.key = SigningKey::from_seed(Algorithm::Es256, "another");
        });
        refuses(format, denial, "over other bytes", |story| {
            story.attester.signed = Some(vec![7; 100]);
        });
        refuses_edited(format, denial, "one bit", |statement| {
            signature(statement)[20] ^= 1;
        });
    }
    for format in [Format::Packed, Format::FidoU2f, Format::Tpm] {
        refuses(
            format,
            AttestationSignatureBad,
            "by the credential",
            |story| {
                story.attester.key = authenticator(Algorithm::Es256).key;
            },
        );
    }
    for id in [-35, -257, -8, -47, -65535, 0, i64::MIN] {
        for format in [Format::Packed, Format::AndroidKey] {
            refuses(format, AttestationSignatureBad, "another alg", |story| {
                story.attester.algorithm_id = Some(id);
            });
        }
    }
}

#[test]
fn a10_certificates_must_be_of_their_time() {
    for format in Format::CERTIFIED {
        let denial = AttestationCertificateBad;
        refuses(format, denial, "leaf expired", |story| {
            story.attester.leaf().not_after = "20260630".into();
        });
        refuses(format, denial, "leaf not yet valid", |story| {
            story.attester.leaf().not_before = "20260702".into();
        });
        if format != Format::FidoU2f {
            refuses(format, denial, "intermediate expired", |story| {
                story.attester.certificates[1].not_after = "20260630".into();
            });
        }
        // To the second at which it ends, and one longer.
        refuses(format, denial, "a second too late", |story| {
            story.attester.leaf().not_after = "20260701".into();
            story.verify().expect("valid to the last second");
            story.site.now_ms += 1000;
        });
    }
}

#[test]
fn a11_a_packed_certificate_is_called_what_the_standard_says() {
    type Break = fn(&mut Certificate);
    let table: &[(&str, Break)] = &[
        ("version 2", |leaf| leaf.version = 2),
        ("version 1", |leaf| leaf.version = 1),
        ("an authority", |leaf| {
            leaf.set(Extension::basic_constraints(true, None));
        }),
        ("without constraints", |leaf| leaf.remove("2.5.29.19")),
        ("constraints that are none", |leaf| {
            leaf.set(Extension::new("2.5.29.19", true, vec![0x05, 0]));
        }),
        ("another unit", |leaf| {
            leaf.subject.set("2.5.4.11", "authenticator attestation");
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
            leaf.set(Extension::new("1.2.3.4", true, vec![0x05, 0]));
        }),
    ];
    for (what, break_it) in table {
        refuses(Format::Packed, AttestationCertificateBad, what, |story| {
            break_it(story.attester.leaf());
        });
    }
}

#[test]
fn a12_a_model_in_the_certificate_must_be_the_models() {
    for format in [Format::Packed, Format::Tpm] {
        let mut story = Story::new(format);
        let aaguid = story.aaguid();
        story.attester.leaf().set(Extension::aaguid(&aaguid));
        let attestation = accepts("named", story).attestation.unwrap();
        assert!(attestation.is_aaguid_proven);

        let denial = AttestationCertificateBad;
        refuses(format, denial, "another model", |story| {
            story.attester.leaf().set(Extension::aaguid(&[7; 16]));
        });
        refuses(format, denial, "critical", |story| {
            let mut extension = Extension::aaguid(&aaguid);
            extension.is_critical = true;
            story.attester.leaf().set(extension);
        });
        refuses(format, denial, "not doubly wrapped", |story| {
            let mut extension = Extension::aaguid(&aaguid);
            extension.value.drain(..2);
            story.attester.leaf().set(extension);
        });
    }
}

#[test]
fn a13_the_chain_must_lead_to_an_anchor() {
    let other = SigningKey::from_seed(Algorithm::Es256, "another authority");
    for format in Format::CERTIFIED {
        let denial = AttestationUntrusted;
        refuses(format, denial, "no anchor", |story| {
            story.policy.trust_anchors.clear();
        });
        refuses(format, denial, "another root of the same name", |story| {
            let root = Certificate::authority("Root", &other, "Root", &other);
            story.policy.trust_anchors = vec![anchor(&root)];
        });
        refuses(format, denial, "the same key under another name", |story| {
            story.attester.root.subject = Name::common("Toor");
            story.policy.trust_anchors = vec![anchor(&story.attester.root)];
        });
        refuses(format, denial, "not signed by its issuer", |story| {
            story.attester.leaf().issuer_key = other.clone();
        });
    }
    for format in [
        Format::Packed,
        Format::Tpm,
        Format::AndroidKey,
        Format::Apple,
    ] {
        let denial = AttestationUntrusted;
        refuses(format, denial, "broken", |story| {
            story.attester.certificates.remove(1);
        });
        refuses(format, denial, "a stranger between", |story| {
            let stranger = Certificate::authority("Stranger", &other, "Stranger", &other);
            story.attester.certificates.insert(1, stranger);
        });
        refuses(format, denial, "issued by no authority", |story| {
            story.attester.certificates[1].set(Extension::basic_constraints(false, None));
        });
        refuses(format, denial, "nothing said about authority", |story| {
            story.attester.certificates[1].remove("2.5.29.19");
        });
        refuses(format, denial, "may not sign certificates", |story| {
            story.attester.certificates[1].set(Extension::key_usage(0x80));
            assert_eq!(story.verify(), Err(denial));
            story.attester.certificates[1].set(Extension::key_usage(0x04));
            story.verify().expect("may sign certificates");
            story.attester.certificates[1].set(Extension::key_usage(0x80));
        });
        refuses(format, denial, "path too long", |story| {
            let upper = SigningKey::from_seed(Algorithm::Es256, "upper");
            let root_key = story.attester.root.key.clone();
            let mut authority = Certificate::authority("Upper", &upper, "Root", &root_key);
            authority.set(Extension::basic_constraints(true, Some(1)));
            story.attester.certificates[1].issuer = Name::common("Upper");
            story.attester.certificates[1].issuer_key = upper;
            story.attester.certificates.push(authority);
            story.verify().expect("just short enough");
            story.attester.certificates[2].set(Extension::basic_constraints(true, Some(0)));
        });
    }
}

#[test]
fn a13_certificates_out_of_order_are_refused() {
    // The authority's key did not sign the statement.
    for format in [Format::Packed, Format::Tpm] {
        refuses(format, AttestationSignatureBad, "swapped", |story| {
            story.attester.certificates.reverse();
        });
    }
    // Nor is it the credential's. Both of these put what is signed into the first certificate.
    for format in [Format::AndroidKey, Format::Apple] {
        refuses_edited(format, AttestationCertificateBad, "swapped", |statement| {
            chain(statement).reverse();
        });
    }
    refuses(
        Format::Packed,
        AttestationUntrusted,
        "two authorities swapped",
        |story| {
            let upper = SigningKey::from_seed(Algorithm::Es256, "upper");
            let root_key = story.attester.root.key.clone();
            let authority = Certificate::authority("Upper", &upper, "Root", &root_key);
            story.attester.certificates[1].issuer = Name::common("Upper");
            story.attester.certificates[1].issuer_key = upper;
            story.attester.certificates.push(authority);
            story.verify().expect("in order");
            story.attester.certificates.swap(1, 2);
        },
    );
}

#[test]
fn a14_what_stands_behind_the_anchor_does_not_matter() {
    let mut story = Story::new(Format::Packed);
    let mut root = story.attester.root.clone();
    root.not_after = "20210101".into();
    story.attester.certificates.push(root);
    accepts("the root, and even an old copy of it", story);
}

#[test]
fn an_anchor_may_be_anywhere_in_the_chain() {
    for at in 0..2 {
        let mut story = Story::new(Format::Packed);
        // ECDSA signs differently each time, so the chain is sent as it was listed.
        let listed = story.attester.certificates[at].der();
        story.policy.trust_anchors = vec![TrustAnchor::from_der(&listed).unwrap()];
        let copy = listed.clone();
        story.edit = Box::new(move |statement| chain(statement)[at] = Item::Bytes(copy.clone()));
        let attestation = accepts("anchored", story).attestation.unwrap();
        assert_eq!(attestation.trust_path[at], listed);
        assert_eq!(attestation.trust_path.len(), at + 1);
    }
    assert!(TrustAnchor::from_der(b"-----BEGIN CERTIFICATE-----").is_err());
}

#[test]
fn a15_the_leafs_key_is_of_a_kind_the_model_has() {
    for format in Format::CERTIFIED {
        refuses(format, AttestationCertificateBad, "another kind", |story| {
            let mut model = model(story);
            model.certificate_algorithms = vec![Algorithm::Rs256, Algorithm::Es256];
            story.policy.models = vec![model];
            story.verify().expect("one of the kinds");
            story.policy.models[0].certificate_algorithms.pop();
        });
    }
}

#[test]
fn a16_a_u2f_statement_is_as_u2f_makes_it() {
    let format = Format::FidoU2f;
    let denial = AttestationMalformed;
    refuses(format, denial, "an AAGUID", |story| {
        story.registration.attested().aaguid[15] = 1;
    });
    refuses(format, denial, "two certificates", |story| {
        let root = story.attester.root.clone();
        story.attester.certificates.push(root);
    });
    refuses(format, denial, "a leaf on another curve", |story| {
        let key = SigningKey::from_seed(Algorithm::Es384, "another");
        story.attester.key = key.clone();
        story.attester.leaf().key = key;
    });
    let mut story = Story::with_key(format, Algorithm::Es384);
    assert_eq!(story.verify(), Err(denial), "a credential on another curve");
    refuses(format, AttestationSignatureBad, "another RP ID", |story| {
        story.registration.authenticator_data.rp_id_hash[0] ^= 1;
        story.attester.attest(&mut story.registration);
        let signature = statement_signature(&story.registration.statement);
        story.registration.authenticator_data.rp_id_hash[0] ^= 1;
        story.edit = Box::new(move |statement| {
            statement.set(Item::text("sig"), Item::Bytes(signature.clone()));
        });
    });

    // Leniently, the AAGUID counts as zero, whatever is claimed.
    let mut story = Story::new(format);
    story.registration.attested().aaguid = [7; 16];
    story.policy.accepts_u2f_with_aaguid = true;
    story.verify().unwrap();
    story.policy.allowed_aaguids = Some(vec![[7; 16]]);
    assert_eq!(story.verify(), Err(ModelNotAllowed));
}

#[test]
fn a17_a_tpm_certifies_this_key_in_this_ceremony() {
    type Break = fn(&mut Story);
    let table: &[(&str, Break)] = &[
        ("magic", |story| story.attester.tpm.magic ^= 1),
        ("type", |story| story.attester.tpm.kind = 0x8018),
        ("extra data of nothing", |story| {
            story.attester.tpm.extra_data = Some(vec![]);
        }),
        ("extra data of another ceremony", |story| {
            story.attester.tpm.extra_data = Some(vec![7; 32]);
        }),
        ("name", |story| story.attester.tpm.name = Some(vec![7; 34])),
        ("name without its hash", |story| {
            story.attester.tpm.name = Some(vec![0, 0x0b]);
        }),
        ("another key", |story| {
            let other = SigningKey::from_seed(Algorithm::Es256, "another");
            story.attester.tpm.public_area = Some(tpm_public_area(&other.cose_key().encode()));
        }),
        ("a key of another kind", |story| {
            let other = authenticator(Algorithm::Rs256).key;
            story.attester.tpm.public_area = Some(tpm_public_area(&other.cose_key().encode()));
        }),
        ("a byte behind the information", |story| {
            story.attester.tpm.trailing = vec![0];
        }),
    ];
    for (what, break_it) in table {
        refuses(Format::Tpm, AttestationMalformed, what, break_it);
    }
    for version in ["1.2", "2", "2.0 ", ""] {
        refuses_edited(
            Format::Tpm,
            AttestationMalformed,
            version,
            move |statement| {
                statement.set(Item::text("ver"), Item::text(version));
            },
        );
    }
    let mut story = Story::new(Format::Tpm);
    story.verify().unwrap();
    let Item::Bytes(information) = member(&mut story.registration.statement, "certInfo").clone()
    else {
        panic!("not bytes");
    };
    for length in 0..information.len() {
        let cut = information[..length].to_vec();
        refuses_edited(
            Format::Tpm,
            AttestationMalformed,
            "cut short",
            move |statement| {
                statement.set(Item::text("certInfo"), Item::Bytes(cut.clone()));
            },
        );
    }
    // The public area cut anywhere, or with a byte behind it, with the name made for it.
    let key = authenticator(Algorithm::Es256).key.cose_key().encode();
    let whole = tpm_public_area(&key);
    for length in 0..whole.len() {
        refuses(Format::Tpm, AttestationMalformed, "cut short", |story| {
            story.attester.tpm.public_area = Some(whole[..length].to_vec());
        });
    }
    refuses(
        Format::Tpm,
        AttestationMalformed,
        "a byte behind",
        |story| {
            story.attester.tpm.public_area = Some([&whole[..], &[0]].concat());
        },
    );
}

#[test]
fn a17_the_certificate_of_an_attestation_key_is_as_the_standard_says() {
    type Break = fn(&mut Certificate);
    let table: &[(&str, Break)] = &[
        ("version 2", |leaf| leaf.version = 2),
        ("an authority", |leaf| {
            leaf.set(Extension::basic_constraints(true, None));
        }),
        ("a subject", |leaf| leaf.subject = Name::common("a TPM")),
        ("no key usage", |leaf| leaf.remove("2.5.29.37")),
        ("another key usage", |leaf| {
            let server = vec![0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
            leaf.set(Extension::new("2.5.29.37", false, server));
        }),
        ("no other names", |leaf| leaf.remove("2.5.29.17")),
        ("other names of no TPM", |leaf| {
            let name = vec![0x30, 4, 0x82, 2, b'a', b'b'];
            leaf.set(Extension::new("2.5.29.17", true, name));
        }),
    ];
    for (what, break_it) in table {
        refuses(Format::Tpm, AttestationCertificateBad, what, |story| {
            break_it(story.attester.leaf());
        });
    }
}

#[test]
fn a18_an_android_key_is_the_credentials_and_well_kept() {
    type Break = fn(&mut Android);
    let table: &[(&str, Break)] = &[
        ("another challenge", |android| {
            android.challenge = Some(vec![7; 32]);
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
            android.hardware[1] = Android::origin(2);
        }),
        ("for encryption", |android| {
            android.hardware[0] = Android::purposes(&[0, 1]);
        }),
    ];
    for (what, break_it) in table {
        for keys in [AndroidKeys::TrustedEnvironment, AndroidKeys::AnyEnvironment] {
            refuses(
                Format::AndroidKey,
                AttestationCertificateBad,
                what,
                |story| {
                    story.policy.android_keys = keys;
                    break_it(&mut story.attester.android);
                },
            );
        }
    }
    refuses(
        Format::AndroidKey,
        AttestationCertificateBad,
        "the certificate of another key",
        |story| {
            let other = SigningKey::from_seed(Algorithm::Es256, "another");
            story.attester.key = other.clone();
            story.attester.leaf().key = other;
        },
    );
}

#[test]
fn a18_what_only_software_says_convinces_who_accepts_software() {
    type Break = fn(&mut Android);
    let table: &[(&str, Break)] = &[
        ("said by software", |android| android.security_level = 0),
        ("only software knows", |android| {
            android.software.append(&mut android.hardware);
        }),
        ("no origin", |android| {
            android.hardware.pop();
        }),
        ("no purpose", |android| {
            android.hardware.remove(0);
        }),
    ];
    for (what, break_it) in table {
        refuses(
            Format::AndroidKey,
            AttestationCertificateBad,
            what,
            |story| {
                break_it(&mut story.attester.android);
                story.policy.android_keys = AndroidKeys::AnyEnvironment;
                story.verify().expect("good enough for software");
                story.policy.android_keys = AndroidKeys::TrustedEnvironment;
            },
        );
    }
}

#[test]
fn a19_an_apple_certificate_is_made_for_this_ceremony() {
    let format = Format::Apple;
    let denial = AttestationCertificateBad;
    refuses(format, denial, "no nonce", |story| {
        story.attester.apple_nonce = Some(None);
    });
    for (what, nonce) in [
        ("nothing", vec![]),
        ("not wrapped", vec![7; 32]),
        ("of other data", apple_nonce(b"other data")),
    ] {
        refuses(format, denial, what, |story| {
            story.attester.apple_nonce = Some(Some(nonce));
        });
    }
    refuses(format, denial, "another key", |story| {
        story.attester.leaf().key = SigningKey::from_seed(Algorithm::Es256, "another");
    });
}

#[test]
fn a20_only_welcome_models_are_accepted() {
    for format in Format::CERTIFIED {
        refuses(format, ModelNotAllowed, "not on the list", |story| {
            let aaguid = story.aaguid();
            story.policy.allowed_aaguids = Some(vec![[7; 16], aaguid]);
            story.verify().expect("on the list");
            story.policy.allowed_aaguids = Some(vec![[7; 16]]);
        });
        refuses(format, ModelNotAllowed, "an empty list", |story| {
            story.policy.allowed_aaguids = Some(vec![]);
        });
        refuses(format, ModelNotAllowed, "denied", |story| {
            let aaguid = story.aaguid();
            story.policy.denied_aaguids = vec![[7; 16]];
            story.verify().expect("another one is denied");
            story.policy.denied_aaguids.push(aaguid);
            story.policy.allowed_aaguids = Some(vec![aaguid]);
        });
        // A list proves nothing about who is not trusted.
        refuses(format, AttestationUntrusted, "listed", |story| {
            let aaguid = story.aaguid();
            story.policy.allowed_aaguids = Some(vec![aaguid]);
            story.policy.trust_anchors.clear();
        });
    }
}

#[test]
fn a21_a_compromised_model_is_refused() {
    for format in Format::CERTIFIED {
        refuses(format, ModelCompromised, "compromised", |story| {
            let mut model = model(story);
            model.is_compromised = true;
            story.policy.models = vec![model];
        });
    }
}

#[test]
fn a_model_with_anchors_of_its_own_is_believed_from_nobody_else() {
    for format in Format::CERTIFIED {
        let mut story = Story::new(format);
        let mut own = model(&mut story);
        own.trust_anchors = std::mem::take(&mut story.policy.trust_anchors);
        story.policy.models = vec![own];
        let attestation = accepts("by its own anchor", story).attestation.unwrap();
        // U2F names no model that could be proven.
        assert_eq!(attestation.is_aaguid_proven, format != Format::FidoU2f);

        refuses(format, AttestationUntrusted, "by another's", |story| {
            let other = SigningKey::from_seed(Algorithm::Es256, "another maker");
            let root = Certificate::authority("Root", &other, "Root", &other);
            let mut model = model(story);
            model.trust_anchors = vec![anchor(&root)];
            story.policy.models = vec![model];
        });
    }
}

/// What is known about the model of the story: nothing yet.
fn model(story: &mut Story) -> AuthenticatorModel {
    AuthenticatorModel {
        aaguid: story.aaguid(),
        trust_anchors: vec![],
        certificate_algorithms: vec![],
        is_compromised: false,
    }
}

/// A member of a statement, to be changed.
fn member<'s>(statement: &'s mut Item, name: &str) -> &'s mut Item {
    let name = Item::text(name);
    let entries = statement.entries().iter_mut();
    entries
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .next()
        .expect("the member is there")
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

fn statement_signature(statement: &Item) -> Vec<u8> {
    signature(&mut statement.clone()).clone()
}
