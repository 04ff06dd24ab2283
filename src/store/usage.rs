//! A request's DynamoDB usage.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::types::ConsumedCapacity;

use super::error::StoreError;

/// Total calls, attempts, and capacity.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Number of operations.
    pub calls: u32,
    /// Number of HTTP requests, greater than `calls` if the SDK retried.
    pub attempts: u32,
    /// Consumed capacity, in units. DynamoDB doesn't report the capacity of refused writes.
    pub capacity: f64,
}

impl Usage {
    /// Returns the number of attempts beyond each call's first.
    pub fn retries(&self) -> u32 {
        self.attempts.saturating_sub(self.calls)
    }
}

/// Adds up the usage of the calls it intercepts.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter(Arc<Mutex<Usage>>);

impl Meter {
    pub(super) fn usage(&self) -> Usage {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the capacity that a call consumed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it's missing. Every call asks for it, so a response without it isn't
    /// DynamoDB's. Without this check, an empty body would count as success.
    pub(super) fn add_capacity(
        &self,
        capacity: Option<&ConsumedCapacity>,
    ) -> Result<(), StoreError> {
        let units = capacity.and_then(ConsumedCapacity::capacity_units).ok_or_else(|| {
            StoreError::Unavailable("the response doesn't report the consumed capacity".into())
        })?;
        self.add(|usage| usage.capacity += units);
        Ok(())
    }

    fn add(&self, change: impl FnOnce(&mut Usage)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.add(|usage| usage.calls = usage.calls.saturating_add(1));
        Ok(())
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.add(|usage| usage.attempts = usage.attempts.saturating_add(1));
        Ok(())
    }
}
