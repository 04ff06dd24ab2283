//! Timestamps, and how long sessions live.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment, in milliseconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Reads the machine's clock. Only the outermost code calls this, once per request.
    pub fn now() -> Self {
        let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
    }

    /// Returns the moment this many milliseconds after the start of 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the moment this many seconds after the start of 1970.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Returns the moment this much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Returns the time since an earlier moment, or zero if that moment is actually later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Returns the moment this much earlier, but never before 1970.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Returns the moment without its milliseconds.
    #[must_use]
    pub const fn to_whole_second(self) -> Self {
        Self::from_seconds(self.seconds())
    }

    /// Returns milliseconds since 1970.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Returns whole seconds since 1970.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Parses a moment such as `2026-11-24T10:00:00Z` (RFC 3339). Returns `None` if it's malformed or before
    /// 1970.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let millis = moment.unix_timestamp_nanos() / 1_000_000;
        u64::try_from(millis).ok().map(Self)
    }

    /// Formats the moment to the second and in UTC, as in `2026-11-24T10:00:00Z` (RFC 3339). The format ends with
    /// the year 9999, so anything later becomes the last second of that year.
    pub fn to_rfc3339(self) -> String {
        const LAST: u64 = 253_402_300_799;
        i64::try_from(self.seconds().min(LAST))
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .and_then(|moment| moment.format(&Rfc3339).ok())
            .unwrap_or_default()
    }
}

/// The most by which we expect two machines' clocks to differ. Amazon's time service keeps them within milliseconds; a
/// second leaves room for a machine that's off.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(1);

/// Together with [`Limits`], decides when a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// When the session was created.
    pub created: Timestamp,
    /// When the session ends if it stays idle; always a whole second. Each use extends it.
    pub expires: Timestamp,
}

impl Lifetime {
    /// Returns the lifetime of a session created now.
    pub fn starting(now: Timestamp, ttl: Duration) -> Self {
        Self { created: now, expires: now }.slid(now, ttl)
    }

    /// Returns the lifetime with its expiry extended.
    #[must_use]
    pub fn slid(self, now: Timestamp, ttl: Duration) -> Self {
        Self { expires: now.after(ttl).to_whole_second(), ..self }
    }
}

/// Limits on session lifetimes, in whole seconds. They apply to all sessions, even those older than the setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `DEFAULT_TTL`: idle lifetime of a session whose creator doesn't ask for one.
    pub default_ttl: Duration,
    /// `MAX_TTL`: longest idle lifetime. A request that asks for more gets this.
    pub max_ttl: Duration,
    /// `MAX_LIFETIME`: time from a session's creation to its absolute end; `None` for no absolute end.
    pub max_lifetime: Option<Duration>,
    /// `REVOKED_BEFORE`: sessions created before this moment aren't live; `None` to revoke none. It ends
    /// everybody's sessions without touching a single item (OWASP ASVS 5.0, 7.4.5).
    pub revoked_before: Option<Timestamp>,
}

impl Limits {
    /// Returns the idle lifetime to grant when this one is requested. It's never longer than the absolute lifetime, so
    /// that the item doesn't stay in the table longer than necessary.
    pub fn clamp(&self, ttl: Duration) -> Duration {
        self.max_lifetime.map_or(ttl, |max| ttl.min(max)).min(self.max_ttl)
    }

    /// Returns when a session ends if nobody uses it: when it expires, or at its absolute end.
    pub fn end(&self, lifetime: &Lifetime) -> Timestamp {
        let absolute = self.max_lifetime.map(|max| lifetime.created.after(max).to_whole_second());
        absolute.map_or(lifetime.expires, |end| end.min(lifetime.expires))
    }

    /// Returns the earliest possible creation time of a session that's live at this moment.
    fn live_from(&self, now: Timestamp) -> Timestamp {
        let by_age = self.max_lifetime.map_or(Timestamp(0), |max| {
            Timestamp::from_seconds(now.seconds().saturating_add(1)).before(max)
        });
        self.revoked_before.map_or(by_age, |revoked| revoked.max(by_age))
    }
}

/// What it takes for a session to be live, and to be the one that a request means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Liveness {
    /// The moment at which the session must be live.
    pub now: Timestamp,
    /// When the request arrived. However long it has waited since, it never changes a session created later.
    pub arrived: Timestamp,
    /// Sessions created before this aren't live.
    pub live_from: Timestamp,
}

impl Liveness {
    /// Returns what it takes to be live at `now`, for a request that arrived at `arrived`.
    pub fn new(limits: &Limits, arrived: Timestamp, now: Timestamp) -> Self {
        Self { now, arrived, live_from: limits.live_from(now) }
    }

    /// Whether a session is live. At the very second of its expiry, it no longer is.
    pub fn admits(&self, lifetime: &Lifetime) -> bool {
        lifetime.expires > self.now && lifetime.created >= self.live_from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn second(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    const LIMITS: Limits = Limits {
        default_ttl: Duration::from_secs(60),
        max_ttl: Duration::from_secs(60),
        max_lifetime: None,
        revoked_before: None,
    };

    fn is_live(limits: &Limits, lifetime: &Lifetime, now: Timestamp) -> bool {
        Liveness::new(limits, now, now).admits(lifetime)
    }

    #[test]
    fn sessions_created_before_the_revocation_are_not_live() {
        let limits = Limits { revoked_before: Some(second(40)), ..LIMITS };
        for (created, expected) in [(40_000, true), (39_999, false)] {
            let created = Timestamp::from_millis(created);
            let lifetime = Lifetime { created, expires: second(100) };
            assert_eq!(is_live(&limits, &lifetime, second(50)), expected);
        }
    }

    #[test]
    fn session_expires_at_the_start_of_the_second() {
        let lifetime = Lifetime { created: second(0), expires: second(100) };
        assert!(is_live(&LIMITS, &lifetime, Timestamp::from_millis(99_999)));
        assert!(!is_live(&LIMITS, &lifetime, second(100)));
        assert!(!is_live(&LIMITS, &lifetime, second(101)));
    }

    #[test]
    fn absolute_end_is_a_whole_second_after_the_creation() {
        let limits = Limits { max_lifetime: Some(Duration::from_secs(100)), ..LIMITS };
        for created in [5_000, 5_001, 5_999] {
            let created = Timestamp::from_millis(created);
            let lifetime = Lifetime { created, expires: second(200) };
            assert_eq!(limits.end(&lifetime), second(105));
            assert!(is_live(&limits, &lifetime, Timestamp::from_millis(104_999)), "{created:?}");
            assert!(!is_live(&limits, &lifetime, second(105)), "{created:?}");
        }
        let idle = Lifetime { created: second(5), expires: second(50) };
        assert_eq!(limits.end(&idle), second(50));
    }

    #[test]
    fn expiry_is_a_whole_second() {
        let now = Timestamp::from_millis(5_999);
        let lifetime = Lifetime::starting(now, Duration::from_secs(10));
        assert_eq!(lifetime, Lifetime { created: now, expires: second(15) });
    }

    #[test]
    fn rfc_3339_is_parsed_with_any_offset() {
        let parse = |text| Timestamp::parse_rfc3339(text).map(Timestamp::millis);
        assert_eq!(parse("2026-11-24T10:00:00Z"), Some(1_795_514_400_000));
        assert_eq!(parse("2026-11-24T11:00:00.5+01:00"), Some(1_795_514_400_500));
        for bad in ["", "2026-11-24", "2026-11-24T10:00:00", "1969-12-31T23:59:59Z", "now"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_are_rfc_3339_to_the_second() {
        assert_eq!(Timestamp::from_millis(1_795_514_400_999).to_rfc3339(), "2026-11-24T10:00:00Z");
        assert_eq!(Timestamp::from_millis(u64::MAX).to_rfc3339(), "9999-12-31T23:59:59Z");
    }
}
