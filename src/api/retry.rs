//! Retries of changes that collide with other changes.

use super::problem::Problem;
use crate::backoff::Backoff;
use crate::session::ETagCondition;

/// Retries a change that reads the session and writes on condition that the data has not changed since.
pub(super) struct ConflictRetries<'a> {
    if_match: &'a ETagCondition,
    backoff: Backoff,
}

impl<'a> ConflictRetries<'a> {
    pub(super) fn new(if_match: &'a ETagCondition) -> Self {
        Self { if_match, backoff: Backoff::new() }
    }

    /// Waits before a retry if the change collided with another one and the request accepts any
    /// version of the data.
    ///
    /// # Errors
    /// Any other problem: the request must not be retried.
    pub(super) async fn wait(&mut self, problem: Problem) -> Result<(), Problem> {
        match (problem, self.if_match) {
            (Problem::ETagMismatch(_), ETagCondition::Any) => {
                tokio::time::sleep(self.backoff.delay()).await;
                Ok(())
            }
            (problem, _) => Err(problem),
        }
    }
}
