//! P7: one authentication from JSON to verified, and the bare signature verification inside it, in this process.

use std::{hint::black_box, time::Duration};

use anyhow::ensure;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use nix::time::{ClockId, clock_gettime};
use webauthn::{
    Algorithm, AuthenticationOptions, AuthenticationResponse, CounterPolicy, Credential,
    ExpectedAuthentication, RelyingParty, UserVerification, forge::Authenticator,
};

use crate::{
    passkeys::median,
    server::{ORIGIN, RP_ID},
};

/// CPU of a whole verification, and of the bare one; medians of interleaved batches.
pub(crate) fn measure(batches: usize) -> anyhow::Result<(Duration, Duration)> {
    let challenge = [7; 32];
    let mut authenticator = Authenticator::new(Algorithm::Es256, "bench");
    let options = webauthn::authentication::options(&AuthenticationOptions {
        rp_id: RP_ID,
        challenge: &challenge,
        allow: None,
        user_verification: UserVerification::Preferred,
        timeout_ms: 60_000,
    });
    let forged = authenticator.get(&options, ORIGIN);
    let body = forged.json().to_string();
    let message = forged.message();
    let signature = authenticator.key.sign(&message);
    let cose_key = authenticator.key.cose_key().encode();
    // The coordinates are the last 32 bytes, and 32 bytes before a label and a length of 3 bytes.
    let (x, y) = (
        &cose_key[cose_key.len() - 67..][..32],
        &cose_key[cose_key.len() - 32..],
    );
    let point = [&[4][..], x, y].concat();
    let credential = Credential {
        id: authenticator.credential_id.clone(),
        public_key: cose_key.clone(),
        algorithm: Algorithm::Es256,
        sign_count: 0,
        aaguid: authenticator.aaguid,
        transports: Vec::new(),
        backup_eligible: Some(true),
        backed_up: true,
        requires_user_verification: false,
    };
    let relying_party = RelyingParty {
        rp_id: RP_ID.to_owned(),
        origins: vec![ORIGIN.to_owned()],
        top_origins: None,
    };
    let expected = ExpectedAuthentication {
        relying_party: &relying_party,
        challenge: &challenge,
        user_verification: UserVerification::Preferred,
        counter_policy: CounterPolicy::Record,
    };
    let whole = || -> bool {
        serde_json::from_str(black_box(&body))
            .ok()
            .and_then(|json| AuthenticationResponse::from_json(&json).ok())
            .is_some_and(|response| {
                webauthn::authentication::verify(&expected, &credential, &response).is_ok()
            })
    };
    let bare = || -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, black_box(&point))
            .verify(black_box(&message), &signature)
            .is_ok()
    };
    ensure!(
        whole() && bare(),
        "the forged authentication does not verify"
    );
    let (mut wholes, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..batches {
        bares.push(time(bare)?);
        wholes.push(time(whole)?);
    }
    Ok((median(wholes), median(bares)))
}

const EACH: u32 = 200;

/// CPU of this thread for one call, on average.
fn time(work: impl Fn() -> bool) -> anyhow::Result<Duration> {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
    let began = now()?;
    for _ in 0..EACH {
        black_box(work());
    }
    Ok((now()? - began) / EACH)
}
