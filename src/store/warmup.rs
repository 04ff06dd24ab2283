//! Connection to DynamoDB at init.
//!
//! A TLS handshake takes most of a cold start. Lambda gives a function a whole CPU at init, and as
//! little as 7 % of one afterwards.

use super::SessionStore;
use super::error::StoreError;
use super::item::{self, ID, USER, USER_INDEX};

/// The call that opens the connection: one that the function's role allows anyway. Each asks for an
/// item that cannot exist, changes nothing, and consumes half a read unit.
#[derive(Debug, Clone, Copy)]
pub enum Warmup {
    /// `GetItem` with a key that is not a handle.
    GetItem,
    /// `Query` for a user that `Session-User` cannot name.
    Query,
}

impl SessionStore {
    /// Opens the connection that the first request will use (one call).
    ///
    /// # Errors
    /// Errors of the call. The first request will connect by itself then.
    pub async fn warm_up(&self, call: Warmup) -> Result<(), StoreError> {
        match call {
            Warmup::GetItem => {
                let get = self.client.get_item().table_name(&*self.table);
                get.key(ID, item::text("-")).send().await?;
            }
            Warmup::Query => {
                let query = self.client.query().table_name(&*self.table).index_name(USER_INDEX);
                query
                    .key_condition_expression(format!("#{USER} = :user"))
                    .expression_attribute_names(format!("#{USER}"), USER)
                    .expression_attribute_values(":user", item::text(" "))
                    .send()
                    .await?;
            }
        }
        Ok(())
    }
}
