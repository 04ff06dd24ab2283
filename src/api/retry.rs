//! Retries of changes that collide with other changes.

use super::problem::Problem;
use crate::backoff::Backoff;
use crate::store::StoreError;

/// Retries a change that reads the session and writes on condition that it has not changed since.
pub(super) struct ConflictRetries {
    backoff: Backoff,
}

impl ConflictRetries {
    pub(super) fn new() -> Self {
        Self { backoff: Backoff::new() }
    }

    /// Waits before a retry if the change collided with another one. The retry reads the session again,
    /// and so finds out whether the request still accepts it.
    ///
    /// # Errors
    /// Any other error: the request must not be retried.
    pub(super) async fn wait(&mut self, error: StoreError) -> Result<(), Problem> {
        match error {
            StoreError::Changed => {
                tokio::time::sleep(self.backoff.delay()).await;
                Ok(())
            }
            other => Err(other.into()),
        }
    }
}
