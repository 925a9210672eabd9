//! How often a caller may try: limits per app, per address and per external id
//! on the ceremony calls, and per address on wrong API keys.
//!
//! Counted in the memory of each node, because a counter that nodes share would
//! cost every call a write (docs/decisions/0006). What is counted where, and what
//! an attacker gains by it, is said at each `check`. Where they are asked:
//! `http/browser` (address, app), `ceremonies` (external id), `http/management`
//! (wrong API keys).

use std::{
    borrow::Cow,
    fmt,
    hash::Hash,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU32,
    str::FromStr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter, clock::Clock as _, middleware::NoOpMiddleware,
    state::keyed::DashMapStateStore,
};
use serde::{Deserialize, Serialize};

use crate::{AppId, Refusal};

/// The limits of a node, each adjustable and each to be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Ceremony calls of one app.
    pub app: RateLimit,
    /// Ceremony calls from one address, whatever the app; of IPv6 from one /64,
    /// which is what a single customer of a network gets.
    pub address: RateLimit,
    /// Ceremony calls under transactions of one external id of one app.
    pub external_id: RateLimit,
    /// Wrong API keys from one address (IPv6: from one /64).
    pub wrong_api_keys: RateLimit,
}

impl RateLimits {
    /// No limits.
    pub const OFF: RateLimits = RateLimits {
        app: RateLimit::Off,
        address: RateLimit::Off,
        external_id: RateLimit::Off,
        wrong_api_keys: RateLimit::Off,
    };

    /// For a server that strangers reach. A login is two calls.
    pub const RECOMMENDED: RateLimits = RateLimits {
        // A hundred logins a second, and a thousand at once when a mail went out:
        // more than most apps ever see, and a fraction of what a node can do.
        app: RateLimit::allow(200, Period::Second, 2_000),
        // A whole office behind one address may arrive at nine o'clock sharp.
        address: RateLimit::allow(10, Period::Second, 100),
        // Fifteen attempts at once, then one every four seconds: nobody touches a
        // sensor faster for long, and after an attack the next turn is near.
        external_id: RateLimit::allow(30, Period::Minute, 30),
        // A server that was deployed with an old key still reads 401 and not only 429.
        wrong_api_keys: RateLimit::allow(10, Period::Minute, 30),
    };
}

/// How often something may happen. As text: `off`, or so many a second, minute or
/// hour on average and so many at once: `10/s burst 100`. Without a burst it is
/// the number before the slash.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(try_from = "Written", into = "String")]
pub enum RateLimit {
    /// Always.
    Off,
    /// On average `count` times in each `period`, and `burst` times at once after a pause.
    Allow {
        /// How many in each period.
        count: NonZeroU32,
        /// Of what length.
        period: Period,
        /// How many at once.
        burst: NonZeroU32,
    },
}

/// What a rate is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// `/s`
    Second,
    /// `/m`
    Minute,
    /// `/h`
    Hour,
}

/// Why a text is no rate limit.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not a rate limit; write for example \"10/s burst 100\" (or /m, /h; numbers from 1 to \
     {COUNT_MAX}), or \"off\""
)]
pub struct RateLimitInvalid(String);

impl RateLimit {
    /// For numbers that stand in the source.
    const fn allow(count: u32, period: Period, burst: u32) -> RateLimit {
        match (NonZeroU32::new(count), NonZeroU32::new(burst)) {
            (Some(count), Some(burst)) => RateLimit::Allow {
                count,
                period,
                burst,
            },
            _ => RateLimit::Off,
        }
    }

    fn quota(self) -> Option<Quota> {
        let RateLimit::Allow {
            count,
            period,
            burst,
        } = self
        else {
            return None;
        };
        let each = period.length() / count.get();
        Quota::with_period(each).map(|quota| quota.allow_burst(burst))
    }
}

impl Period {
    fn length(self) -> Duration {
        Duration::from_secs(match self {
            Period::Second => 1,
            Period::Minute => 60,
            Period::Hour => 60 * 60,
        })
    }

    fn letter(self) -> &'static str {
        match self {
            Period::Second => "s",
            Period::Minute => "m",
            Period::Hour => "h",
        }
    }
}

impl FromStr for RateLimit {
    type Err = RateLimitInvalid;

    fn from_str(text: &str) -> Result<RateLimit, RateLimitInvalid> {
        let parse = || {
            let mut words = text.split_ascii_whitespace();
            let rate = words.next()?;
            if rate == "off" || rate == "0" {
                return words.next().is_none().then_some(RateLimit::Off);
            }
            let (count, letter) = rate.split_once('/')?;
            let count = number(count)?;
            let period = [Period::Second, Period::Minute, Period::Hour]
                .into_iter()
                .find(|period| period.letter() == letter)?;
            let burst = match (words.next(), words.next(), words.next()) {
                (None, ..) => count,
                (Some("burst"), Some(burst), None) => number(burst)?,
                _ => return None,
            };
            Some(RateLimit::Allow {
                count,
                period,
                burst,
            })
        };
        parse().ok_or_else(|| RateLimitInvalid(text.to_owned()))
    }
}

fn number(text: &str) -> Option<NonZeroU32> {
    text.parse()
        .ok()
        .filter(|number: &NonZeroU32| number.get() <= COUNT_MAX)
}

impl fmt::Display for RateLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RateLimit::Off => formatter.write_str("off"),
            RateLimit::Allow {
                count,
                period,
                burst,
            } => write!(formatter, "{count}/{} burst {burst}", period.letter()),
        }
    }
}

/// In a file, `0` is a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Number(u64),
}

impl TryFrom<Written> for RateLimit {
    type Error = RateLimitInvalid;

    fn try_from(written: Written) -> Result<RateLimit, RateLimitInvalid> {
        let text = match written {
            Written::Text(text) => Cow::Owned(text),
            Written::Number(0) => Cow::Borrowed("0"),
            Written::Number(number) => Cow::Owned(number.to_string()),
        };
        text.parse()
    }
}

impl From<RateLimit> for String {
    fn from(limit: RateLimit) -> String {
        limit.to_string()
    }
}

/// What one node has counted.
pub(crate) struct Limiters {
    app: Limiter<AppId>,
    address: Limiter<IpAddr>,
    external_id: Limiter<(AppId, String)>,
    wrong_api_keys: Limiter<IpAddr>,
}

impl Limiters {
    pub(crate) fn new(limits: &RateLimits, clock: &platform::Clock) -> Limiters {
        let clock = SteadyClock::new(clock);
        Limiters {
            app: Limiter::new(limits.app, &clock),
            address: Limiter::new(limits.address, &clock),
            external_id: Limiter::new(limits.external_id, &clock),
            wrong_api_keys: Limiter::new(limits.wrong_api_keys, &clock),
        }
    }

    /// Counts a ceremony call from `address`, before anything else is counted: what
    /// one flooding address is refused takes nothing from its app.
    pub(crate) fn check_address(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        self.address.check(&network(address))
    }

    /// Counts a ceremony call of an app. Whoever has many addresses can use an
    /// app's share up, but not another app's.
    pub(crate) fn check_app(&self, app_id: &AppId) -> Result<(), Refusal> {
        self.app.check(app_id)
    }

    /// Counts a wrong API key from `address`. A right one is never asked about, so
    /// that nobody's wrong keys keep a neighbor behind the same address out. It
    /// need not slow down guessing, which 64 random characters make hopeless, but
    /// noise.
    pub(crate) fn count_wrong_api_key(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        self.wrong_api_keys.check(&network(address))
    }

    /// Forgets who has a full share again, and tells how many calls were refused
    /// since the last time: refusals are no events, so that a flood does not fill
    /// the database.
    pub(crate) fn sweep(&self) {
        let (app, address) = (self.app.sweep(), self.address.sweep());
        let external_id = self.external_id.sweep();
        let wrong_api_keys = self.wrong_api_keys.sweep();
        if app + address + external_id + wrong_api_keys > 0 {
            tracing::warn!(
                app,
                address,
                external_id,
                wrong_api_keys,
                "calls were refused by rate limits"
            );
        }
    }
}

impl fmt::Debug for Limiters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Limiters").finish_non_exhaustive()
    }
}

/// One call under a transaction. It is counted once, however often its database
/// transaction is tried.
pub(crate) struct ExternalIdCall {
    limiters: Arc<Limiters>,
    outcome: OnceLock<Result<(), Refusal>>,
}

impl ExternalIdCall {
    pub(crate) fn new(limiters: &Arc<Limiters>) -> ExternalIdCall {
        ExternalIdCall {
            limiters: Arc::clone(limiters),
            outcome: OnceLock::new(),
        }
    }

    /// Counts the call against the external id of its transaction, which is
    /// known to be open: whoever has none cannot use up anybody's share. Who gets
    /// transactions for somebody else's external id, from a login page that asks
    /// for a name only, can; a login without a transaction stays possible then.
    pub(crate) fn check(&self, app_id: &AppId, external_id: &str) -> Result<(), Refusal> {
        let outcome = self.outcome.get_or_init(|| {
            let key = (app_id.clone(), external_id.to_owned());
            self.limiters.external_id.check(&key)
        });
        outcome.clone()
    }
}

/// The counts of one limit, by key; nothing when it is off.
struct Limiter<K: Hash + Eq + Clone> {
    counts: Option<Counts<K>>,
    clock: SteadyClock,
    refused: AtomicU64,
}

type Counts<K> = RateLimiter<K, DashMapStateStore<K>, SteadyClock, NoOpMiddleware<Duration>>;

impl<K: Hash + Eq + Clone> Limiter<K> {
    fn new(limit: RateLimit, clock: &SteadyClock) -> Limiter<K> {
        Limiter {
            counts: limit
                .quota()
                .map(|quota| RateLimiter::dashmap_with_clock(quota, clock.clone())),
            clock: clock.clone(),
            refused: AtomicU64::new(0),
        }
    }

    fn check(&self, key: &K) -> Result<(), Refusal> {
        let Some(counts) = &self.counts else {
            return Ok(());
        };
        counts.check_key(key).map_err(|not_until| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            let wait = not_until.wait_time_from(self.clock.now());
            let retry_after_s = wait.as_nanos().div_ceil(NANOSECONDS_PER_SECOND);
            Refusal::RateLimitExceeded {
                retry_after_s: u64::try_from(retry_after_s).unwrap_or(u64::MAX).max(1),
            }
        })
    }

    fn sweep(&self) -> u64 {
        if let Some(counts) = &self.counts {
            counts.retain_recent();
            counts.shrink_to_fit();
        }
        self.refused.swap(0, Ordering::Relaxed)
    }
}

/// The time since the limits were set up, by the injected clock.
///
/// A clock of the day can be set back, which would keep everybody waiting until
/// it is where it was; this one only counts the steps forward.
#[derive(Clone)]
struct SteadyClock {
    clock: platform::Clock,
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    at_ms: i64,
    elapsed: Duration,
}

impl SteadyClock {
    fn new(clock: &platform::Clock) -> SteadyClock {
        SteadyClock {
            clock: clock.clone(),
            seen: Arc::new(Mutex::new(Seen {
                at_ms: clock.now_ms(),
                elapsed: Duration::ZERO,
            })),
        }
    }
}

impl governor::clock::Clock for SteadyClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.clock.now_ms();
        let step_ms = now_ms.saturating_sub(seen.at_ms);
        seen.elapsed += Duration::from_millis(u64::try_from(step_ms).unwrap_or(0));
        seen.at_ms = now_ms;
        seen.elapsed
    }
}

/// Whom an address stands for. Of IPv6 the first 64 bits: the rest is the
/// caller's own choice. Callers without an address share one.
fn network(address: Option<IpAddr>) -> IpAddr {
    let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

/// Keeps every product of these numbers far inside 64 bits of nanoseconds.
const COUNT_MAX: u32 = 1_000_000;
const NANOSECONDS_PER_SECOND: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit::allow(6, Period::Minute, 2);

    fn limiter(clock: &platform::Clock) -> Limiter<u8> {
        Limiter::new(LIMIT, &SteadyClock::new(clock))
    }

    fn refused(retry_after_s: u64) -> Result<(), Refusal> {
        Err(Refusal::RateLimitExceeded { retry_after_s })
    }

    #[test]
    fn a_rate_limit_is_read_as_it_is_written() {
        for (text, limit) in [
            ("off", RateLimit::Off),
            ("0", RateLimit::Off),
            ("10/s burst 100", RateLimit::allow(10, Period::Second, 100)),
            (" 1/h  burst 2 ", RateLimit::allow(1, Period::Hour, 2)),
            ("30/m", RateLimit::allow(30, Period::Minute, 30)),
            (
                "1000000/s",
                RateLimit::allow(1_000_000, Period::Second, 1_000_000),
            ),
        ] {
            assert_eq!(text.parse::<RateLimit>().unwrap(), limit);
            assert_eq!(limit.to_string().parse::<RateLimit>().unwrap(), limit);
        }
        for text in [
            "",
            "10",
            "10/",
            "/s",
            "10/d",
            "10/S",
            "0/s",
            "-1/s",
            "1.5/s",
            "10/s burst",
            "10/s burst 0",
            "10/s 100",
            "10/s burst 1 2",
            "off burst 1",
            "1000001/s",
            "1/s burst 1000001",
        ] {
            let error = text.parse::<RateLimit>().unwrap_err();
            assert!(error.to_string().contains("10/s burst 100"), "{error}");
        }
    }

    #[test]
    fn a_rate_limit_in_a_file_is_a_text_or_zero() {
        let read = |json: &str| serde_json::from_str::<RateLimit>(json);
        assert_eq!(read("0").unwrap(), RateLimit::Off);
        assert_eq!(read("\"off\"").unwrap(), RateLimit::Off);
        assert_eq!(read("\"6/m burst 2\"").unwrap(), LIMIT);
        for json in ["10", "-1", "true", "null", "[]", "\"often\""] {
            assert!(read(json).is_err(), "{json}");
        }
        assert_eq!(serde_json::to_string(&LIMIT).unwrap(), "\"6/m burst 2\"");
    }

    #[test]
    fn after_the_burst_one_waits_exactly_as_long_as_told() {
        let clock = platform::Clock::manual(1_724_113_247_000);
        let limiter = limiter(&clock);
        assert_eq!(limiter.check(&1), Ok(()));
        assert_eq!(limiter.check(&1), Ok(()));
        assert_eq!(limiter.check(&1), refused(10));
        // Another key has its own share.
        assert_eq!(limiter.check(&2), Ok(()));
        // Asking again costs nothing, and a started second counts whole.
        clock.advance_ms(8_999);
        assert_eq!(limiter.check(&1), refused(2));
        clock.advance_ms(1_000);
        assert_eq!(limiter.check(&1), refused(1));
        clock.advance_ms(1);
        assert_eq!(limiter.check(&1), Ok(()));
        assert_eq!(limiter.check(&1), refused(10));
        // A pause gives no more than the burst.
        clock.advance_ms(1_000_000_000);
        assert_eq!(limiter.check(&1), Ok(()));
        assert_eq!(limiter.check(&1), Ok(()));
        assert_eq!(limiter.check(&1), refused(10));
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_waiting_longer() {
        let clock = platform::Clock::manual(1_724_113_247_000);
        let limiter = limiter(&clock);
        assert_eq!(limiter.check(&1), Ok(()));
        assert_eq!(limiter.check(&1), Ok(()));
        clock.advance_ms(-86_400_000);
        assert_eq!(limiter.check(&1), refused(10));
        clock.advance_ms(10_000);
        assert_eq!(limiter.check(&1), Ok(()));
    }

    #[test]
    fn whoever_has_a_full_share_again_is_forgotten() {
        let clock = platform::Clock::manual(0);
        let limiter = limiter(&clock);
        let kept = |limiter: &Limiter<u8>| limiter.counts.as_ref().map(RateLimiter::len);
        for key in 0..100 {
            assert_eq!(limiter.check(&key), Ok(()));
        }
        clock.advance_ms(19_000);
        assert_eq!(limiter.check(&7), Ok(()));
        assert_eq!(limiter.check(&7), Ok(()));
        assert_eq!(limiter.check(&7), refused(10));
        clock.advance_ms(1_000);
        assert_eq!(limiter.sweep(), 1, "one was refused");
        assert_eq!(kept(&limiter), Some(1));
        assert_eq!(limiter.check(&7), refused(9));
        clock.advance_ms(29_000);
        assert_eq!(limiter.sweep(), 1);
        assert_eq!(kept(&limiter), Some(0));
        assert_eq!(limiter.sweep(), 0);
    }

    #[test]
    fn what_is_off_counts_nothing() {
        let clock = platform::Clock::manual(0);
        let limiter = Limiter::new(RateLimit::Off, &SteadyClock::new(&clock));
        for _ in 0..10_000 {
            assert_eq!(limiter.check(&1), Ok(()));
        }
        assert_eq!(limiter.sweep(), 0);
    }

    #[test]
    fn a_call_is_counted_once_however_often_it_is_tried() {
        let limits = RateLimits {
            external_id: LIMIT,
            ..RateLimits::OFF
        };
        let limiters = Arc::new(Limiters::new(&limits, &platform::Clock::manual(0)));
        let app_id = AppId::random(&platform::Entropy::seeded(1));
        for outcome in [Ok(()), Ok(()), refused(10)] {
            let call = ExternalIdCall::new(&limiters);
            for _ in 0..5 {
                assert_eq!(call.check(&app_id, "ann"), outcome);
            }
        }
    }

    #[test]
    fn an_ipv6_network_is_one_caller() {
        for (address, other, same) in [
            ("2001:db8::1", "2001:db8::ffff:2", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
        ] {
            let network = |text: &str| network(Some(text.parse().unwrap()));
            assert_eq!(
                network(address) == network(other),
                same,
                "{address} {other}"
            );
        }
    }
}
