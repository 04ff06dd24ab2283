//! DynamoDB calls on a single item, as they are sent and metered.

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
};

use super::SessionStore;
use super::error::StoreError;
use super::expression::{Expression, projection};
use super::item::{self, ID, Item};
use crate::session::Handle;

/// Outcome of a conditional write.
pub(super) enum WriteOutcome {
    /// The write was applied. Holds the attributes that the call asked for.
    Applied(Item),
    /// The condition was not met. Holds the current item, if one exists.
    Refused(Option<Item>),
}

/// Sends a conditional write and returns its [`WriteOutcome`].
macro_rules! send_write {
    ($store:expr, $request:expr, $error:ident) => {{
        let sent = $request
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .interceptor($store.meter.clone())
            .send()
            .await;
        match sent {
            Ok(output) => {
                $store.meter.add_capacity(output.consumed_capacity());
                Ok(WriteOutcome::Applied(output.attributes.unwrap_or_default()))
            }
            Err(error) => match error.as_service_error() {
                Some($error::ConditionalCheckFailedException(refused)) => {
                    Ok(WriteOutcome::Refused(refused.item.clone()))
                }
                _ => Err(error.into()),
            },
        }
    }};
}

impl SessionStore {
    /// Reads an item with strong consistency: these attributes, or all if none is named.
    pub(super) async fn get_item(
        &self,
        handle: &Handle,
        attributes: &[&str],
    ) -> Result<Option<Item>, StoreError> {
        let mut request = self
            .client
            .get_item()
            .table_name(&*self.table)
            .key(ID, item::text(handle.as_str()))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        if !attributes.is_empty() {
            let (projection, names) = projection(attributes);
            request = request
                .projection_expression(projection)
                .set_expression_attribute_names(Some(names));
        }
        let output = request.customize().interceptor(self.meter.clone()).send().await?;
        self.meter.add_capacity(output.consumed_capacity());
        Ok(output.item)
    }

    /// Inserts or replaces an item.
    pub(super) async fn put_item(
        &self,
        item: Item,
        condition: Expression,
    ) -> Result<WriteOutcome, StoreError> {
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression(condition.condition())
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(Some(condition.values));
        send_write!(self, request, PutItemError)
    }

    /// Changes attributes of an item.
    pub(super) async fn update_item(
        &self,
        handle: &Handle,
        update: Expression,
        returned: ReturnValue,
    ) -> Result<WriteOutcome, StoreError> {
        let request = self
            .client
            .update_item()
            .table_name(&*self.table)
            .key(ID, item::text(handle.as_str()))
            .update_expression(update.update())
            .condition_expression(update.condition())
            .set_expression_attribute_names(Some(update.names))
            .set_expression_attribute_values(Some(update.values))
            .return_values(returned);
        send_write!(self, request, UpdateItemError)
    }

    /// Deletes an item.
    pub(super) async fn delete_item(
        &self,
        handle: &Handle,
        condition: Expression,
    ) -> Result<WriteOutcome, StoreError> {
        let request = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .key(ID, item::text(handle.as_str()))
            .condition_expression(condition.condition())
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(Some(condition.values));
        send_write!(self, request, DeleteItemError)
    }
}
