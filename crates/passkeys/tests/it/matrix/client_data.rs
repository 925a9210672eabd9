//! Client data that is refused, the same in both ceremonies: R08 to R18 and R20, which are L11 and L12 of a login;
//! with settings about embedding and native apps, R18 to R22, which are L12 and L13.

use serde_json::{Value, json};
use webauthn::forge::ClientData;

use super::{Bench, Person, benches, case, signatures};

/// A change of the client data, its rows as a registration and as a login, and the reason.
struct Input {
    row: &'static str,
    login_row: &'static str,
    what: String,
    reason: &'static str,
    change: Box<dyn Fn(&mut ClientData)>,
}

struct Inputs(Vec<Input>);

impl Inputs {
    fn add(
        &mut self,
        (row, login_row): (&'static str, &'static str),
        what: &str,
        reason: &'static str,
        change: impl Fn(&mut ClientData) + 'static,
    ) {
        self.0.push(Input {
            row,
            login_row,
            what: what.into(),
            reason,
            change: Box::new(change),
        });
    }

    fn set(
        &mut self,
        rows: (&'static str, &'static str),
        reason: &'static str,
        name: &'static str,
        value: Value,
    ) {
        let what = format!("{name} {value}");
        self.add(rows, &what, reason, move |data| {
            data.set(name, value.clone())
        });
    }

    async fn refuse(self, bench: &Bench, person: &mut Person) {
        for input in self.0 {
            let registration = case(input.row, &input.what, input.reason);
            bench
                .refuses_registration(registration, |forged| {
                    (input.change)(&mut forged.client_data)
                })
                .await;
            let login = case(input.login_row, &input.what, input.reason);
            bench
                .refuses_login(person, login, |forged| {
                    (input.change)(&mut forged.client_data)
                })
                .await;
        }
    }
}

#[tokio::test]
async fn r08_to_r12_client_data_is_one_json_object_of_the_right_type() {
    for bench in benches().await {
        let mut person = bench.person(webauthn::Algorithm::Es256).await;
        shapes().refuse(&bench, &mut person).await;
        members().refuse(&bench, &mut person).await;
    }
}

#[tokio::test]
async fn r13_the_challenge_is_the_one_of_the_handshake() {
    for bench in benches().await {
        let mut person = bench.person(webauthn::Algorithm::Es256).await;
        challenges(&bench).await.refuse(&bench, &mut person).await;
    }
}

#[tokio::test]
async fn r14_to_r22_the_origin_is_on_the_list_and_nobody_embeds_it() {
    for bench in benches().await {
        let mut person = bench.person(webauthn::Algorithm::Es256).await;
        origins().refuse(&bench, &mut person).await;
        embedding().refuse(&bench, &mut person).await;
    }
}

/// With an Android app listed and pages of one shop allowed to embed.
#[tokio::test]
async fn r18_and_r22_native_apps_and_pages_around_are_on_their_lists() {
    for bench in benches().await {
        bench
            .app
            .update(json!({"settings": {"embedding_origins": [SHOP]}}))
            .await;
        let created = bench.app.server(
            "native-clients",
            json!({
                "platform": "android",
                "package_name": "com.example.app",
                "sha256_cert_fingerprints": [vec!["AB"; 32].join(":")],
            }),
        );
        assert_eq!(created.await.status, 201);
        let listed = format!(
            "android:apk-key-hash:{}",
            signatures::base64url(&[0xab; 32])
        );
        let mut ann = bench.person(webauthn::Algorithm::Es256).await;
        let origin = listed.clone();
        accepted(&bench, "P12", &listed, move |data| {
            data.set("origin", &*origin)
        })
        .await;
        accepted(&bench, "R22", "embedded by the shop", |data| {
            data.set("crossOrigin", true);
            data.set("topOrigin", SHOP);
        })
        .await;

        let mut inputs = Inputs(Vec::new());
        let last = listed.chars().last().unwrap();
        for wrong in [
            format!("{listed}="),
            format!("{listed}A"),
            listed.replace("hash", "hash-sha256"),
            listed.to_uppercase(),
            format!(
                "android:apk-key-hash:{}",
                signatures::base64url(&[0xac; 32])
            ),
            format!("android:apk-key-hash:{}", vec!["AB"; 32].join(":")),
            // The same 32 bytes, with a spare bit set.
            format!(
                "{}{}",
                &listed[..listed.len() - 1],
                char::from_u32(u32::from(last) + 1).unwrap()
            ),
        ] {
            inputs.set(("R18", "L12"), "origin_not_allowed", "origin", json!(wrong));
        }
        for wrong in [
            "https://other.example",
            "https://shop.example/",
            "https://www.shop.example",
            "",
            "https://example.com",
        ] {
            let what = format!("embedded by {wrong:?}");
            inputs.add(
                ("R22", "L13"),
                &what,
                "top_origin_not_allowed",
                move |data| {
                    data.set("crossOrigin", true);
                    data.set("topOrigin", wrong);
                },
            );
        }
        inputs.set(
            ("R22", "L13"),
            "top_origin_not_allowed",
            "crossOrigin",
            json!(true),
        );
        inputs.refuse(&bench, &mut ann).await;
    }
}

/// Both ceremonies are accepted with client data that is changed.
async fn accepted(bench: &Bench, row: &str, what: &str, change: impl Fn(&mut ClientData)) {
    let mut person = bench
        .accepts_registration(row, what, webauthn::Algorithm::Es256, |forged| {
            change(&mut forged.client_data);
            forged.json()
        })
        .await;
    bench
        .accepts_login(&mut person, row, what, |forged| {
            change(&mut forged.client_data);
            forged.json()
        })
        .await;
}

/// Whose pages embed the app.
const SHOP: &str = "https://shop.example";

/// R08 to R10: what is no client data at all.
fn shapes() -> Inputs {
    const ROWS: (&str, &str) = ("R08", "L11");
    const TWICE: (&str, &str) = ("R09", "L11");
    let malformed = "client_data_malformed";
    let mut inputs = Inputs(Vec::new());
    inputs.add(ROWS, "not JSON", malformed, |data| {
        data.raw = Some(b"webauthn".to_vec());
    });
    inputs.add(ROWS, "cut", malformed, |data| {
        let mut bytes = data.bytes();
        bytes.pop();
        data.raw = Some(bytes);
    });
    inputs.add(ROWS, "not UTF-8 where nobody looks", malformed, |data| {
        data.set("extra", "?");
        let mut bytes = data.bytes();
        let at = bytes.iter().position(|byte| *byte == b'?').unwrap();
        bytes[at] = 0xff;
        data.raw = Some(bytes);
    });
    inputs.add(ROWS, "UTF-16", malformed, |data| {
        let text = String::from_utf8(data.bytes()).unwrap();
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        data.raw = Some([0xff, 0xfe].into_iter().chain(units).collect());
    });
    inputs.add(ROWS, "an array of the members", malformed, |data| {
        let names = ["type", "challenge", "origin", "crossOrigin"];
        let list: Vec<&Value> = names.iter().map(|name| &data.members[*name]).collect();
        data.raw = Some(json!(list).to_string().into());
    });
    inputs.add(ROWS, "an array around it", malformed, |data| {
        data.raw = Some(json!([data.members]).to_string().into());
    });
    inputs.add(ROWS, "a JSON string", malformed, |data| {
        let text = json!(data.members).to_string();
        data.raw = Some(json!(text).to_string().into());
    });
    for behind in ["{}", "x", "\0", ","] {
        inputs.add(
            ROWS,
            &format!("{behind:?} behind"),
            malformed,
            move |data| {
                data.raw = Some([&data.bytes(), behind.as_bytes()].concat());
            },
        );
    }
    inputs.add(ROWS, "nested 10 000 deep", malformed, |data| {
        let nested = format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
        data.raw = Some(nested.into());
    });
    for name in ["type", "challenge", "origin"] {
        inputs.add(TWICE, &format!("{name} twice"), malformed, move |data| {
            let text = String::from_utf8(data.bytes()).unwrap();
            let twin = json!({name: data.members[name]}).to_string();
            data.raw = Some(format!("{},{}", &twin[..twin.len() - 1], &text[1..]).into());
        });
        inputs.add(
            TWICE,
            &format!("{name} twice, the first wrong"),
            malformed,
            move |data| {
                let text = String::from_utf8(data.bytes()).unwrap();
                data.raw = Some(format!(r#"{{"{name}":"x",{}"#, &text[1..]).into());
            },
        );
    }
    inputs.add(TWICE, "type twice, once escaped", malformed, |data| {
        let text = String::from_utf8(data.bytes()).unwrap();
        data.raw = Some(format!(r#"{{"\u0074ype":"x",{}"#, &text[1..]).into());
    });
    inputs
}

/// R10 to R12 and R14: members that are missing or no text, and types of something else.
fn members() -> Inputs {
    let malformed = "client_data_malformed";
    let mut inputs = Inputs(Vec::new());
    for (row, name) in [("R10", "type"), ("R12", "challenge"), ("R14", "origin")] {
        let rows = (row, "L11");
        inputs.add(rows, &format!("no {name}"), malformed, |data| {
            data.remove(name)
        });
        for wrong in [json!(null), json!(1), json!(true), json!([]), json!({})] {
            inputs.set(rows, malformed, name, wrong);
        }
    }
    inputs.set(("R10", "L11"), malformed, "type", json!(""));
    inputs.add(
        ("R11", "L11"),
        "type of the other ceremony",
        "type_wrong",
        |data| {
            let other = match data.members["type"].as_str() {
                Some("webauthn.create") => "webauthn.get",
                _ => "webauthn.create",
            };
            data.set("type", other);
        },
    );
    for wrong in [
        "WEBAUTHN.CREATE",
        "WEBAUTHN.GET",
        "payment.get",
        "webauthn.create ",
        "webauthn.get ",
        " webauthn.create",
        "webauthn",
    ] {
        inputs.set(("R11", "L11"), "type_wrong", "type", json!(wrong));
    }
    inputs
}

/// R13: challenges of something else.
async fn challenges(bench: &Bench) -> Inputs {
    const ROWS: (&str, &str) = ("R13", "L11");
    let mismatch = "challenge_mismatch";
    let mut inputs = Inputs(Vec::new());
    for wrong in ["", "!!", "A", " "] {
        inputs.set(ROWS, mismatch, "challenge", json!(wrong));
    }
    inputs.set(ROWS, mismatch, "challenge", json!("A".repeat(43)));
    type Change = fn(String) -> String;
    let changes: [(&str, Change); 6] = [
        ("padded", |right| right + "="),
        ("a prefix", |right| right[..40].to_owned()),
        ("one byte short", |right| right[..42].to_owned()),
        ("more behind", |right| right + "AAAA"),
        ("encoded twice", |right| {
            signatures::base64url(right.as_bytes())
        }),
        // 32 bytes leave two spare bits in the last letter.
        ("a spare bit set", |mut right| {
            let last = right.pop().unwrap();
            right.push(char::from_u32(u32::from(last) + 1).unwrap());
            right
        }),
    ];
    for (what, change) in changes {
        inputs.add(ROWS, what, mismatch, move |data| {
            let right = data.members["challenge"].as_str().unwrap().to_owned();
            data.set("challenge", change(right));
        });
    }
    // Those of two more handshakes, which stay open.
    let transaction_id = bench.app.register_transaction("other").await;
    let registration = bench.app.start_registration(&transaction_id).await;
    let login = bench.app.start_authentication(None).await;
    for (what, other) in [
        ("of another open registration", registration),
        ("of another open login", login),
    ] {
        let other = other.public_key["challenge"].clone();
        inputs.add(ROWS, what, mismatch, move |data| {
            data.set("challenge", other.clone())
        });
    }
    inputs
}

/// R15 to R18: origins that are not on the list.
fn origins() -> Inputs {
    let mut inputs = Inputs(Vec::new());
    let tables: [(&str, &[&str]); 4] = [
        (
            "R15",
            &[
                "",
                "null",
                "https://other.example",
                "http://example.com",
                "https://example.com:443",
                "https://example.com:8443",
                "https://example.com/",
                "https://example.com/login",
                "https://ann:pw@example.com",
                "https://ann@example.com",
                "https://EXAMPLE.com",
                "HTTPS://example.com",
                "https://example.com.",
                " https://example.com",
                "https://example.com\u{0}",
                "example.com",
            ],
        ),
        (
            "R16",
            &[
                "https://www.example.com",
                "https://login.example.com",
                "https://evilexample.com",
                "https://example.com.evil.net",
                "https://example.comx",
                "https://example.co",
                "https://com",
            ],
        ),
        (
            "R17",
            &[
                "https://xn--exmple-cua.com",
                "https://ex\u{430}mple.com",
                "https://\u{ff45}xample.com",
                "https://example\u{3002}com",
            ],
        ),
        (
            "R18",
            &[
                "android:apk-key-hash:SAYGXQ-0v2o1s8hCRZTUaGVBYrDVNwkS0vmDKgm8aYc",
                "android:apk-key-hash:",
                "ios:bundle-id:com.example",
            ],
        ),
    ];
    for (row, origins) in tables {
        for origin in origins {
            inputs.set((row, "L12"), "origin_not_allowed", "origin", json!(origin));
        }
    }
    inputs
}

/// R19 to R21: embedding, which the app does not allow.
fn embedding() -> Inputs {
    let mut inputs = Inputs(Vec::new());
    let not_allowed = "cross_origin_not_allowed";
    inputs.set(("R19", "L13"), not_allowed, "crossOrigin", json!(true));
    inputs.add(("R19", "L13"), "with the page named", not_allowed, |data| {
        data.set("crossOrigin", true);
        data.set("topOrigin", "https://shop.example");
    });
    let malformed = "client_data_malformed";
    for wrong in [
        json!("true"),
        json!("false"),
        json!(1),
        json!(null),
        json!([]),
    ] {
        inputs.set(("R20", "L13"), malformed, "crossOrigin", wrong);
    }
    for wrong in [json!(true), json!(1), json!(null)] {
        inputs.set(("R20", "L13"), malformed, "topOrigin", wrong);
    }
    let top = "top_origin_not_allowed";
    inputs.set(
        ("R21", "L13"),
        top,
        "topOrigin",
        json!("https://shop.example"),
    );
    inputs.set(
        ("R21", "L13"),
        top,
        "topOrigin",
        json!("https://example.com"),
    );
    inputs.add(("R21", "L13"), "crossOrigin missing", top, |data| {
        data.remove("crossOrigin");
        data.set("topOrigin", "https://shop.example");
    });
    inputs
}
