//! Waits between attempts that other requests stand in the way of.

use std::time::Duration;

use crate::session::random;

/// Waits that double from attempt to attempt, each somewhere between its half and its whole, so that
/// those who collided do not collide again.
#[derive(Debug)]
pub struct Backoff {
    ceiling: Duration,
}

impl Backoff {
    /// The shortest wait.
    pub const LEAST: Duration = Duration::from_millis(25);
    /// The longest wait.
    pub const MOST: Duration = Duration::from_millis(500);

    /// Waits that begin with the shortest.
    pub fn new() -> Self {
        Self { ceiling: Self::LEAST.saturating_mul(2) }
    }

    /// How long to wait this time.
    pub fn delay(&mut self) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = ceiling.saturating_mul(2).min(Self::MOST);
        // Without randomness it waits the whole: that is slower, and no worse.
        let jitter = random::<1>().map_or(u8::MAX, |[byte]| byte);
        ceiling.mul_f32(0.5 + f32::from(jitter) / 510.0)
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
    fn waits_grow_from_25_ms_and_stay_below_half_a_second() {
        let mut backoff = Backoff::new();
        for ceiling in [50, 100, 200, 400, 500, 500, 500] {
            let delay = backoff.delay();
            let range = Duration::from_millis(ceiling / 2)..=Duration::from_millis(ceiling);
            assert!(range.contains(&delay), "{delay:?} is not within {range:?}");
        }
    }

    #[test]
    fn two_waits_are_not_the_same() {
        let delays: Vec<_> = (0..20).map(|_| Backoff::new().delay()).collect();
        assert!(delays.iter().any(|delay| *delay != delays[0]));
    }
}
