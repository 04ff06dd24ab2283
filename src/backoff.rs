//! How long to wait before retrying after a collision with another request.

use std::time::Duration;

use crate::random;

/// Exponential backoff with jitter. The ceiling doubles with each wait, and each wait is a random time between half the
/// ceiling and the full ceiling, so that requests that collided don't collide again.
#[derive(Debug)]
pub struct Backoff {
    ceiling: Duration,
}

impl Backoff {
    /// Minimum wait.
    pub const MIN: Duration = Duration::from_millis(25);
    /// Maximum wait.
    pub const MAX: Duration = Duration::from_millis(500);

    /// Starts with the shortest waits.
    pub fn new() -> Self {
        Self { ceiling: Self::MIN.saturating_mul(2) }
    }

    /// Returns the next wait.
    pub fn delay(&mut self) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = ceiling.saturating_mul(2).min(Self::MAX);
        // Without randomness, wait for the whole ceiling.
        let jitter = random::bytes::<1>().map_or(u8::MAX, |[byte]| byte);
        // Rounding may put the product above the ceiling.
        ceiling.mul_f32(0.5 + f32::from(jitter) / 510.0).min(ceiling)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_25_ms_to_at_most_500_ms() {
        let mut backoff = Backoff::new();
        for ceiling in [50, 100, 200, 400, 500, 500, 500] {
            let delay = backoff.delay();
            let range = Duration::from_millis(ceiling / 2)..=Duration::from_millis(ceiling);
            assert!(range.contains(&delay), "{delay:?} is not within {range:?}");
        }
    }

    #[test]
    fn waits_are_jittered() {
        let delays: Vec<_> = (0..20).map(|_| Backoff::new().delay()).collect();
        assert!(delays.iter().any(|delay| *delay != delays[0]));
    }
}
