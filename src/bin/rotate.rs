//! The Lambda function `rotate`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    session_api::lambda::run(session_api::api::rotate).await
}
