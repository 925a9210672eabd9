//! What a client may say wrongly of the ceremony: members, and the text they stand in.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use webauthn::Algorithm;
use webauthn::forge::ClientData;

use super::{Inputs, site};

pub(super) fn all(inputs: &mut Inputs) {
    type Change = fn(&mut ClientData);
    let members: &[(&str, Change)] = &[
        ("type of another ceremony", |data| {
            data.set("type", "payment.get");
        }),
        ("type in upper case", |data| {
            let kind = data.members["type"].as_str().unwrap().to_uppercase();
            data.set("type", kind);
        }),
        ("type and a space", |data| {
            let kind = format!("{} ", data.members["type"].as_str().unwrap());
            data.set("type", kind);
        }),
        ("type create", |data| data.set("type", "webauthn.create")),
        ("type get", |data| data.set("type", "webauthn.get")),
        ("type empty", |data| data.set("type", "")),
        ("type a number", |data| data.set("type", 7)),
        ("type null", |data| data.set("type", Value::Null)),
        ("type missing", |data| data.remove("type")),
        ("challenge of another ceremony", |data| {
            data.set("challenge", BASE64_URL_SAFE_NO_PAD.encode([7; 16]));
        }),
        ("challenge shorter", |data| {
            data.set("challenge", BASE64_URL_SAFE_NO_PAD.encode([100; 15]));
        }),
        ("challenge and a byte", |data| {
            let bytes: Vec<u8> = (100..117).collect();
            data.set("challenge", BASE64_URL_SAFE_NO_PAD.encode(bytes));
        }),
        ("challenge padded", |data| {
            let padded = format!("{}==", data.members["challenge"].as_str().unwrap());
            data.set("challenge", padded);
        }),
        ("challenge with a spare bit", |data| {
            let mut text = data.members["challenge"].as_str().unwrap().to_owned();
            let last = text.pop().unwrap();
            text.push(char::from(last as u8 + 1));
            data.set("challenge", text);
        }),
        ("challenge empty", |data| data.set("challenge", "")),
        ("challenge a list of bytes", |data| {
            data.set("challenge", json!([100, 101, 102]));
        }),
        ("challenge null", |data| data.set("challenge", Value::Null)),
        ("challenge missing", |data| data.remove("challenge")),
        ("the other allowed origin", |data| {
            data.set("origin", "https://app.example.org:8443");
        }),
        ("origin without TLS", |data| {
            data.set("origin", "http://example.org");
        }),
        ("origin with its port", |data| {
            data.set("origin", "https://example.org:443");
        }),
        ("origin with another port", |data| {
            data.set("origin", "https://example.org:8443");
        }),
        ("origin in upper case", |data| {
            data.set("origin", "https://EXAMPLE.org");
        }),
        ("origin and a slash", |data| {
            data.set("origin", "https://example.org/");
        }),
        ("origin and a dot", |data| {
            data.set("origin", "https://example.org.");
        }),
        ("origin and more", |data| {
            data.set("origin", "https://example.org.evil.net");
        }),
        ("origin with a prefix", |data| {
            data.set("origin", "https://evilexample.org");
        }),
        ("origin of a sub-domain", |data| {
            data.set("origin", "https://www.example.org");
        }),
        ("origin null as text", |data| data.set("origin", "null")),
        ("origin empty", |data| data.set("origin", "")),
        ("origin in a list", |data| {
            data.set("origin", json!(["https://example.org"]));
        }),
        ("origin a list of bytes", |data| {
            data.set("origin", json!(b"https://example.org"));
        }),
        ("origin missing", |data| data.remove("origin")),
        ("cross origin", |data| data.set("crossOrigin", true)),
        ("cross origin as text", |data| {
            data.set("crossOrigin", "true");
        }),
        ("cross origin a number", |data| data.set("crossOrigin", 0)),
        ("cross origin null", |data| {
            data.set("crossOrigin", Value::Null);
        }),
        ("cross origin missing", |data| data.remove("crossOrigin")),
        ("top origin alone", |data| {
            data.set("topOrigin", "https://example.com");
        }),
        ("top origin null", |data| data.set("topOrigin", Value::Null)),
        ("top origin a number", |data| data.set("topOrigin", 7)),
        ("cross and top origin", |data| {
            data.set("crossOrigin", true);
            data.set("topOrigin", "https://example.com");
        }),
        ("unknown members", |data| {
            data.set("extraData", "more may come");
            data.set("tokenBinding", json!({"status": "supported"}));
            data.set("deep", json!([[[{"a": [1e300, -0.0, null]}]]]));
        }),
    ];
    type Rewrite = fn(&str) -> Vec<u8>;
    let texts: &[(&str, Rewrite)] = &[
        ("byte order mark", |text| format!("\u{feff}{text}").into()),
        ("two byte order marks", |text| {
            format!("\u{feff}\u{feff}{text}").into()
        }),
        ("white space around", |text| format!(" \n{text}\t\r").into()),
        ("white space of another kind", |text| {
            format!("\u{b}{text}").into()
        }),
        ("in a list", |text| format!("[{text}]").into()),
        ("as text", |text| json!(text).to_string().into()),
        ("a list in order", |text| {
            let members: Value = serde_json::from_str(text).unwrap();
            json!([
                members["type"],
                members["challenge"],
                members["origin"],
                false
            ])
            .to_string()
            .into()
        }),
        ("a brace behind", |text| format!("{text}}}").into()),
        ("a byte of zero behind", |text| format!("{text}\0").into()),
        ("twice", |text| text.repeat(2).into()),
        ("a comma at the end", |text| text.replace('}', ",}").into()),
        ("a comment", |text| text.replace('{', "{/**/").into()),
        ("type twice", |text| {
            text.replace('{', r#"{"type":"webauthn.get","#).into()
        }),
        ("type twice, the second time null", |text| {
            text.replace('}', r#","type":null}"#).into()
        }),
        ("challenge twice", |text| {
            text.replace('{', r#"{"challenge":"ZGVmZ2hpamtsbW5vcHFycw","#)
                .into()
        }),
        ("origin twice", |text| {
            text.replace('{', r#"{"origin":"https://example.org","#)
                .into()
        }),
        ("cross origin twice", |text| {
            text.replace('{', r#"{"crossOrigin":false,"#).into()
        }),
        ("an unknown member twice", |text| {
            text.replace('{', r#"{"a":1,"a":2,"#).into()
        }),
        ("names escaped", |text| {
            text.replace("type", r"t\u0079pe")
                .replace("origin", r"\u006frigin")
                .into()
        }),
        ("origin escaped", |text| {
            text.replace("https://", r"\u0068ttps:\/\/").into()
        }),
        ("half a surrogate in an unknown member", |text| {
            text.replace('{', r#"{"a":"\ud800","#).into()
        }),
        ("half a surrogate in the origin", |text| {
            text.replace("https://example", r"https://example\ud800")
                .into()
        }),
        ("a number too large in an unknown member", |text| {
            text.replace('{', r#"{"a":1e999,"#).into()
        }),
        ("a number of many digits in an unknown member", |text| {
            text.replace('{', &format!(r#"{{"a":{},"#, "9".repeat(400)))
                .into()
        }),
        ("a leading zero in an unknown member", |text| {
            text.replace('{', r#"{"a":01,"#).into()
        }),
        ("a control character in an unknown member", |text| {
            text.replace('{', "{\"a\":\"\u{1}\",").into()
        }),
        ("a control character in an unknown name", |text| {
            text.replace('{', "{\"\u{1}\":1,").into()
        }),
        ("lists 100 deep", |text| {
            let nested = format!("{}{}", "[".repeat(100), "]".repeat(100));
            text.replace('{', &format!(r#"{{"a":{nested},"#)).into()
        }),
        ("lists 1000 deep", |text| {
            let nested = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
            text.replace('{', &format!(r#"{{"a":{nested},"#)).into()
        }),
        ("not UTF-8 in an unknown member", |text| {
            [b"{\"a\":\"\xff\",", &text.as_bytes()[1..]].concat()
        }),
        ("not UTF-8 in an unknown name", |text| {
            [b"{\"\xff\":1,", &text.as_bytes()[1..]].concat()
        }),
        ("not UTF-8 outside of text", |text| {
            [text.as_bytes(), b"\xff"].concat()
        }),
        ("UTF-16", |text| {
            text.encode_utf16().flat_map(u16::to_le_bytes).collect()
        }),
        ("empty object", |_| b"{}".to_vec()),
        ("nothing but a mark", |_| "\u{feff}".into()),
    ];
    let site = site();
    for (what, change) in members {
        inputs.registration(what, &site, Algorithm::Es256, |forged| {
            change(&mut forged.client_data);
        });
        inputs.authentication(what, &site, Algorithm::Es256, |forged| {
            change(&mut forged.client_data);
        });
    }
    for (what, rewrite) in texts {
        let rewrite = |data: &mut ClientData| {
            let text = String::from_utf8(data.bytes()).unwrap();
            data.raw = Some(rewrite(&text));
        };
        inputs.registration(what, &site, Algorithm::Es256, |forged| {
            rewrite(&mut forged.client_data);
        });
        inputs.authentication(what, &site, Algorithm::Es256, |forged| {
            rewrite(&mut forged.client_data);
        });
    }
}
