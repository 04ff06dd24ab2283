//! Moments, and the lifetime of a session.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment, in milliseconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Reads the machine's clock. Only the edge of the program calls it, once per request.
    pub fn now() -> Self {
        let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX))
    }

    /// Returns the moment this many milliseconds after 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns the moment this many seconds after 1970.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Returns the moment this much later.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Returns the time from an earlier moment to this one; zero if the other one is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Returns the moment this much earlier; 1970 at the earliest.
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

    /// Parses a moment, as in `2026-11-24T10:00:00Z` (RFC 3339). Returns `None` if it is malformed or
    /// before 1970.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let millis = moment.unix_timestamp_nanos() / 1_000_000;
        u64::try_from(millis).ok().map(Self)
    }

    /// Formats the moment to the second and in UTC, as in `2026-11-24T10:00:00Z` (RFC 3339). The
    /// format ends with the year 9999, so a later moment becomes the last second of that year.
    pub fn to_rfc3339(self) -> String {
        const LAST: u64 = 253_402_300_799;
        i64::try_from(self.seconds().min(LAST))
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .and_then(|moment| moment.format(&Rfc3339).ok())
            .unwrap_or_default()
    }
}

/// Lifetime of a session. Both ends are whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// End of an idle session. Each use moves it.
    pub expires: Timestamp,
    /// Absolute end, which no use moves.
    pub deadline: Option<Timestamp>,
}

impl Lifetime {
    /// Returns the lifetime of a session that is created now.
    pub fn starting(now: Timestamp, ttl: Duration, max_lifetime: Option<Duration>) -> Self {
        let end = |lifetime| now.after(lifetime).to_whole_second();
        Self { expires: end(ttl), deadline: max_lifetime.map(end) }
    }

    /// Returns the earlier of both ends.
    pub fn end(&self) -> Timestamp {
        self.deadline.map_or(self.expires, |deadline| deadline.min(self.expires))
    }

    /// Returns the lifetime after the expiry slid.
    #[must_use]
    pub fn slid(self, now: Timestamp, ttl: Duration) -> Self {
        Self { expires: now.after(ttl).to_whole_second(), ..self }
    }

    /// Returns the seconds until the end; 0 after it.
    pub fn seconds_left(&self, now: Timestamp) -> u64 {
        self.end().seconds().saturating_sub(now.seconds())
    }
}

/// When a session counts as live. A session that is not live counts as absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Liveness {
    /// The moment for which liveness is judged.
    pub now: Timestamp,
    /// Sessions that were created before this moment are not live.
    pub revoked_before: Option<Timestamp>,
}

impl Liveness {
    /// Whether a session is live. In the second of its end, it no longer is.
    pub fn admits(&self, lifetime: &Lifetime, created: Timestamp) -> bool {
        lifetime.end() > self.now && self.revoked_before.is_none_or(|moment| created >= moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn second(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn is_live(lifetime: &Lifetime, now: Timestamp) -> bool {
        Liveness { now, revoked_before: None }.admits(lifetime, second(0))
    }

    #[test]
    fn sessions_created_before_the_revocation_are_not_live() {
        let lifetime = Lifetime { expires: second(100), deadline: None };
        let live = Liveness { now: second(50), revoked_before: Some(second(40)) };
        assert!(live.admits(&lifetime, second(40)));
        assert!(!live.admits(&lifetime, Timestamp::from_millis(39_999)));
    }

    #[test]
    fn session_expires_at_the_start_of_the_second() {
        let lifetime = Lifetime { expires: second(100), deadline: None };
        assert!(is_live(&lifetime, Timestamp::from_millis(99_999)));
        assert!(!is_live(&lifetime, second(100)));
        assert!(!is_live(&lifetime, second(101)));
    }

    #[test]
    fn deadline_ends_a_session_in_use() {
        let lifetime = Lifetime { expires: second(200), deadline: Some(second(100)) };
        assert!(is_live(&lifetime, second(99)));
        assert!(!is_live(&lifetime, second(100)));
        assert_eq!(lifetime.seconds_left(second(90)), 10);
        assert_eq!(lifetime.seconds_left(second(150)), 0);
    }

    #[test]
    fn lifetimes_end_at_whole_seconds() {
        let now = Timestamp::from_millis(5_999);
        let seconds = Duration::from_secs;
        let lifetime = Lifetime::starting(now, seconds(10), Some(seconds(20)));
        assert_eq!(lifetime, Lifetime { expires: second(15), deadline: Some(second(25)) });
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
