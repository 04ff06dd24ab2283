//! Retries of changes that collide with other changes.

use super::problem::Problem;
use crate::backoff::Backoff;
use crate::store::StoreError;

/// Maximum number of retries, enough for a hundred requests that change one session at the same time. Together,
/// their waits take about as long as the function's time limit.
const MAX_RETRIES: u32 = 50;

/// Retries a change that reads the session and writes on condition that it has not changed since.
pub(super) struct ConflictRetries {
    backoff: Backoff,
    retries_left: u32,
}

impl ConflictRetries {
    pub(super) fn new() -> Self {
        Self { backoff: Backoff::new(), retries_left: MAX_RETRIES }
    }

    /// Waits before a retry if the change collided with another one. The retry reads the session again,
    /// and so finds out whether the request still accepts it.
    ///
    /// # Errors
    /// Any other error, and the last collision: the request must not be retried.
    pub(super) async fn wait(&mut self, error: StoreError) -> Result<(), Problem> {
        match (error, self.retries_left.checked_sub(1)) {
            (StoreError::Changed, Some(left)) => {
                self.retries_left = left;
                tokio::time::sleep(self.backoff.delay()).await;
                Ok(())
            }
            (other, _) => Err(other.into()),
        }
    }
}
