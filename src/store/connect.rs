//! The connection to DynamoDB, made before the first request needs it: at init, Lambda gives a
//! function a whole CPU, and afterwards as little as 7 % of one, while a handshake is most of what a
//! cold start takes.

use super::item::{self, ID, USER};
use super::user::USER_INDEX;
use super::{SessionStore, StoreError};

/// The call that makes the connection: one that the function's role allows anyway. Either asks for
/// what cannot be there, changes nothing, and consumes half a read unit.
#[derive(Debug, Clone, Copy)]
pub enum FirstCall {
    /// `GetItem`, of a key that is no handle.
    GetItem,
    /// `Query`, for a user that no `Session-User` can name.
    Query,
}

impl SessionStore {
    /// Makes the connection, which is then kept for the requests.
    ///
    /// # Errors
    /// Those of the store. The first request will try again.
    pub async fn connect(&self, by: FirstCall) -> Result<(), StoreError> {
        match by {
            FirstCall::GetItem => {
                let get = self.client.get_item().table_name(&*self.table);
                get.key(ID, item::text("-")).send().await?;
            }
            FirstCall::Query => {
                let query = self.client.query().table_name(&*self.table).index_name(USER_INDEX);
                query
                    .key_condition_expression("#user = :user")
                    .expression_attribute_names("#user", USER)
                    .expression_attribute_values(":user", item::text(" "))
                    .send()
                    .await?;
            }
        }
        Ok(())
    }
}
