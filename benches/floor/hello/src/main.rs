//! The floor: what any function costs that answers an HTTP API, as `cargo lambda new --http` makes it.

use lambda_http::{Error, Request, run, service_fn, tracing};

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    run(service_fn(async |_: Request| Ok::<_, Error>("hello, world"))).await
}
