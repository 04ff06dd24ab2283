//! Faults that the network and DynamoDB inject into the calls of a history.

use std::time::Duration;

use fastrand::Rng;

use crate::calls::Call;

/// Faults of a history.
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
    /// DynamoDB fails, before or after it applied the call.
    Fail,
    /// The response comes after the function stopped waiting for it.
    Slow,
    /// The client loses the response of the function.
    LoseReply,
    /// The request reaches the function twice, at the same time or one after the other.
    SendTwice,
    /// All of them.
    Mixed,
}

/// Faults of a history: their mode, and that one call in `rarity` has one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    pub(crate) mode: Mode,
    pub(crate) rarity: u32,
}

impl Faults {
    /// Chooses the fault of one call or request: that of the mode, or none.
    pub(crate) fn choose(self, random: &mut Rng) -> Mode {
        if random.u32(0..self.rarity) > 0 {
            return Mode::None;
        }
        match self.mode {
            // The last one is this mode itself.
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

    /// Whether a response can be lost, so that something repeats the call or the request.
    pub(crate) fn loses_responses(self) -> bool {
        !matches!(self, Self::None | Self::Delay | Self::Throttle | Self::Conflict)
    }

    /// Whether the function gives up on a response, and so must not wait long for it.
    pub(crate) fn is_slow(self) -> bool {
        matches!(self, Self::Slow | Self::Mixed)
    }

    /// Returns the fault if it makes sense for the call, and none otherwise.
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

/// Longest delay.
pub(crate) const MAX_DELAY: Duration = Duration::from_millis(30);

/// Returns a random duration of a delay.
pub(crate) fn delay(random: &mut Rng) -> Duration {
    MAX_DELAY.mul_f64(random.f64())
}
