//! Client data that is refused: the same rows for both ceremonies (R08 to R22, L11 to L13).

use serde_json::{Value, json};
use webauthn::Denial::{self, *};
use webauthn::forge::ClientData;

use crate::site::Site;

#[test]
fn r08_client_data_must_be_one_json_object_in_utf8() {
    refuses(ClientDataMalformed, "not JSON", |data| {
        raw(data, b"webauthn")
    });
    refuses(ClientDataMalformed, "a list", |data| {
        let members = ["type", "challenge", "origin", "crossOrigin"];
        let list: Vec<&Value> = members.iter().map(|name| &data.members[*name]).collect();
        data.raw = Some(json!(list).to_string().into());
    });
    refuses(ClientDataMalformed, "a text", |data| {
        data.raw = Some(json!(json!(data.members).to_string()).to_string().into());
    });
    refuses(ClientDataMalformed, "bytes behind", |data| {
        data.raw = Some([data.bytes(), b"{}".to_vec()].concat());
    });
    refuses(ClientDataMalformed, "cut", |data| {
        let mut bytes = data.bytes();
        bytes.pop();
        data.raw = Some(bytes);
    });
    refuses(
        ClientDataMalformed,
        "not UTF-8 where nobody looks",
        |data| {
            data.set("extra", "?");
            let mut bytes = data.bytes();
            let at = bytes.iter().position(|byte| *byte == b'?').unwrap();
            bytes[at] = 0xff;
            data.raw = Some(bytes);
        },
    );
    refuses(ClientDataMalformed, "UTF-16", |data| {
        let text = String::from_utf8(data.bytes()).unwrap();
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        data.raw = Some([0xff, 0xfe].into_iter().chain(units).collect());
    });
    refuses(ClientDataMalformed, "two byte order marks", |data| {
        data.raw = Some([&b"\xef\xbb\xbf\xef\xbb\xbf"[..], &data.bytes()].concat());
    });
    refuses(ClientDataMalformed, "nested 10000 deep", |data| {
        let nested = format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
        data.raw = Some(nested.into());
    });
}

#[test]
fn r09_a_member_twice_is_malformed() {
    for name in ["type", "challenge", "origin", "crossOrigin"] {
        refuses(ClientDataMalformed, name, |data| {
            let text = String::from_utf8(data.bytes()).unwrap();
            let twin = json!({name: data.members[name]}).to_string();
            let doubled = format!("{},{}", &twin[..twin.len() - 1], &text[1..]);
            data.raw = Some(doubled.into());
        });
    }
    refuses(ClientDataMalformed, "type, once with an escape", |data| {
        let text = String::from_utf8(data.bytes()).unwrap();
        data.raw = Some(format!(r#"{{"\u0074ype":"x",{}"#, &text[1..]).into());
    });
}

#[test]
fn r10_r12_r14_the_three_members_must_be_texts() {
    for name in ["type", "challenge", "origin"] {
        refuses(ClientDataMalformed, name, |data| data.remove(name));
        for wrong in [Value::Null, json!(1), json!(true), json!([]), json!({})] {
            refuses(ClientDataMalformed, name, |data| {
                data.set(name, wrong.clone())
            });
        }
    }
    refuses(ClientDataMalformed, "empty type", |data| {
        data.set("type", "")
    });
}

#[test]
fn r11_the_type_must_be_that_of_the_ceremony() {
    for wrong in [
        "WEBAUTHN.CREATE",
        "WEBAUTHN.GET",
        "payment.get",
        "webauthn.create ",
        "webauthn.get ",
        "webauthn",
        "navigator.id.getAssertion",
    ] {
        refuses(TypeWrong, wrong, |data| data.set("type", wrong));
    }
    refuses(TypeWrong, "the other ceremony", |data| {
        let other = match data.members["type"].as_str() {
            Some("webauthn.create") => "webauthn.get",
            _ => "webauthn.create",
        };
        data.set("type", other);
    });
}

#[test]
fn r13_the_challenge_must_be_ours() {
    let right = |data: &ClientData| data.members["challenge"].as_str().unwrap().to_owned();
    refuses(ChallengeMismatch, "empty", |data| data.set("challenge", ""));
    refuses(ChallengeMismatch, "not base64url", |data| {
        data.set("challenge", "!!")
    });
    refuses(ChallengeMismatch, "other bytes", |data| {
        data.set("challenge", "A".repeat(43));
    });
    refuses(ChallengeMismatch, "padded", |data| {
        let padded = right(data) + "=";
        data.set("challenge", padded);
    });
    refuses(ChallengeMismatch, "a prefix", |data| {
        let prefix = right(data)[..40].to_owned();
        data.set("challenge", prefix);
    });
    refuses(ChallengeMismatch, "more", |data| {
        let more = right(data) + "AAAA";
        data.set("challenge", more);
    });
    refuses(ChallengeMismatch, "spare bit", |data| {
        let mut other = right(data);
        let last = other.pop().unwrap();
        // 32 bytes leave two spare bits in the last letter; the next letter differs in these only.
        other.push(char::from_u32(u32::from(last) + 1).unwrap());
        data.set("challenge", other);
    });
}

#[test]
fn r15_to_r18_the_origin_must_be_on_the_list_byte_for_byte() {
    for wrong in [
        "",
        "null",
        "https://other.example",
        "http://example.org",
        "https://example.org:443",
        "https://example.org:8443",
        "https://example.org/",
        "https://example.org/login",
        "https://ann:pw@example.org",
        "https://EXAMPLE.org",
        "HTTPS://example.org",
        "https://example.org.",
        " https://example.org",
        "https://www.example.org",
        "https://app.example.org",
        "https://evilexample.org",
        "https://example.org.evil.net",
        "https://example.or",
        "https://xn--exmple-cua.org",
        "https://ｅxample.org",
        "example.org",
        "android:apk-key-hash:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        refuses(OriginNotAllowed, wrong, |data| data.set("origin", wrong));
    }
    let listed = "android:apk-key-hash:SAYGXQ-0v2o1s8hCRZTUaGVBYrDVNwkS0vmDKgm8aYc";
    let mut site = Site::new();
    site.relying_party.origins.push(listed.into());
    for wrong in [
        format!("{listed}="),
        listed.replace("hash", "hash-sha256"),
        listed.replace("SAYG", "SAYH"),
    ] {
        refuses_at(&site, OriginNotAllowed, &wrong, |data| {
            data.set("origin", wrong.clone())
        });
    }
}

#[test]
fn r19_embedding_must_be_allowed() {
    refuses(CrossOriginNotAllowed, "cross origin", |data| {
        data.set("crossOrigin", true);
    });
    refuses(CrossOriginNotAllowed, "with the page named", |data| {
        data.set("crossOrigin", true);
        data.set("topOrigin", "https://example.com");
    });
}

#[test]
fn r20_embedding_members_must_have_their_types() {
    for wrong in [json!("true"), json!(1), Value::Null, json!([])] {
        refuses(ClientDataMalformed, "crossOrigin", |data| {
            data.set("crossOrigin", wrong.clone());
        });
    }
    for wrong in [json!(true), json!(1), Value::Null, json!([])] {
        refuses(ClientDataMalformed, "topOrigin", |data| {
            data.set("topOrigin", wrong.clone());
        });
    }
}

#[test]
fn r21_a_page_around_needs_embedding() {
    refuses(TopOriginNotAllowed, "crossOrigin false", |data| {
        data.set("topOrigin", "https://example.com");
    });
    refuses(TopOriginNotAllowed, "crossOrigin missing", |data| {
        data.remove("crossOrigin");
        data.set("topOrigin", "https://example.com");
    });
}

#[test]
fn r22_the_page_around_must_be_named_and_on_the_list() {
    let site = Site::embedded_in("https://example.com");
    for wrong in [
        "https://example.net",
        "https://example.com/",
        "https://a.example.com",
        "",
    ] {
        refuses_at(&site, TopOriginNotAllowed, wrong, |data| {
            data.set("crossOrigin", true);
            data.set("topOrigin", wrong);
        });
    }
    refuses_at(&site, TopOriginNotAllowed, "missing", |data| {
        data.set("crossOrigin", true);
    });
}

/// Both ceremonies refuse the client data once it is broken; signatures are made after the break.
#[track_caller]
fn refuses(denial: Denial, what: &str, break_it: impl Fn(&mut ClientData)) {
    refuses_at(&Site::new(), denial, what, break_it);
}

#[track_caller]
fn refuses_at(site: &Site, denial: Denial, what: &str, break_it: impl Fn(&mut ClientData)) {
    site.refuses_registration(denial, what, |forged| break_it(&mut forged.client_data));
    site.refuses_authentication(denial, what, |forged| break_it(&mut forged.client_data));
}

fn raw(data: &mut ClientData, bytes: &[u8]) {
    data.raw = Some(bytes.to_vec());
}
