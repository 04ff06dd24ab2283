//! Drops connections to DynamoDB that went stale while Lambda had the function frozen.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};

/// How long a connection may be idle. DynamoDB closes it [after about
/// 60 seconds](https://github.com/aws/aws-sdk-java/issues/1365).
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// An HTTP client that drops its connections after a pause longer than [`IDLE_TIMEOUT`].
///
/// The inner client's idle timeout isn't enough: it goes by the monotonic clock, which [may stand
/// still](https://github.com/hashicorp/vault-lambda-extension/pull/150) while Lambda freezes a function.
/// We'd then send requests over connections that DynamoDB closed long ago. A create that fails this way isn't
/// retried, because DynamoDB might have received it. And a list leaves so many stale connections behind that
/// even a read would run out of attempts.
pub(super) struct Connections<F> {
    connect: F,
    /// When the client was last used, and the client itself.
    current: Mutex<(SystemTime, SharedHttpClient)>,
}

impl<F: Fn() -> SharedHttpClient> Connections<F> {
    pub(super) fn new(connect: F) -> Self {
        let client = connect();
        Self { connect, current: Mutex::new((SystemTime::now(), client)) }
    }

    /// Returns the current client, or a fresh one after a pause.
    fn client(&self, now: SystemTime) -> SharedHttpClient {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (used, client) = &mut *current;
        // Concurrent calls may get here out of order.
        let pause = now.duration_since(*used).unwrap_or_else(|step_back| step_back.duration());
        if pause > IDLE_TIMEOUT {
            *client = (self.connect)();
        }
        *used = now;
        client.clone()
    }
}

impl<F: Fn() -> SharedHttpClient + Send + Sync> HttpClient for Connections<F> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.client(SystemTime::now()).http_connector(settings, components)
    }
}

impl<F> fmt::Debug for Connections<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("current", &self.current).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use aws_smithy_http_client::Builder;

    use super::*;

    #[test]
    fn connections_are_dropped_after_a_pause() {
        let clients = Cell::new(0);
        let connections = Connections::new(|| {
            clients.set(clients.get() + 1);
            Builder::new().build_with_connector_fn(|_, _| unreachable!("this test sends nothing"))
        });
        let start = SystemTime::now();
        for (millis, expected) in [
            (0, 1),
            (50_000, 1),
            (100_000, 1),
            (150_001, 2),
            (150_000, 2),
            // The clock was set back.
            (90_000, 3),
        ] {
            connections.client(start + Duration::from_millis(millis));
            assert_eq!(clients.get(), expected, "{millis} ms");
        }
    }
}
