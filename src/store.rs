//! Sessions in DynamoDB: one method for each operation, and one DynamoDB call for each method
//! wherever possible.
//!
//! # Conventions
//!
//! - Each operation has a file of its name with its input, its call and its outcome.
//! - An expired session counts as absent. DynamoDB's TTL deletes items up to two days late, so every
//!   read and every write condition checks the lifetime itself.
//! - Only [`SessionStore::create`] and [`SessionStore::rotate`] insert items.
//! - A method documents how many DynamoDB calls it makes. `call.rs` sends and meters them.
//! - `now` is an argument: no method reads a clock.
//! - Every method can return [`StoreError::Throttled`], [`StoreError::Unavailable`],
//!   [`StoreError::Refused`] and [`StoreError::Corrupt`]. `# Errors` lists the others.

mod call;
mod client;
mod condition;
mod create;
mod destroy;
mod error;
mod expression;
mod item;
mod lock;
mod read;
mod replace;
mod rotate;
mod touch;
mod usage;
mod users;
mod warmup;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;

use usage::Meter;

pub use client::{client, settings};
pub use create::NewSession;
pub use error::{Cause, StoreError};
pub use item::{CorruptItem, SealedSession};
pub use replace::Replacement;
pub use rotate::Rotation;
pub use usage::Usage;
pub use users::SessionSummary;
pub use warmup::Warmup;

/// The table of sessions, and the usage of one request.
#[derive(Debug, Clone)]
pub struct SessionStore {
    client: Client,
    table: Arc<str>,
    meter: Meter,
}

impl SessionStore {
    /// Returns a store over this table.
    pub fn new(client: Client, table: &str) -> Self {
        Self { client, table: table.into(), meter: Meter::default() }
    }

    /// Returns the same store with a usage of zero, to meter one request.
    #[must_use]
    pub fn for_request(&self) -> Self {
        Self { meter: Meter::default(), ..self.clone() }
    }

    /// Returns the usage of all calls made through this store so far.
    pub fn usage(&self) -> Usage {
        self.meter.usage()
    }
}
