//! Who called: the address and the user agent of a browser or app, and the user
//! agent in words.
//!
//! Both are what the other side says or could change; they are for people to
//! read, and nothing is decided by them.

use std::net::IpAddr;

/// The browser or app at the other end of a ceremony.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Empty when not known.
    pub(crate) ip_addr: String,
    /// Visible ASCII and spaces, at most 512 characters; empty when none was sent.
    pub(crate) user_agent: String,
}

impl Caller {
    /// The caller at `address`, which sent the header `user_agent`.
    ///
    /// What is not visible ASCII becomes `?`. So databases agree about the case
    /// of the text, and it can be printed anywhere.
    pub(crate) fn new(address: Option<IpAddr>, user_agent: &[u8]) -> Caller {
        Caller {
            // An IPv4 client of a socket that listens on both is still an IPv4 client.
            ip_addr: address.map_or_else(String::new, |address| address.to_canonical().to_string()),
            user_agent: user_agent
                .iter()
                .take(USER_AGENT_CHARACTERS_MAX)
                .map(|&byte| match byte {
                    b' '..=b'~' => char::from(byte),
                    _ => '?',
                })
                .collect(),
        }
    }
}

/// A user agent in words, as far as it is known: `Chrome on Windows`, `Chrome`,
/// `Windows`, or nothing.
pub(crate) fn user_agent_display(user_agent: &str) -> String {
    match (browser(user_agent), operating_system(user_agent)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(word), None) | (None, Some(word)) => word.to_owned(),
        (None, None) => String::new(),
    }
}

/// `<browser> on <OS>`, when both are known.
pub(crate) fn browser_on_system(user_agent: &str) -> Option<String> {
    Some(format!(
        "{} on {}",
        browser(user_agent)?,
        operating_system(user_agent)?
    ))
}

fn browser(user_agent: &str) -> Option<&'static str> {
    first_word(BROWSERS, user_agent)
}

fn operating_system(user_agent: &str) -> Option<&'static str> {
    first_word(OPERATING_SYSTEMS, user_agent)
}

fn first_word(table: &[(&'static str, &'static str)], user_agent: &str) -> Option<&'static str> {
    table
        .iter()
        .find(|(mark, _)| user_agent.contains(mark))
        .map(|(_, word)| *word)
}

/// What a user agent contains, and whose it is. The first mark counts: most
/// browsers also claim to be Chrome, and all of those to be Safari.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("OPT/", "Opera"),
    ("OPiOS/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("Brave/", "Brave"),
    ("HuaweiBrowser/", "Huawei Browser"),
    ("MiuiBrowser/", "Mi Browser"),
    ("UCBrowser/", "UC Browser"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Focus/", "Firefox"),
    ("GSA/", "Google App"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("Trident/", "Internet Explorer"),
];

/// The same for operating systems. A phone's user agent also names the system
/// that its own grew from.
const OPERATING_SYSTEMS: &[(&str, &str)] = &[
    ("Windows", "Windows"),
    ("iPhone", "iOS"),
    ("iPod", "iOS"),
    ("iPad", "iPadOS"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
    ("X11", "Linux"),
];

const USER_AGENT_CHARACTERS_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_is_told_in_words() {
        for (user_agent, words) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/141.0.0.0 Safari/537.36",
                "Chrome on Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like \
                 Gecko) Version/18.5 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:143.0) Gecko/20100101 \
                 Firefox/143.0",
                "Firefox on macOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
                "Safari on iOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) CriOS/141.0.7390.41 Mobile/15E148 Safari/604.1",
                "Chrome on iOS",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like \
                 Gecko) FxiOS/143.0 Mobile/15E148 Safari/605.1.15",
                "Firefox on iPadOS",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) \
                 SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
                "Samsung Internet on Android",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 HeadlessChrome/141.0.0.0 Safari/537.36",
                "Chrome on Linux",
            ),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/141.0.0.0 Safari/537.36 OPR/124.0.0.0",
                "Opera on ChromeOS",
            ),
        ] {
            assert_eq!(user_agent_display(user_agent), words);
            assert_eq!(browser_on_system(user_agent).as_deref(), Some(words));
        }
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        for (user_agent, words) in [
            ("Dalvik/2.1.0 (Linux; U; Android 15; Pixel 9)", "Android"),
            ("Firefox/143.0", "Firefox"),
            ("okhttp/4.12.0", ""),
            ("Example/1 CFNetwork/3826.500.131 Darwin/24.5.0", ""),
            ("", ""),
        ] {
            assert_eq!(user_agent_display(user_agent), words);
            assert_eq!(browser_on_system(user_agent), None);
        }
    }

    #[test]
    fn a_caller_is_kept_short_and_printable() {
        let address = "::ffff:192.0.2.7".parse().unwrap();
        assert_eq!(
            Caller::new(Some(address), b"Caf\xc3\xa9\t<b>\0"),
            Caller {
                ip_addr: "192.0.2.7".into(),
                user_agent: "Caf???<b>?".into(),
            }
        );
        assert_eq!(
            Caller::new(Some("2001:DB8::1".parse().unwrap()), &[b'a'; 513]),
            Caller {
                ip_addr: "2001:db8::1".into(),
                user_agent: "a".repeat(512),
            }
        );
        assert_eq!(Caller::new(None, b""), Caller::default());
    }
}
