//! The server side of HTTP requests, for tests that stand in for DynamoDB or Lambda.

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// Start of the header line that names the DynamoDB operation.
pub(crate) const TARGET: &str = "x-amz-target: DynamoDB_20120810.";

/// Reads a request: the lines of its head, and its body. Returns `None` once the connection is closed.
pub(crate) async fn read_request(
    connection: &mut (impl AsyncBufRead + Unpin),
) -> Option<(Vec<String>, Vec<u8>)> {
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await.ok().filter(|&read| read > 0)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(bytes) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = bytes.parse().ok()?;
        }
        head.push(line.to_owned());
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.ok()?;
    Some((head, body))
}
