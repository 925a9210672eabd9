//! The options of both ceremonies, member by member.

use serde_json::json;
use webauthn::{
    Algorithm, AttestationConveyance, AuthenticationOptions, AuthenticatorAttachment,
    CredentialDescriptor, RegistrationOptions, UserVerification, authentication, registration,
};

#[test]
fn the_options_of_a_registration_are_what_every_client_needs() {
    let exclude = [
        CredentialDescriptor {
            id: vec![0xfb, 0xff],
            transports: vec!["internal".into(), "hybrid".into()],
        },
        CredentialDescriptor {
            id: vec![1],
            transports: vec![],
        },
    ];
    let mut wanted = RegistrationOptions {
        rp_id: "example.com",
        rp_name: "Example",
        user_id: "aB3dE6gH9jK2mN5pQ8sT1vW4",
        display_name: "ann@example.com",
        challenge: &[0xff; 32],
        algorithms: &[Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa],
        timeout_ms: 300_000,
        exclude: &exclude,
        attachment: Some(AuthenticatorAttachment::CrossPlatform),
        user_verification: UserVerification::Preferred,
        attestation: AttestationConveyance::None,
    };
    let options = registration::options(&wanted);
    assert_eq!(
        options,
        json!({
            "rp": {"id": "example.com", "name": "Example"},
            "user": {
                "id": "YUIzZEU2Z0g5aksybU41cFE4c1Qxdlc0",
                "name": "ann@example.com",
                "displayName": "ann@example.com",
            },
            "challenge": "__________________________________________8",
            "pubKeyCredParams": [
                {"type": "public-key", "alg": -7},
                {"type": "public-key", "alg": -257},
                {"type": "public-key", "alg": -8},
            ],
            "timeout": 300_000,
            "excludeCredentials": [
                {"type": "public-key", "id": "-_8", "transports": ["internal", "hybrid"]},
                {"type": "public-key", "id": "AQ"},
            ],
            "authenticatorSelection": {
                "authenticatorAttachment": "cross-platform",
                "residentKey": "required",
                "requireResidentKey": true,
                "userVerification": "preferred",
            },
            "attestation": "none",
            "extensions": {"credProps": true},
        })
    );

    wanted.attachment = None;
    wanted.attestation = AttestationConveyance::Direct;
    wanted.user_verification = UserVerification::Required;
    let options = registration::options(&wanted);
    assert_eq!(options["attestation"], "direct");
    assert_eq!(
        options["authenticatorSelection"],
        json!({
            "residentKey": "required",
            "requireResidentKey": true,
            "userVerification": "required",
        })
    );
}

#[test]
fn the_options_of_an_authentication_name_credentials_of_known_users_only() {
    let allow = [CredentialDescriptor {
        id: vec![1, 2, 3],
        transports: vec!["usb".into()],
    }];
    let mut wanted = AuthenticationOptions {
        rp_id: "example.com",
        challenge: &[0; 32],
        allow: Some(&allow),
        user_verification: UserVerification::Required,
        timeout_ms: 300_000,
    };
    assert_eq!(
        authentication::options(&wanted),
        json!({
            "challenge": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "rpId": "example.com",
            "allowCredentials": [{"type": "public-key", "id": "AQID", "transports": ["usb"]}],
            "userVerification": "required",
            "timeout": 300_000,
        })
    );

    wanted.allow = None;
    wanted.user_verification = UserVerification::Preferred;
    assert_eq!(
        authentication::options(&wanted),
        json!({
            "challenge": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "rpId": "example.com",
            "userVerification": "preferred",
            "timeout": 300_000,
        })
    );
}
