//! What fuzzers feed to the door: queries of lists, bodies, and the user agent.

use platform::Value as Stored;
use serde_json::Value;
use webauthn::{AuthenticationResponse, RegistrationResponse};

use super::{
    body::Object,
    browser::finish,
    query::{Query, pairs as pairs_of},
};
use crate::{
    AppId, EventQuery, UserQuery,
    caller::{Caller, browser_on_system, user_agent_display},
    listing::{Paging, TextFilter},
};

/// The query of a list of users or events.
pub fn queries(input: &[u8]) -> bool {
    let Some(pairs) = std::str::from_utf8(input)
        .ok()
        .and_then(|query| pairs_of(query).ok())
    else {
        return false;
    };
    for (word, condition) in &pairs {
        let mut filter = TextFilter::default();
        if filter.set_free("word", condition).is_ok() {
            assert_eq!(filter.passes(word), passes(word, condition));
        }
    }
    let (users, events) = (UserQuery::parse(&pairs), EventQuery::parse(&pairs));
    let accepted = users.is_ok() || events.is_ok();
    let app_id = AppId::parse("aaaaaaaaaaaaaaaaaaaaaaaa").expect("an id");
    let anchor_s = |paging: &Paging| {
        assert!(paging.page >= 1 && (1..=500).contains(&paging.limit));
        assert!(paging.offset() >= 0);
        paging.anchor_s(1_724_113_247_000)
    };
    let mut values = Vec::new();
    if let Ok(query) = &users {
        values.extend(query.values(&app_id, anchor_s(&query.paging)));
    }
    if let Ok(query) = &events {
        values.extend(query.values(&app_id, anchor_s(&query.paging)));
    }
    // PostgreSQL holds no NUL in a text.
    assert!(
        !values
            .iter()
            .any(|value| matches!(value, Stored::Text(text) if text.contains('\0')))
    );

    // The link to another page asks for the same in other words.
    let query = Query {
        pairs,
        url: "https://example.com/v1/apps/a/users".into(),
    };
    let links = query.links(2, 3, 7, 5);
    let next = links.next.href;
    let (_, next) = next.split_once('?').expect("there is a next page");
    let next = pairs_of(next).expect("a link is well formed");
    let paging = Paging {
        page: 3,
        limit: 3,
        created_before_s: Some(5),
    };
    if let Ok(mut query) = users {
        query.paging = paging.clone();
        assert_eq!(UserQuery::parse(&next), Ok(query));
    }
    if let Ok(mut query) = events {
        query.paging = paging;
        assert_eq!(EventQuery::parse(&next), Ok(query));
    }
    accepted
}

/// What a condition on a text means, told once more: `LIKE` by the table of all
/// beginnings of text and pattern.
fn passes(word: &str, condition: &str) -> bool {
    let within = condition
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .and_then(|within| within.split_once(':'));
    let (operator, pattern) = within.unwrap_or(("", condition));
    match operator {
        "" => word == pattern,
        "ne" => word != pattern,
        "like" => is_like(word, pattern),
        "not_like" => !is_like(word, pattern),
        _ => unreachable!("a text for people has no order"),
    }
}

fn is_like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.to_ascii_lowercase().chars().collect();
    let mut fits = vec![false; text.len() + 1];
    fits[0] = true;
    for wanted in pattern.to_ascii_lowercase().chars() {
        let before = fits.clone();
        let mut any_before = false;
        for end in 0..=text.len() {
            any_before |= before[end];
            fits[end] = match wanted {
                '%' => any_before,
                _ => end > 0 && before[end - 1] && (wanted == '_' || wanted == text[end - 1]),
            };
        }
    }
    fits[text.len()]
}

/// A request's body (first byte even) or user agent (odd).
pub fn requests(input: &[u8]) -> bool {
    match input.split_first() {
        Some((form, bytes)) if form % 2 == 0 => body(bytes),
        Some((_, bytes)) => user_agent(bytes),
        None => false,
    }
}

fn body(bytes: &[u8]) -> bool {
    let Ok(object) = Object::parse(bytes) else {
        return false;
    };
    let whole: Value = serde_json::from_slice(bytes).unwrap_or_default();
    for name in ["handshake_id", "transaction_id", "external_id", "nonce"] {
        let member = whole.get(name).filter(|member| !member.is_null());
        assert_eq!(object.member(name), member);
        match object.optional_text(name) {
            Ok(text) => assert_eq!(text, member.and_then(Value::as_str)),
            Err(_) => assert!(member.is_some_and(|member| !member.is_string())),
        }
        if let Ok(text) = object.text(name) {
            assert!(!text.is_empty() && object.optional_text(name) == Ok(Some(text)));
        }
    }
    let registration = finish(&object, Caller::default(), RegistrationResponse::from_json);
    let authentication = finish(
        &object,
        Caller::default(),
        AuthenticationResponse::from_json,
    );
    // Once a handshake is named, nothing keeps it from being spent, nor a made-up one from being recorded.
    let is_named = object.text("handshake_id").is_ok();
    assert_eq!(registration.is_ok(), is_named);
    assert_eq!(authentication.is_ok(), is_named);
    is_named
}

fn user_agent(bytes: &[u8]) -> bool {
    let caller = Caller::new(None, bytes);
    assert!(caller.user_agent.len() <= 512);
    assert!(
        caller
            .user_agent
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~'))
    );
    assert_eq!(Caller::new(None, caller.user_agent.as_bytes()), caller);
    let display = user_agent_display(&caller.user_agent);
    let both = browser_on_system(&caller.user_agent);
    assert!(display.len() < 64 && both.is_none_or(|both| both == display));
    !display.is_empty()
}
