//! Connects to DynamoDB at init.
//!
//! A TLS handshake takes most of a cold start. Lambda gives a function a whole CPU during init, and as little as
//! 7% of one afterwards.

use super::SessionStore;
use super::error::StoreError;
use super::item::{self, ID};

impl SessionStore {
    /// Opens the connection that the first request will use, with a call that every function's role allows: it reads
    /// an item that can't exist, because its key isn't a handle (half a read unit).
    ///
    /// # Errors
    /// Only those that any method can return. The first request then opens its own connection.
    pub async fn warm_up(&self) -> Result<(), StoreError> {
        let get = self.client.get_item().table_name(&*self.table);
        get.key(ID, item::text("-")).send().await?;
        Ok(())
    }
}
