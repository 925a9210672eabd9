//! Writes good inputs of every target into `fuzz/corpus`, from which fuzzers find the bad ones:
//! `cargo run --package fuzz-targets --example seeds`.
//!
//! The same seeds every time, but for signatures of ECDSA and keys of RSA, which are never made twice.

use std::{fs, path::Path};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use fuzz_targets::TARGETS;
use serde_json::{Value, json};
use webauthn::{
    Algorithm,
    forge::{
        ForgedAuthentication, ForgedRegistration, Item, SigningKey,
        attestation::{Attester, Extension, Format},
        flag,
    },
    fuzzing::{CREDENTIALS, ORIGIN, authentication_options, authenticator, registration_options},
};

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for target in TARGETS {
        let folder = corpus.join(target.name);
        fs::create_dir_all(&folder)?;
        let seeds = seeds(target.name);
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        }
        println!("{}: {} seeds", target.name, seeds.len());
    }
    Ok(())
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "registration" => registrations(),
        "authentication" => authentications(),
        "client_data" => client_data(),
        "keys" => keys(),
        "queries" => queries(),
        "requests" => requests(),
        "imports" => imports(),
        "aws" => aws(),
        other => panic!("no seeds of {other}"),
    }
}

/// The byte that tells what follows, and what follows.
fn form(byte: u8, rest: impl AsRef<[u8]>) -> Vec<u8> {
    [&[byte], rest.as_ref()].concat()
}

fn registration(algorithm: Algorithm) -> ForgedRegistration {
    authenticator(algorithm).create(&registration_options(), ORIGIN)
}

fn registrations() -> Vec<Vec<u8>> {
    let mut forged: Vec<ForgedRegistration> = Algorithm::ALL.map(registration).into();
    for format in [Format::PackedSelf].into_iter().chain(Format::CERTIFIED) {
        for algorithm in Algorithm::ALL {
            // Neither has a form for other keys.
            let is_possible = match format {
                Format::FidoU2f => algorithm == Algorithm::Es256,
                Format::Tpm => matches!(algorithm, Algorithm::Es256 | Algorithm::Rs256),
                _ => true,
            };
            if !is_possible {
                continue;
            }
            let key = authenticator(algorithm).key;
            let mut registration = registration(algorithm);
            registration.attested().public_key = key.cose_key().encode();
            let mut attester = Attester::new(format, &key);
            if format == Format::Packed {
                let aaguid = registration.attested().aaguid;
                attester.leaf().set(Extension::aaguid(&aaguid));
            }
            attester.attest(&mut registration);
            forged.push(registration);
        }
    }
    let mut extended = registration(Algorithm::EdDsa);
    extended.authenticator_data.flags |= flag::EXTENSIONS;
    let protection = Item::Map(vec![(Item::text("credProtect"), Item::Int(3))]);
    extended.authenticator_data.extensions = Some(protection.encode());
    forged.push(extended);

    let mut seeds: Vec<Vec<u8>> = forged
        .iter()
        .map(|registration| {
            let demand = match &*registration.format {
                "none" => 1,
                _ => 2,
            };
            let object = &registration.json()["response"]["attestationObject"];
            form(demand, base64url(object))
        })
        .collect();
    let mut whole = registration(Algorithm::EdDsa);
    whole.client_extension_results = Some(json!({"credProps": {"rk": true}}));
    seeds.push(form(0, whole.json().to_string()));
    seeds
}

fn authentications() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, algorithm) in (1..).zip(CREDENTIALS) {
        let mut authenticator = authenticator(algorithm);
        let plain = authenticator.get(&authentication_options(), ORIGIN);
        let mut counted = plain.clone();
        counted.authenticator_data.sign_count = 7;
        let mut extended = plain.clone();
        extended.authenticator_data.flags |= flag::EXTENSIONS;
        extended.authenticator_data.extensions =
            Some(Item::Map(vec![(Item::text("a"), Item::Bool(true))]).encode());
        seeds.push(form(0, plain.json().to_string()));
        seeds.extend([plain, counted, extended].map(|forged| form(number, parts(&forged))));
    }
    seeds
}

fn parts(forged: &ForgedAuthentication) -> Vec<u8> {
    let data = forged.authenticator_data.bytes();
    let length = u16::try_from(data.len()).expect("short authenticator data");
    let signature = base64url(&forged.json()["response"]["signature"]);
    [&length.to_be_bytes()[..], &data, &signature].concat()
}

fn client_data() -> Vec<Vec<u8>> {
    let mut honest = authenticator(Algorithm::EdDsa).get(&authentication_options(), ORIGIN);
    let plain = honest.client_data.bytes();
    honest.client_data.set("crossOrigin", true);
    honest
        .client_data
        .set("topOrigin", "https://embedding.example");
    let mut seeds = vec![
        form(0, &plain),
        form(0, [b"\xef\xbb\xbf", &plain[..]].concat()),
        form(0, honest.client_data.bytes()),
    ];
    seeds.extend(
        [
            "https://login.example.com:8443\nexample.com",
            "https://Bücher.example:443/\nxn--bcher-kva.example",
            "http://127.0.0.1:8081\nlocalhost",
            "https://ann:pw@[::1]/app?a#b\n1",
        ]
        .map(|texts| form(1, texts)),
    );
    seeds
}

fn keys() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = Algorithm::ALL
        .map(|algorithm| cose_key(algorithm).encode())
        .into();
    seeds.push(
        Item::Map(vec![
            (
                Item::text("a"),
                Item::Array(vec![Item::Bytes(vec![1]), Item::Bool(true)]),
            ),
            (
                Item::Int(-300),
                Item::Map(vec![(Item::Int(1), Item::text("b"))]),
            ),
            (
                Item::Int(1 << 40),
                Item::Raw(vec![0xc1, 0xfb, 0, 0, 0, 0, 0, 0, 0, 0]),
            ),
        ])
        .encode(),
    );
    seeds.push(Item::Array(vec![Item::Bytes(vec![1, 2]), Item::Bytes(vec![])]).encode());
    seeds
}

fn cose_key(algorithm: Algorithm) -> Item {
    SigningKey::from_seed(algorithm, "fuzzed").cose_key()
}

fn queries() -> Vec<Vec<u8>> {
    [
        "page=2&limit=500&created_before=1724113247&order_by=created_at:DESC,id:ASC",
        "identifier=ann&id=%3Cgt:abc%3E&status=%3Cne:active%3E&login_count=%3Clt:7%3E",
        "login_count=3&login_count=<gt:1>&created_at=2024-08-20T00:20:47.123456Z",
        "updated_at=<ne:2024-08-20T00:20:47Z>&last_login_at=%3Clt:2024-08-20T02:20:47%2B02:00%3E",
        "user_id=<not_like:%25a_b%25>&type=passkey_login&ip_addr=<like:192.0.2.%25>",
        "user_agent=%3Clike:%25Firefox%5C%25%3E&order_by=type:desc&abc=%3Clike:a_c%3E",
    ]
    .map(|query| query.as_bytes().to_vec())
    .into()
}

fn requests() -> Vec<Vec<u8>> {
    let id = "aB3dE6gH9jK2mN5pQ8sT1vW4";
    let bodies = [
        json!({"external_id": "ann", "passkey_display_name": "Ann", "nonce": null}),
        json!({
            "handshake_id": id,
            "transaction_id": id,
            "handshake_response": registration(Algorithm::EdDsa).json(),
        }),
        json!({
            "handshake_id": id,
            "handshake_response": authenticator(Algorithm::EdDsa)
                .get(&authentication_options(), ORIGIN)
                .json(),
        }),
    ];
    let user_agents = [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0.0.0 Edg/141.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) CriOS/141.0 Safari/604.1",
        "Café",
    ];
    bodies
        .map(|body| form(0, body.to_string()))
        .into_iter()
        .chain(user_agents.map(|user_agent| form(1, user_agent)))
        .collect()
}

fn imports() -> Vec<Vec<u8>> {
    let user = json!({
        "id": "u1", "external_id": "ann", "status": "active", "login_count": 3,
        "created_at": "2024-08-20T00:20:47.125Z", "updated_at": "2024-08-20 00:20:47",
        "last_login_at": 1_724_113_247, "user_metadata": null,
    });
    let files = [
        "\u{feff}External ID,User-Id,status,created\nann,u1,active,2024-08-20\n\"b\n\"\"b\",u2,,\n"
            .to_owned(),
        format!("{user}\n\n{{\"user_id\": \"u2\", \"external_id\": 7}}\n"),
        format!("[{user},\n{{\"user\": {user}}}]"),
        format!("{{\"page\": 1,\n\"users\": [{user}]}}"),
    ];
    let credential = json!({
        "external_id": "ann", "user_id": "u1", "device_id": "d1", "cred_id": "AAEC",
        "rp_id": "example.com", "public_key": hex::encode(cose_key(Algorithm::EdDsa).encode()),
        "sign_count": 7, "aaguid": "d548826e-79b4-db40-a3d8-11116f7e8349", "transports": ["usb"],
        "backed_up": true, "requires_user_verification": true, "attachment": "cross-platform",
        "friendly_name": "Key", "type": "passkey", "usage_count": "3", "user_agent": "Firefox/143",
        "created_at": "2024-08-20T00:20:47Z", "user_handle": "aGFuZGxl", "icons": {"light": null},
    });
    let mut seeds: Vec<Vec<u8>> = files.map(|file| form(0, file)).into();
    seeds.push(form(1, format!("{credential}\n{{}}\n")));
    seeds.push(form(
        2,
        r#"{"user_id": "u1", "credential_id": "0aFF", "user_handle": "6869"}"#,
    ));
    for algorithm in Algorithm::ALL {
        let key = cose_key(algorithm).encode();
        seeds.push(form(3, BASE64_URL_SAFE_NO_PAD.encode(&key)));
    }
    let x = [b'x'; 32];
    let ed25519 = [
        hex::decode("302a300506032b6570032100").expect("hex"),
        x.to_vec(),
    ]
    .concat();
    seeds.push(form(3, hex::encode(&ed25519)));
    seeds.push(form(
        3,
        format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            BASE64_STANDARD.encode(&ed25519)
        ),
    ));
    let point = bytes(&mut cose_key(Algorithm::Es256), &[-2, -3]);
    let header = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
    let p256 = [hex::decode(header).expect("hex"), vec![4], point.concat()].concat();
    seeds.push(form(3, BASE64_STANDARD.encode(p256)));
    let numbers = bytes(&mut cose_key(Algorithm::Rs256), &[-1, -2]);
    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    for jwk in [
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "x": text(&point[0]), "y": text(&point[1])}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": text(&x)}),
        json!({"kty": "RSA", "n": text(&numbers[0]), "e": text(&numbers[1])}),
    ] {
        seeds.push(form(3, jwk.to_string()));
    }
    let numbers: Vec<u8> = numbers.iter().flat_map(|number| integer(number)).collect();
    let numbers = bits(&element(0x30, &numbers));
    let algorithm = hex::decode("300d06092a864886f70d0101010500").expect("hex");
    let rsa = element(0x30, &[algorithm, numbers].concat());
    seeds.push(form(3, BASE64_STANDARD.encode(rsa)));
    seeds
}

/// The byte strings under labels of a COSE_Key.
fn bytes(key: &mut Item, labels: &[i64]) -> Vec<Vec<u8>> {
    let entries = key.entries();
    let find = |label: &i64| {
        entries
            .iter()
            .find_map(|(known, value)| match (known, value) {
                (Item::Int(known), Item::Bytes(bytes)) if known == label => Some(bytes.clone()),
                _ => None,
            })
    };
    labels
        .iter()
        .map(|label| find(label).expect("the key has it"))
        .collect()
}

/// An element of DER.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len())
        .expect("short content")
        .to_be_bytes();
    let length = match (high, low) {
        (0, 0..0x80) => vec![low],
        (0, _) => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [vec![tag], length, content.to_vec()].concat()
}

fn integer(number: &[u8]) -> Vec<u8> {
    element(
        0x02,
        &[&[0], number].concat()[usize::from(number[0] < 0x80)..],
    )
}

fn bits(content: &[u8]) -> Vec<u8> {
    element(0x03, &[&[0], content].concat())
}

/// Requests of the published test suite of the protocol, and inputs of operations.
fn aws() -> Vec<Vec<u8>> {
    let signed = |target: &str, headers: &str, names: &str, signature: &str, body: &str| {
        let request = format!(
            "{target}\nX-Amz-Date:20150830T123600Z\n{headers}Authorization:AWS4-HMAC-SHA256 \
             Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders={names}, Signature={signature}\n\n{body}"
        );
        form(0, request)
    };
    let token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
    let mut seeds = vec![
        signed(
            "GET /example1/example2/../..",
            "",
            "host;x-amz-date",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            "",
        ),
        signed(
            "GET /?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
            "",
            "host;x-amz-date",
            "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
            "",
        ),
        signed(
            "GET /",
            &format!("x-amz-security-token:{token}\n"),
            "host;x-amz-date;x-amz-security-token",
            "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
            "",
        ),
        signed(
            "POST /",
            "content-type:application/x-www-form-urlencoded\ncontent-length:13\n\
             x-amz-content-sha256:\
             9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e\n",
            "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
            "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
            "Param1=value1",
        ),
        form(
            0,
            "POST /\nX-Amz-Target:service.Do\nDate:Sun, 30 Aug 2015 12:36:00 GMT\n\n{}",
        ),
    ];
    let good = json!({
        "Name": "ann", "Password": "secret", "Choice": "FIRST", "Number": 3.5, "Boolean": "true",
        "Blob": "AAEC", "Document": [1, {"a": null}], "Object": {"Name": "bob"},
        "Objects": [{"Name": "cid"}], "Strings": ["a", "b"], "Choices": ["SECOND"],
        "Map": {"a": "b", "c": null},
    });
    let bad = json!({
        "Name": "Ann Ann", "Password": "much too long", "Choice": "THIRD", "Number": 9e99,
        "Objects": [null, {"Name": ""}, {}], "Strings": [null, "A"], "Choices": ["X", "Y", "Z"],
        "Map": {"A": "long text"},
    });
    let wrong = json!({"Name": 7, "Boolean": "perhaps", "Blob": "!", "Object": [], "Map": 1});
    seeds.extend([good, bad, wrong].map(|body| form(1, body.to_string())));
    seeds
}

fn base64url(text: &Value) -> Vec<u8> {
    let text = text.as_str().expect("a text");
    BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url")
}
