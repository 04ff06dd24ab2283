//! The Lambda function `rotate`.

use std::process::ExitCode;

use session_api::store::Warmup;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    session_api::lambda::run(session_api::api::rotate, Warmup::GetItem).await
}
