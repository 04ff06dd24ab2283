//! Retries changes that collide with other changes.

use super::problem::Problem;
use crate::backoff::Backoff;
use crate::store::StoreError;

/// Maximum number of retries: enough for a hundred requests that change one session at the same time. The waits
/// add up to about the function's time limit.
const MAX_RETRIES: u32 = 50;

/// Retries a change that reads the session, then writes it on the condition that it hasn't changed since.
pub(super) struct ConflictRetries {
    backoff: Backoff,
    retries_left: u32,
}

impl ConflictRetries {
    pub(super) fn new() -> Self {
        Self { backoff: Backoff::new(), retries_left: MAX_RETRIES }
    }

    /// If the change collided with another one, waits before the retry. The retry reads the session again, so it
    /// notices if the request's conditions no longer hold.
    ///
    /// # Errors
    /// Any other error, or the collision itself once no retries are left. Don't retry the request then.
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
