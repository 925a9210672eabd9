//! Where webhooks may lead: whoever may create one makes this server send
//! requests, and must not reach with them what only this server can reach
//! (server-side request forgery).
//!
//! A URL is judged twice: when it is given, for a quick answer, and at every
//! attempt, when each address that its name resolves to is judged as well. Only
//! the second protects, because a name may lead elsewhere by then.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::Refusal;

/// Reads the URL of a webhook. It is http or https, without user information
/// (which would be a secret in plain sight) and fragment (which is never sent).
pub(crate) fn parse(text: &str) -> Result<Url, Refusal> {
    if text.len() > URL_BYTES_MAX {
        return Err(invalid(&format!(
            "url must have at most {URL_BYTES_MAX} bytes."
        )));
    }
    let url = Url::parse(text).map_err(|_| invalid("url must be an absolute URL."))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(invalid("url must begin with https://."));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(invalid(
            "url must have no user name, password or fragment. Requests are signed; check the \
             signature instead of a password.",
        ));
    }
    // Escapes make it longer.
    if url.as_str().len() > URL_BYTES_MAX {
        return Err(invalid(&format!(
            "url must have at most {URL_BYTES_MAX} bytes."
        )));
    }
    Ok(url)
}

/// Refuses what can be told from the URL alone: no https, an address that is not
/// public, or a name that means this machine everywhere (RFC 6761).
pub(crate) fn check_public(url: &Url) -> Result<(), Refusal> {
    if url.scheme() != "https" {
        return Err(invalid(
            "url must begin with https://, so that nobody reads or changes events on their way.",
        ));
    }
    let is_public = match url.host() {
        Some(Host::Ipv4(address)) => is_public(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_public(IpAddr::V6(address)),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name != "localhost" && !name.ends_with(".localhost")
        }
        None => false,
    };
    if is_public {
        return Ok(());
    }
    Err(invalid(
        "url must lead to a public address. To send webhooks into its own network, the server \
         needs the setting webhook_private_addresses.",
    ))
}

/// Whether an address belongs to the public internet, by the IANA special-purpose
/// address registries (RFC 6890 and its successors). What is not known to be is not.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        // This network; private; loopback.
        (0 | 10 | 127, _, _)
            // Shared by carriers.
            | (100, 64..=127, _)
            // Link-local, where clouds tell machines their secrets.
            | (169, 254, _)
            // Private.
            | (172, 16..=31, _)
            | (192, 168, _)
            // Protocol assignments; documentation; the anycast of 6to4.
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            // Benchmarks; documentation.
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            // Multicast; reserved; broadcast.
            | (224..=255, _, _)
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = || {
        let [g1, g2] = g.to_be_bytes();
        let [h1, h2] = h.to_be_bytes();
        Ipv4Addr::new(g1, g2, h1, h2)
    };
    match (a, b) {
        // IPv4 in another notation.
        (0, 0) if (c, d, e, f) == (0, 0, 0, 0xffff) => is_public_v4(embedded()),
        // IPv4 behind a translator (RFC 6052).
        (0x64, 0xff9b) if (c, d, e, f) == (0, 0, 0, 0) => is_public_v4(embedded()),
        // Protocol assignments, with Teredo among them; documentation.
        (0x2001, 0..=0x1ff | 0xdb8) => false,
        // 6to4, which leads to any IPv4 address; documentation.
        (0x2002, _) | (0x3fff, 0..=0xfff) => false,
        // Global unicast; all else is local, multicast or not given out.
        (0x2000..=0x3fff, _) => true,
        _ => false,
    }
}

fn invalid(text: &str) -> Refusal {
    Refusal::InvalidRequest(text.to_owned())
}

const URL_BYTES_MAX: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        for address in [
            "1.1.1.1",
            "93.184.216.34",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:200::1",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1.1.1.1",
            "100::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "4000::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_url_is_absolute_short_and_without_secrets() {
        for (text, normal) in [
            ("https://example.com", "https://example.com/"),
            ("HTTPS://Example.com:443/a?b=c", "https://example.com/a?b=c"),
            ("http://127.0.0.1:8080/hook", "http://127.0.0.1:8080/hook"),
        ] {
            assert_eq!(parse(text).unwrap().as_str(), normal);
        }
        let long = format!("https://example.com/{}", "a".repeat(2_029));
        let escaped = format!("https://example.com/{}", "ä".repeat(600));
        for text in [
            "",
            "/hook",
            "example.com/hook",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https://",
            "https://user@example.com/",
            "https://:password@example.com/",
            "https://example.com/#fragment",
            &long,
            &escaped,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&long[..2_048]).is_ok());
    }

    #[test]
    fn every_spelling_of_a_local_address_is_refused() {
        for text in [
            "https://example.com/",
            "https://1.1.1.1/",
            "https://[2606:4700:4700::1111]/",
            "https://localhost.example.com/",
        ] {
            assert_eq!(check_public(&parse(text).unwrap()), Ok(()), "{text}");
        }
        for text in [
            "http://example.com/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://10.1.2.3/",
        ] {
            assert!(check_public(&parse(text).unwrap()).is_err(), "{text}");
        }
    }
}
