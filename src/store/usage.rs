//! What one request cost at DynamoDB.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Calls, attempts and capacity, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Operations asked of DynamoDB.
    pub calls: u32,
    /// Times that one of them went over the wire; more than `calls` where the SDK tried again.
    pub attempts: u32,
    /// Capacity units consumed. DynamoDB does not say what a refused condition consumed.
    pub capacity: f64,
}

impl Usage {
    /// Attempts beyond the first of each call.
    pub fn retries(&self) -> u32 {
        self.attempts.saturating_sub(self.calls)
    }
}

/// Adds up the usage of all calls that it is given to.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter(Arc<Mutex<Usage>>);

impl Meter {
    pub(super) fn usage(&self) -> Usage {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn consumed(&self, capacity: Option<&ConsumedCapacity>) {
        let units = capacity.and_then(ConsumedCapacity::capacity_units).unwrap_or_default();
        self.add(|usage| usage.capacity += units);
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
