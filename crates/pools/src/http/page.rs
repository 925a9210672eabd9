//! Where a page of a list ended, as an opaque text and back.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL};

use crate::Refusal;

pub(super) fn token((created_at_ms, id): (i64, String)) -> String {
    BASE64_URL.encode(format!("{created_at_ms} {id}"))
}

pub(super) fn read(token: Option<String>) -> Result<Option<(i64, String)>, Refusal> {
    let Some(token) = token else {
        return Ok(None);
    };
    let text = BASE64_URL
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    text.as_deref()
        .and_then(|text| text.split_once(' '))
        .filter(|(_, id)| !id.contains('\0'))
        .and_then(|(time, id)| Some((time.parse().ok()?, id.to_owned())))
        .map(Some)
        .ok_or(Refusal::PaginationToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_leads_back_and_others_are_refused() {
        let place = (1_700_000_000_000, "us-east-1_EXAMPLE00".to_owned());
        assert_eq!(read(Some(token(place.clone()))), Ok(Some(place)));
        assert_eq!(read(None), Ok(None));
        let nul = BASE64_URL.encode("1 a\0");
        for bad in ["", "x", "!!!", "MSAt", "YQ", nul.as_str()] {
            let is_good = bad == "MSAt";
            assert_eq!(read(Some(bad.to_owned())).is_ok(), is_good, "{bad}");
        }
    }
}
