//! Sends and meters DynamoDB calls on single items.

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
};

use super::SessionStore;
use super::client;
use super::error::StoreError;
use super::expression::{Expression, projection};
use super::item::{self, ID, Item};
use super::outcome::UnknownOutcomes;
use crate::session::{Handle, Liveness, WriteId};

/// The outcome of a conditional write with a write id.
pub(super) enum WriteOutcome {
    /// The write was applied. Holds the attributes that the call asked for.
    Applied(Item),
    /// The write was refused because an earlier attempt was applied.
    AppliedBefore {
        /// The current item, which is live.
        item: Item,
        /// Whether this very call may have made that attempt and lost the response.
        is_in_doubt: bool,
    },
    /// The condition wasn't met. Holds the current item, if there is one.
    Refused(Option<Item>),
}

/// What became of a conditional write.
pub(super) enum Sent {
    /// It was applied. Holds the attributes that the call asked for.
    Applied(Item),
    /// Its condition wasn't met.
    Refused {
        /// The current item, if there is one.
        item: Option<Item>,
        /// Whether an earlier attempt's outcome is unknown, so it may have been applied.
        is_in_doubt: bool,
    },
}

impl Sent {
    /// Returns the outcome of the write with this id. Once the session has ended or been rotated away, a retry is
    /// refused like any other write.
    ///
    /// # Errors
    /// [`StoreError::OutcomeUnknown`] if an earlier attempt may have been applied.
    fn outcome(self, write: &WriteId, live: Liveness) -> Result<WriteOutcome, StoreError> {
        match self {
            Self::Applied(attributes) => Ok(WriteOutcome::Applied(attributes)),
            Self::Refused { item: Some(item), is_in_doubt }
                if item::remembers(&item, write, live)? =>
            {
                Ok(WriteOutcome::AppliedBefore { item, is_in_doubt })
            }
            Self::Refused { is_in_doubt: true, .. } => Err(StoreError::OutcomeUnknown),
            Self::Refused { item, .. } => Ok(WriteOutcome::Refused(item)),
        }
    }
}

/// Sends a conditional write and meters it. A macro, because the SDK's request builders don't share a trait.
macro_rules! send_write {
    ($store:expr, $request:expr, $error:ident $(, $setting:ident($value:expr))?) => {{
        let unknown = UnknownOutcomes::default();
        let sent = $request
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            $(.$setting($value))?
            .interceptor($store.meter.clone())
            .interceptor(unknown.clone())
            .send()
            .await;
        match sent {
            Ok(output) => {
                $store.meter.add_capacity(output.consumed_capacity())?;
                Sent::Applied(output.attributes.unwrap_or_default())
            }
            Err(error) => match error.as_service_error() {
                Some($error::ConditionalCheckFailedException(refused)) => {
                    Sent::Refused { item: refused.item.clone(), is_in_doubt: unknown.exist() }
                }
                _ => return Err(error.into()),
            },
        }
    }};
}

impl SessionStore {
    /// Reads an item with strong consistency: these attributes, or all of them if the list is empty.
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
        self.meter.add_capacity(output.consumed_capacity())?;
        Ok(output.item)
    }

    /// Inserts or replaces an item. We don't retry after an attempt with an unknown outcome: if it was applied and
    /// the session has been destroyed since, a retry would bring the session back.
    pub(super) async fn put_item(
        &self,
        item: Item,
        condition: Expression,
        write: &WriteId,
        live: Liveness,
    ) -> Result<WriteOutcome, StoreError> {
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .set_item(Some(item))
            .condition_expression(condition.condition())
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(Some(condition.values));
        send_write!(self, request, PutItemError, config_override(client::creation_settings()))
            .outcome(write, live)
    }

    /// Changes an item's attributes, but only once: a retried, duplicated, or late attempt has no effect after the
    /// first one.
    pub(super) async fn update_item(
        &self,
        handle: &Handle,
        update: Expression,
        write: &WriteId,
        live: Liveness,
        returned: ReturnValue,
    ) -> Result<WriteOutcome, StoreError> {
        let update = update.once(write);
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
        send_write!(self, request, UpdateItemError).outcome(write, live)
    }

    pub(super) async fn delete_item(
        &self,
        handle: &Handle,
        condition: Expression,
        returned: ReturnValue,
    ) -> Result<Sent, StoreError> {
        let request = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .key(ID, item::text(handle.as_str()))
            .condition_expression(condition.condition())
            .set_expression_attribute_names(Some(condition.names))
            .set_expression_attribute_values(Some(condition.values))
            .return_values(returned);
        Ok(send_write!(self, request, DeleteItemError))
    }
}
