#![doc = include_str!("../README.md")]

mod client;
mod error;
mod json;
mod layer;
mod merge;
mod options;
mod request;
mod signer;
mod store;

use std::collections::HashMap;

use serde_json::Value;

pub use client::Device;
pub use error::Error;
pub use layer::{SessionApiLayer, SessionApiService};
pub use options::Options;
pub use store::SessionApiStore;

/// A session's data.
pub type Data = HashMap<String, Value>;
