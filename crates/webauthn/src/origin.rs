//! Which origins are the relying party's, and which RP ID they may use.
//!
//! That an RP ID is not a public suffix such as `co.uk` is left to who makes the settings, and to browsers, which
//! refuse it and keep the list up to date.

use url::{Host, Url};

/// The rules of the relying party for one ceremony, as its settings say and never as a request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    /// The RP ID: a host name.
    pub rp_id: String,
    /// Allowed origins, compared byte for byte. `android:apk-key-hash:…` of native apps, related origins outside the
    /// RP ID and `https://<rp_id>` (which Apple's native apps report) are included where wanted.
    pub origins: Vec<String>,
    /// Origins of pages that may embed the relying party in a frame; `None` when nobody may.
    pub top_origins: Option<Vec<String>>,
}

/// Why a text cannot be the origin of a site that uses passkeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Not an absolute URL.
    #[error("not a URL; expected something like https://example.com")]
    NotAUrl,
    /// Neither `https:` nor `http://localhost`: browsers have no passkeys there.
    #[error("must start with https:// (http:// is possible for localhost only)")]
    SchemeNotAllowed,
    /// The host is an IP address or not a plain domain name, which no RP ID can be.
    #[error("the host must be a domain name, not an address")]
    HostNotADomain,
    /// There is more than scheme, host and port.
    #[error("must consist of scheme, host and port only, without user, path or query")]
    MoreThanAnOrigin,
}

/// The origin of a site in the one form browsers send: scheme, host, and port unless it is the default.
///
/// `127.0.0.1` becomes `localhost`, which browsers treat alike and which can be an RP ID.
pub fn normalize_auth_origin(text: &str) -> Result<String, OriginError> {
    let mut url = Url::parse(text).map_err(|_| OriginError::NotAUrl)?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(OriginError::SchemeNotAllowed);
    }
    if url.host_str() == Some("127.0.0.1") {
        url.set_host(Some(LOCALHOST))
            .map_err(|_| OriginError::HostNotADomain)?;
    }
    let host = domain(&url)?;
    if url.scheme() == "http" && host != LOCALHOST {
        return Err(OriginError::SchemeNotAllowed);
    }
    let is_bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !is_bare {
        return Err(OriginError::MoreThanAnOrigin);
    }
    Ok(url.origin().ascii_serialization())
}

/// The RP ID of a site that chose none: exactly the host of its origin.
pub fn default_rp_id(auth_origin: &str) -> Result<String, OriginError> {
    let origin = normalize_auth_origin(auth_origin)?;
    let url = Url::parse(&origin).map_err(|_| OriginError::NotAUrl)?;
    domain(&url).map(str::to_owned)
}

/// Whether a page of `origin` may use `rp_id` without further arrangement: its own host, or a domain above it.
///
/// Labels are compared whole, so `evilexample.com` gets nothing from `example.com`. A single label such as `com` is
/// no RP ID except for the host that has that name, `localhost`.
pub fn may_use_rp_id(origin: &str, rp_id: &str) -> bool {
    let Ok(host) = default_rp_id(origin) else {
        return false;
    };
    let is_above = rp_id.contains('.')
        && is_domain(rp_id)
        && host
            .strip_suffix(rp_id)
            .is_some_and(|labels| labels.ends_with('.'));
    host == rp_id || is_above
}

fn domain(url: &Url) -> Result<&str, OriginError> {
    match url.host() {
        Some(Host::Domain(host)) if is_domain(host) => Ok(host),
        _ => Err(OriginError::HostNotADomain),
    }
}

/// Whether a text is a host name in the one spelling that signed hashes are made of.
fn is_domain(text: &str) -> bool {
    let is_canonical =
        matches!(Host::parse(text), Ok(Host::Domain(canonical)) if canonical == text);
    is_canonical && text.split('.').all(|label| !label.is_empty())
}

const LOCALHOST: &str = "localhost";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_form() {
        let table = [
            ("https://example.com", "https://example.com"),
            ("https://example.com/", "https://example.com"),
            ("https://Example.COM:443", "https://example.com"),
            ("https://example.com:8443", "https://example.com:8443"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("http://localhost", "http://localhost"),
            ("http://localhost:80/", "http://localhost"),
            ("http://localhost:8081", "http://localhost:8081"),
            ("http://127.0.0.1:8081", "http://localhost:8081"),
            ("https://127.0.0.1", "https://localhost"),
            ("https://localhost:8443", "https://localhost:8443"),
        ];
        for (text, origin) in table {
            assert_eq!(normalize_auth_origin(text).as_deref(), Ok(origin), "{text}");
            assert_eq!(normalize_auth_origin(origin).as_deref(), Ok(origin));
        }
    }

    #[test]
    fn what_cannot_have_passkeys_is_no_auth_origin() {
        let table = [
            ("", OriginError::NotAUrl),
            ("example.com", OriginError::NotAUrl),
            ("//example.com", OriginError::NotAUrl),
            ("https://", OriginError::NotAUrl),
            ("http://example.com", OriginError::SchemeNotAllowed),
            (
                "http://localhost.example.com",
                OriginError::SchemeNotAllowed,
            ),
            ("ftp://example.com", OriginError::SchemeNotAllowed),
            ("file:///etc/passwd", OriginError::SchemeNotAllowed),
            ("javascript:alert(1)", OriginError::SchemeNotAllowed),
            ("localhost:8081", OriginError::SchemeNotAllowed),
            ("https://192.0.2.1", OriginError::HostNotADomain),
            ("https://[::1]", OriginError::HostNotADomain),
            ("http://127.0.0.2", OriginError::HostNotADomain),
            ("https://example.com.", OriginError::HostNotADomain),
            ("https://example..com", OriginError::HostNotADomain),
            ("https://example.com/app", OriginError::MoreThanAnOrigin),
            ("https://example.com?a", OriginError::MoreThanAnOrigin),
            ("https://example.com#a", OriginError::MoreThanAnOrigin),
            ("https://ann@example.com", OriginError::MoreThanAnOrigin),
            ("https://:pw@example.com", OriginError::MoreThanAnOrigin),
        ];
        for (text, error) in table {
            assert_eq!(normalize_auth_origin(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_rp_id_is_the_host_unless_chosen() {
        let table = [
            ("https://login.example.com:8443", "login.example.com"),
            ("http://localhost:8081", "localhost"),
            ("http://127.0.0.1", "localhost"),
        ];
        for (origin, rp_id) in table {
            assert_eq!(default_rp_id(origin).as_deref(), Ok(rp_id));
            assert!(may_use_rp_id(origin, rp_id));
        }
    }

    #[test]
    fn a_page_may_use_a_domain_above_it_by_whole_labels() {
        let allowed = [
            ("https://login.example.com", "example.com"),
            ("https://a.b.example.com:8443", "b.example.com"),
            ("https://a.b.example.com:8443", "example.com"),
        ];
        for (origin, rp_id) in allowed {
            assert!(may_use_rp_id(origin, rp_id), "{origin} {rp_id}");
        }
        let refused = [
            ("https://evilexample.com", "example.com"),
            ("https://example.com.evil.net", "example.com"),
            ("https://example.com", "login.example.com"),
            ("https://example.com", "example.org"),
            ("https://example.com", "com"),
            ("https://example.com", ""),
            ("https://example.com", "."),
            ("https://login.example.com", ".example.com"),
            ("https://login.example.com", "Example.com"),
            ("https://login.example.com", "https://example.com"),
            ("https://login.example.com", "example.com:443"),
            ("https://login.example.com", "example.com."),
            ("http://example.com", "example.com"),
            ("http://localhost:8081", "example.com"),
        ];
        for (origin, rp_id) in refused {
            assert!(!may_use_rp_id(origin, rp_id), "{origin} {rp_id}");
        }
    }
}
