//! What the options of a ceremony look like, on every start (section 7 of the checks).

use serde_json::{Value, json};
use webauthn::{Algorithm, UserVerification};

use super::{ALGORITHMS, Bench, Ceremony, Way, benches, benches_with, signatures};
use crate::house::{Handshake, MINUTE_MS};

const CEREMONIES: [Ceremony; 3] = [
    Ceremony::Registration,
    Ceremony::Login(Way::Discoverable),
    Ceremony::Login(Way::Transaction),
];

#[tokio::test]
async fn a_challenge_is_32_random_bytes_and_never_the_same() {
    for bench in benches().await {
        let ann = bench.person(Algorithm::Es256).await;
        let mut seen = std::collections::HashSet::new();
        for _ in 0..20 {
            for ceremony in CEREMONIES {
                let handshake = bench.start(ceremony, &ann.external_id).await;
                let challenge = &handshake.public_key["challenge"];
                assert_eq!(signatures::decoded(challenge).len(), 32);
                assert!(seen.insert(challenge.to_string()));
            }
        }
    }
}

#[tokio::test]
async fn the_options_of_a_registration_are_those_of_the_app() {
    for bench in benches().await {
        let mut ann = bench.person(Algorithm::Es256).await;
        let id = bench.app.user_id(&ann.external_id).await;
        let transports = ann.authenticator.transports.clone();
        let first = signatures::base64url(&ann.authenticator.credential_id);
        let handshake = bench.start(Ceremony::Registration, &ann.external_id).await;
        let options = &handshake.public_key;
        assert_eq!(
            options["rp"],
            json!({"id": "example.com", "name": "Example"})
        );
        assert_eq!(options["user"]["id"], signatures::base64url(id.as_bytes()));
        assert!((1..=64).contains(&signatures::decoded(&options["user"]["id"]).len()));
        assert!(!id.contains(&ann.external_id), "nothing of the person");
        let algorithms =
            ALGORITHMS.map(|algorithm| json!({"type": "public-key", "alg": algorithm.cose_id()}));
        assert_eq!(options["pubKeyCredParams"], json!(algorithms));
        let excluded = json!([{"type": "public-key", "id": first, "transports": transports}]);
        assert_eq!(options["excludeCredentials"], excluded);
        assert_eq!(options["attestation"], "none");
        assert_eq!(
            options["authenticatorSelection"]["userVerification"],
            "required"
        );
        assert_eq!(options["authenticatorSelection"]["residentKey"], "required");
        assert_life(&bench, &handshake);

        // The id of the user stays, and all credentials are on the list.
        ann.authenticator = super::authenticator(Algorithm::EdDsa, "second");
        bench
            .app
            .register(&ann.external_id, &mut ann.authenticator)
            .await;
        let later = bench.start(Ceremony::Registration, &ann.external_id).await;
        assert_eq!(later.public_key["user"]["id"], options["user"]["id"]);
        assert_eq!(
            later.public_key["excludeCredentials"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
    }
}

#[tokio::test]
async fn the_options_of_a_login_name_credentials_only_with_a_transaction() {
    for bench in benches().await {
        let ann = bench.person(Algorithm::Es256).await;
        let ben = bench.person(Algorithm::Es256).await;
        let handshake = bench
            .start(Ceremony::Login(Way::Transaction), &ann.external_id)
            .await;
        let allowed = json!([{
            "type": "public-key",
            "id": signatures::base64url(&ann.authenticator.credential_id),
            "transports": ann.authenticator.transports,
        }]);
        assert_eq!(handshake.public_key["allowCredentials"], allowed);
        assert_eq!(handshake.public_key["rpId"], "example.com");
        assert_eq!(handshake.public_key["userVerification"], "required");
        assert_life(&bench, &handshake);
        let handshake = bench
            .start(Ceremony::Login(Way::Discoverable), &ben.external_id)
            .await;
        assert_eq!(handshake.public_key.get("allowCredentials"), None);
        assert_eq!(handshake.public_key["rpId"], "example.com");
        assert_eq!(handshake.public_key["userVerification"], "required");
        assert_life(&bench, &handshake);
    }
}

#[tokio::test]
async fn a_conditional_registration_never_requires_user_verification() {
    for verification in [UserVerification::Preferred, UserVerification::Required] {
        let benches = benches_with(|new| new.settings.user_verification = verification);
        for bench in benches.await {
            let transaction_id = bench.app.register_transaction("ann").await;
            let body = json!({"transaction_id": transaction_id, "mediation": "conditional"});
            let path = "register/transactions/webauthn/start";
            let answer = bench.app.browser(path, body).await;
            if verification == UserVerification::Required {
                answer.refuses(400, "invalid_request");
            } else {
                let options = Handshake::from(answer).public_key;
                let selection = &options["authenticatorSelection"];
                assert_eq!(selection["userVerification"], "preferred");
            }
        }
    }
}

/// The prompt lasts as long as the app says and never longer than its handshake. The contract has five minutes
/// where the handshake lives ten, or an hour without a transaction, so that a late answer still counts.
fn assert_life(bench: &Bench, handshake: &Handshake) {
    let timeout: &Value = &handshake.public_key["timeout"];
    assert_eq!(*timeout, bench.app.app.settings.timeout_ms);
    assert!(timeout.as_i64().unwrap() <= 10 * MINUTE_MS);
}

#[tokio::test]
async fn a_prompt_ends_with_its_handshake() {
    let benches = benches_with(|new| {
        new.settings.lifetimes.handshake_ms = MINUTE_MS;
        new.settings.lifetimes.discoverable_handshake_ms = MINUTE_MS;
    });
    for bench in benches.await {
        let ann = bench.person(Algorithm::Es256).await;
        for ceremony in CEREMONIES {
            let handshake = bench.start(ceremony, &ann.external_id).await;
            assert_eq!(handshake.public_key["timeout"], MINUTE_MS);
        }
    }
}
