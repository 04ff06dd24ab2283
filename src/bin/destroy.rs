//! The Lambda function `destroy`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    session_api::lambda::run(session_api::api::destroy).await
}
