//! Extension of a session's life.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnValue;

use super::SessionStore;
use super::call::WriteOutcome;
use super::condition;
use super::error::StoreError;
use super::item;
use crate::session::{Lifetime, SessionId, Timestamp};

impl SessionStore {
    /// Slides the expiry of a live session and returns its lifetime (one `UpdateItem`). `ttl` is a new
    /// idle lifetime in whole seconds; `None` keeps the current one. The version of the data does not
    /// change.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn touch(
        &self,
        id: &SessionId,
        ttl: Option<Duration>,
        now: Timestamp,
    ) -> Result<Lifetime, StoreError> {
        let update = condition::if_live(now).slide_expiry(ttl, now).return_deadline();
        match self.update_item(id.handle(), update, ReturnValue::UpdatedNew).await? {
            WriteOutcome::Applied(item) => Ok(item::lifetime(&item)?),
            WriteOutcome::Refused(item) => Err(condition::reason_not_live(item)),
        }
    }
}
