//! A session store for web applications: an HTTP API on AWS Lambda, backed by a DynamoDB table.
//!
//! # The life of a request
//!
//! 1. `bin/{read,write,destroy}.rs` are the Lambda functions. They're one-liners: [`lambda`] reads the [`config`]
//!    from the environment, sets up [`logging`], and runs them.
//! 2. [`api`] turns the event into a request (`payload`), finds its route in the table (`route`), and calls
//!    the endpoint, which has a file named after its operation.
//! 3. The endpoint reads the headers (`request`) and calls the operation of the same name in [`store`].
//! 4. The operation sends its DynamoDB call (`call`) with its condition (`condition`) and converts the
//!    item (`item`). [`seal`] encrypts and decrypts the data in it.
//! 5. The endpoint builds the response (`response`). An error becomes a problem document (`problem`).
//!    `log` writes one line.
//!
//! # Dependencies
//!
//! Modules depend only on modules to their left:
//!
//! ```text
//! random ─┬─ session ─┬─ seal ─┬─ store ─┬─ api ─ lambda
//!         │           └────────┼─ config ┤
//!         └────────────────────┼ backoff ┤
//! logging ─────────────────────┴─────────┘
//! ```
//!
//! [`session`] knows nothing about AWS or HTTP, and [`store`] knows nothing about status codes. Inside `store`
//! and `api`, the operations depend on the shared files but never on each other, except that `api/replace.rs`
//! uses `api/create.rs` to create sessions.

pub mod api;
pub mod backoff;
pub mod config;
pub mod lambda;
pub mod logging;
pub mod random;
pub mod seal;
pub mod session;
pub mod store;
