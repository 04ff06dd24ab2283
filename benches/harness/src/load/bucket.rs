//! A token bucket, which is how most of AWS's limits work.

use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use super::lock;

/// Tokens that are replenished at a rate, up to a burst.
pub(crate) struct Bucket {
    rate: f64,
    burst: f64,
    level: Mutex<Level>,
}

struct Level {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// Creates a full bucket. `rate` is in tokens a second.
    pub(crate) fn new(rate: f64, burst: f64) -> Self {
        let level = Level { tokens: burst, at: Instant::now() };
        Self { rate, burst, level: Mutex::new(level) }
    }

    /// Takes a token. Returns whether there was one.
    pub(crate) fn take(&self) -> bool {
        let mut level = self.replenished();
        let is_admitted = level.tokens >= 1.0;
        if is_admitted {
            level.tokens -= 1.0;
        }
        is_admitted
    }

    /// Returns whether the bucket is not empty.
    pub(crate) fn has_tokens(&self) -> bool {
        self.replenished().tokens > 0.0
    }

    /// Takes tokens for an admitted call whose cost isn't known until afterwards. The balance may go negative.
    pub(crate) fn charge(&self, tokens: f64) {
        self.replenished().tokens -= tokens;
    }

    fn replenished(&self) -> MutexGuard<'_, Level> {
        let mut level = lock(&self.level);
        let now = Instant::now();
        level.tokens = self.burst.min(level.tokens + self.rate * (now - level.at).as_secs_f64());
        level.at = now;
        level
    }
}
