//! The Lambda function `destroy`.

use std::process::ExitCode;

use session_api::api::Function;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    session_api::lambda::run(Function::Destroy).await
}
