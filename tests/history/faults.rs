//! Faults that the proxy and the clients inject into a history.

use std::time::Duration;

use fastrand::Rng;

use crate::harness::proxy::Call;

/// What goes wrong in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// No fault.
    None,
    /// The call and its response take longer.
    Delay,
    /// The connection ends before the call arrives.
    Drop,
    /// The connection ends after the call was applied.
    LoseResponse,
    /// The connection ends, and the call arrives later.
    DeliverLate,
    /// The call arrives again, later.
    DeliverTwice,
    /// DynamoDB throttles the call.
    Throttle,
    /// The call collides with a transaction.
    Conflict,
    /// DynamoDB fails, before or after applying the call.
    Fail,
    /// The response comes after the function has stopped waiting for it.
    Slow,
    /// The client loses the function's response.
    LoseReply,
    /// The request reaches the function twice, at the same time or one after the other.
    SendTwice,
    /// All of them.
    Mixed,
}

/// A history's faults: their mode, and how rare they are. One in `rarity` calls has a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) mode: Mode,
    pub(crate) rarity: u32,
}

impl Faults {
    /// Chooses the fault for one call or request, which may be none.
    pub(crate) fn choose(self, random: &mut Rng) -> Mode {
        if random.u32(0..self.rarity) > 0 {
            return Mode::None;
        }
        match self.mode {
            // The last one is `Mixed` itself.
            Mode::Mixed => Mode::ALL[random.usize(0..Mode::ALL.len() - 1)],
            mode => mode,
        }
    }
}

impl Mode {
    pub(crate) const ALL: [Self; 13] = [
        Self::None,
        Self::Delay,
        Self::Drop,
        Self::LoseResponse,
        Self::DeliverLate,
        Self::DeliverTwice,
        Self::Throttle,
        Self::Conflict,
        Self::Fail,
        Self::Slow,
        Self::LoseReply,
        Self::SendTwice,
        Self::Mixed,
    ];

    /// Whether responses can get lost, so that calls or requests are repeated.
    pub(crate) fn loses_responses(self) -> bool {
        !matches!(self, Self::None | Self::Delay | Self::Throttle | Self::Conflict)
    }

    /// Whether some responses are meant to come too late for the function, which then needs short time limits.
    pub(crate) fn is_slow(self) -> bool {
        matches!(self, Self::Slow | Self::Mixed)
    }

    /// Returns the fault if it makes sense for the call, or else none.
    pub(crate) fn of(self, call: &Call) -> Self {
        match self {
            Self::DeliverLate | Self::DeliverTwice | Self::Conflict if !call.is_write() => {
                Self::None
            }
            // A transaction has longer time limits, which would only make the history slow.
            Self::Slow if call.is_transaction() => Self::None,
            fault => fault,
        }
    }
}

pub(crate) const MAX_DELAY: Duration = Duration::from_millis(30);

/// Returns a random delay.
pub(crate) fn delay(random: &mut Rng) -> Duration {
    MAX_DELAY.mul_f64(random.f64())
}
