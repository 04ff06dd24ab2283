//! When requests are due.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use serde::Serialize;

/// Offered load, in requests a second.
#[derive(Clone, Copy, Serialize)]
pub(crate) enum Rate {
    /// Constant, after a warm-up that starts the environments.
    Steady(f64),
    /// Constant from the start, when no environment exists yet.
    Spike(f64),
    /// Growing linearly from zero to this rate.
    Growing(f64),
}

impl Rate {
    /// Divides the rate.
    pub(crate) fn divided_by(self, divisor: f64) -> Self {
        match self {
            Self::Steady(rate) => Self::Steady(rate / divisor),
            Self::Spike(rate) => Self::Spike(rate / divisor),
            Self::Growing(rate) => Self::Growing(rate / divisor),
        }
    }

    /// Returns the times since the start at which requests are due. Visitors do not wait for each other, so the
    /// times between their requests are distributed exponentially.
    pub(crate) fn arrivals(
        self,
        time: Duration,
        mut random: SmallRng,
    ) -> impl Iterator<Item = Duration> {
        let (Self::Steady(peak) | Self::Spike(peak) | Self::Growing(peak)) = self;
        let mut due = Duration::ZERO;
        std::iter::from_fn(move || {
            loop {
                due += Duration::from_secs_f64(-(1.0 - random.random::<f64>()).ln() / peak);
                if due >= time {
                    return None;
                }
                // Keeps each of the peak rate's arrivals with a probability of current rate / peak rate.
                let is_growing = matches!(self, Self::Growing(_));
                let share = due.as_secs_f64() / time.as_secs_f64();
                if !is_growing || random.random::<f64>() < share {
                    return Some(due);
                }
            }
        })
    }
}
