//! Whose call it is when proxies stand in between: the address of the socket, or
//! what a trusted proxy says in `X-Forwarded-For`. Pure; `middleware` applies it.
//!
//! Any client can send that header. So only a proxy that the operator named is
//! believed, and of the list only what such a proxy has written itself: it is
//! read from the right, and the first address that is not a trusted proxy's is
//! the caller's. `Forwarded` (RFC 7239) is not read: two headers that may
//! disagree are one too many, and every proxy can write this one.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use http::{HeaderMap, HeaderName};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// What proxies append the address of their own client to.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose word about addresses is taken; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<ProxyRange>);

/// An address (`192.0.2.1`) or a range in CIDR form (`10.0.0.0/8`).
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProxyRange(IpNet);

/// Why a text is no address and no range.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is neither an address (192.0.2.1) nor a range of addresses (10.0.0.0/8)")]
pub struct ProxyRangeInvalid(String);

impl TrustedProxies {
    /// Trusts these proxies and nobody else.
    pub fn new(ranges: Vec<ProxyRange>) -> TrustedProxies {
        TrustedProxies(ranges)
    }

    /// Trusts whoever connects from the server's own machine.
    pub(crate) fn of_this_machine() -> TrustedProxies {
        let loopback = [
            IpNet::from(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
            IpNet::from(Ipv6Net::from(Ipv6Addr::LOCALHOST)),
        ];
        TrustedProxies(loopback.map(ProxyRange).to_vec())
    }

    /// The first range that holds more of the world than anybody's own proxies.
    pub(crate) fn too_wide(&self) -> Option<ProxyRange> {
        self.0.iter().copied().find(|range| {
            let shortest = match range.0 {
                IpNet::V4(_) => IPV4_PREFIX_MIN,
                IpNet::V6(_) => IPV6_PREFIX_MIN,
            };
            range.0.prefix_len() < shortest
        })
    }

    /// The address of the caller behind the socket's `peer`.
    ///
    /// An entry that is no address ends the walk at the proxy that passed it on:
    /// what stands further left was said by nobody who is trusted.
    pub(crate) fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut address = peer.to_canonical();
        let entries = headers
            .get_all(X_FORWARDED_FOR)
            .iter()
            .rev()
            .flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','));
        for entry in entries {
            if !self.contains(address) {
                break;
            }
            match entry_address(entry) {
                Some(further) => address = further,
                None => break,
            }
        }
        address
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.0.contains(&address))
    }
}

impl FromStr for ProxyRange {
    type Err = ProxyRangeInvalid;

    fn from_str(text: &str) -> Result<ProxyRange, ProxyRangeInvalid> {
        let text = text.trim();
        let address = text.parse().map(|address: IpAddr| address.to_canonical());
        let range = address.map(IpNet::from).or_else(|_| text.parse::<IpNet>());
        range
            .map(|range| ProxyRange(range.trunc()))
            .map_err(|_| ProxyRangeInvalid(text.to_owned()))
    }
}

impl TryFrom<String> for ProxyRange {
    type Error = ProxyRangeInvalid;

    fn try_from(text: String) -> Result<ProxyRange, ProxyRangeInvalid> {
        text.parse()
    }
}

impl From<ProxyRange> for String {
    fn from(range: ProxyRange) -> String {
        range.to_string()
    }
}

impl std::fmt::Display for ProxyRange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// An address, or an address and port, which some proxies write.
fn entry_address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let address = text
        .parse()
        .or_else(|_| text.parse().map(|socket: SocketAddr| socket.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

/// `10.0.0.0/8` is the widest range that private networks have.
const IPV4_PREFIX_MIN: u8 = 8;
/// The same of IPv6: `fc00::/7`.
const IPV6_PREFIX_MIN: u8 = 7;

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn proxies(ranges: &[&str]) -> TrustedProxies {
        TrustedProxies::new(ranges.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        lines
            .iter()
            .map(|line| (X_FORWARDED_FOR, HeaderValue::from_bytes(line).unwrap()))
            .collect()
    }

    #[test]
    fn the_caller_is_the_rightmost_address_that_is_no_trusted_proxys() {
        let trusted = proxies(&["10.0.0.0/8", "2001:db8::1"]);
        for (peer, lines, caller) in [
            // Nobody in between, or nobody who is trusted.
            ("192.0.2.7", vec![], "192.0.2.7"),
            ("192.0.2.7", vec!["198.51.100.1"], "192.0.2.7"),
            ("192.0.2.7", vec!["198.51.100.1, 10.0.0.1"], "192.0.2.7"),
            // A trusted proxy that says nothing.
            ("10.0.0.1", vec![], "10.0.0.1"),
            ("10.0.0.1", vec![""], "10.0.0.1"),
            // One proxy, then two, on one line and on several.
            ("10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("2001:db8::1", vec!["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["198.51.100.1,10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", vec!["198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            // What the caller itself had sent stands further left.
            ("10.0.0.1", vec!["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
            (
                "10.0.0.1",
                vec!["10.9.9.9, 198.51.100.1, 10.0.0.2"],
                "198.51.100.1",
            ),
            // Trusted to the end.
            ("10.0.0.1", vec!["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            // Other spellings of an address.
            ("10.0.0.1", vec!["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", vec!["[2001:DB8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", vec!["\t2001:db8:0:0::7 "], "2001:db8::7"),
            ("10.0.0.1", vec!["::ffff:198.51.100.1"], "198.51.100.1"),
            // Not addresses: the walk ends at the last that is one.
            ("10.0.0.1", vec!["198.51.100.1, unknown"], "10.0.0.1"),
            (
                "10.0.0.1",
                vec!["198.51.100.1, _hidden, 10.0.0.2"],
                "10.0.0.2",
            ),
            ("10.0.0.1", vec!["198.51.100.1,"], "10.0.0.1"),
            ("10.0.0.1", vec!["198.51.100.1, 010.0.0.2"], "10.0.0.1"),
            ("10.0.0.1", vec!["198.51.100.1, 10.0.0.256"], "10.0.0.1"),
            ("10.0.0.1", vec!["198.51.100.1, \"10.0.0.2\""], "10.0.0.1"),
        ] {
            let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(
                trusted.caller(peer.parse().unwrap(), &headers(&lines)),
                caller.parse::<IpAddr>().unwrap(),
                "{peer} {lines:?}"
            );
        }
        let not_text = headers(&[b"198.51.100.1, \xff"]);
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        assert_eq!(trusted.caller(peer, &not_text), peer);
    }

    #[test]
    fn nobody_is_trusted_by_default() {
        let peer: IpAddr = "127.0.0.1".parse().unwrap();
        let said = headers(&[b"198.51.100.1"]);
        assert_eq!(TrustedProxies::default().caller(peer, &said), peer);
    }

    #[test]
    fn a_range_is_an_address_or_a_cidr() {
        for (text, range) in [
            ("192.0.2.1", "192.0.2.1/32"),
            (" 2001:db8::1 ", "2001:db8::1/128"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("fd00::/8", "fd00::/8"),
        ] {
            assert_eq!(text.parse::<ProxyRange>().unwrap().to_string(), range);
        }
        for text in [
            "",
            "localhost",
            "10.0.0.0/33",
            "10.0.0",
            "192.0.2.1:80",
            "*",
        ] {
            let error = text.parse::<ProxyRange>().unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn a_range_of_half_the_world_is_too_wide() {
        for range in ["10.0.0.0/8", "192.0.2.1", "fc00::/7", "fe80::/10", "::1"] {
            assert_eq!(proxies(&[range]).too_wide(), None, "{range}");
        }
        for range in ["0.0.0.0/0", "::/0", "128.0.0.0/1", "0.0.0.0/7", "2000::/3"] {
            let wide = proxies(&["10.0.0.1", range]).too_wide();
            assert_eq!(wide, Some(range.parse().unwrap()), "{range}");
        }
    }
}
