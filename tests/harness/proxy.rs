//! A server between the functions and DynamoDB that decides what becomes of each call.

use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::engine;
use super::http::{TARGET, read_request};

/// A call to DynamoDB.
pub(crate) struct Call {
    pub(crate) operation: String,
    pub(crate) parameters: Value,
    /// Whether this is the SDK's first attempt.
    #[allow(dead_code, reason = "the histories use it")]
    pub(crate) is_first: bool,
}

/// The status and the body of a response.
pub(crate) type Reply = (u16, String);

/// Answers each call with what `reply` returns; `None` closes the connection. Returns the proxy's endpoint and a handle
/// that stops the proxy.
pub(crate) async fn serve<R>(
    reply: impl Fn(Call) -> R + Clone + Send + Sync + 'static,
) -> (String, AbortHandle)
where
    R: Future<Output = Option<Reply>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let proxy = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve_connection(connection, reply.clone()));
        }
    });
    (endpoint, proxy.abort_handle())
}

/// Forwards a call to the engine.
pub(crate) async fn forward(call: &Call) -> Reply {
    match engine::call(call.operation.clone(), call.parameters.clone()).await {
        Ok(body) => (200, body.to_string()),
        Err(body) => (400, body),
    }
}

/// A DynamoDB error.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Reply {
    (status, error_body(code, message).to_string())
}

/// The error of a transaction that was canceled for these reasons, one for each of its writes.
pub(crate) fn canceled(reasons: [&str; 2]) -> Reply {
    let mut body = error_body("TransactionCanceledException", "injected");
    body["CancellationReasons"] = reasons.map(|reason| json!({ "Code": reason })).to_vec().into();
    (400, body.to_string())
}

fn error_body(code: &str, message: &str) -> Value {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message })
}

async fn serve_connection<R>(connection: TcpStream, reply: impl Fn(Call) -> R) -> Option<()>
where
    R: Future<Output = Option<Reply>>,
{
    let mut connection = BufReader::new(connection);
    loop {
        let (head, body) = read_request(&mut connection).await?;
        let call = Call {
            operation: head.iter().find_map(|line| line.strip_prefix(TARGET))?.to_owned(),
            parameters: serde_json::from_slice(&body).ok()?,
            is_first: head.iter().any(|line| line.starts_with("amz-sdk-request: attempt=1")),
        };
        let (status, body) = reply(call).await?;
        let head = format!(
            "HTTP/1.1 {status} -\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all((head + &body).as_bytes()).await.ok()?;
    }
}
