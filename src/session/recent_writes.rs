//! The writes that a session remembers in order to recognize retries.

use super::etag::ETag;
use super::write_id::WriteId;

/// A session's last write ids, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentWrites([WriteId; Self::LENGTH]);

impl RecentWrites {
    /// How many write ids a session keeps. A late attempt is recognized unless this many other writes have come
    /// in between.
    pub const LENGTH: usize = 4;

    /// Returns these writes, given newest first.
    pub fn new(newest_first: [WriteId; Self::LENGTH]) -> Self {
        Self(newest_first)
    }

    /// Returns the session's revision: the write id of the last write.
    pub fn revision(&self) -> &WriteId {
        let Self([newest, ..]) = self;
        newest
    }

    /// Whether this write was applied.
    pub fn contains(&self, write: &WriteId) -> bool {
        self.0.contains(write)
    }

    /// Returns `etag`, the data's current version, if the data hasn't changed since this write. Returns `None` if
    /// it has, or if the write is too old to tell.
    pub fn etag_at<'a>(&self, write: &WriteId, etag: &'a ETag) -> Option<&'a ETag> {
        let later = || self.0.iter().take_while(|other| *other != write);
        let is_unchanged = self.contains(write) && !later().any(|other| etag.is_made_by(other));
        (etag.is_made_by(write) || is_unchanged).then_some(etag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(name: &str) -> WriteId {
        WriteId::parse(name).unwrap()
    }

    #[test]
    fn version_right_after_a_write_is_known_until_the_data_changes() {
        let writes = RecentWrites::new(["d", "c", "b", "a"].map(write));
        assert_eq!(writes.revision(), &write("d"));
        for (made, at, is_known) in [
            ("d", "c", false),
            ("c", "b", false),
            ("d", "a", false),
            ("d", "d", true),
            ("b", "c", true),
            ("older", "b", true),
            ("older", "oldest", false),
            ("older", "older", true),
        ] {
            let etag = ETag::generate(&write(made)).unwrap();
            assert_eq!(writes.etag_at(&write(at), &etag).is_some(), is_known, "{made} at {at}");
        }
        assert!(writes.contains(&write("a")));
        assert!(!writes.contains(&write("older")));
    }
}
