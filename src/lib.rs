//! A session store for web applications: an HTTP API on AWS Lambda over a DynamoDB table.
//!
//! # Layout
//!
//! The way of a request through the files:
//!
//! - `bin/{read,write,rotate,destroy}.rs`: one Lambda function each, wiring only; [`lambda`] runs it with
//!   the [`config`] of its environment and with [`logging`].
//! - [`api`] sees the request: `api/event.rs` is Lambda's payload in and out, `api/route.rs` finds
//!   the route, `api/headers.rs` reads what the headers mean, and one file per endpoint decodes, acts
//!   and encodes. `api/problem.rs` is every error that a caller can see.
//! - [`store`] is one method per operation and one DynamoDB call wherever one will do: `store/expression.rs`
//!   writes the conditions, `store/item.rs` the attributes, `store/client.rs` sets up the SDK, and
//!   `store/connect.rs` makes the connection at init.
//!   `store/lock.rs`, `store/rotate.rs` and `store/user.rs` are the operations of those names.
//! - [`seal`] compresses and encrypts the data on its way into the table, and back.
//! - [`session`] is the domain: ids, handles, lifetimes.
//!
//! Dependencies go one way, `api → store → session`: `session` knows neither AWS nor HTTP, and
//! `store` knows no status codes.

pub mod api;
pub mod backoff;
pub mod config;
pub mod lambda;
pub mod logging;
pub mod seal;
pub mod session;
pub mod store;
