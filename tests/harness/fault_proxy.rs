//! A proxy in front of DynamoDB that injects faults, to test everything that the network and DynamoDB can do to a
//! call.

use std::collections::VecDeque;
use std::future::IntoFuture as _;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::sync::Semaphore;

use super::app::{App, Timeouts};
use super::engine;
use super::proxy::{self, Call, Reply};
use super::request::Request;
use super::response::Response;

/// What the proxy does with one call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Forwards it and returns the response: no fault.
    Pass,
    /// Responds with this body, without forwarding the call.
    Respond(&'static str),
    /// Forwards the call, then closes the connection instead of responding.
    LoseResponse,
    /// Closes the connection, without forwarding the call.
    Disconnect,
    /// Never responds, and doesn't forward the call.
    Hang,
    /// Holds the call until the test releases it, then forwards it and returns the response.
    Hold,
    /// Responds with this status and DynamoDB error, without forwarding the call.
    Fail(u16, &'static str),
    /// Responds with this status and no body, like a load balancer, without forwarding the call.
    Bare(u16),
    /// Responds that the transaction was canceled, with these reasons for its two writes, without forwarding it.
    Cancel([&'static str; 2]),
    /// Responds with this status and a body that quotes the call, without forwarding it. The quote is in an error
    /// message, or in HTML if the status is 200.
    Echo(u16),
    /// Responds with HTML, like a captive portal.
    Garbage,
}

/// An app whose calls to DynamoDB go through a proxy.
pub(crate) struct FaultProxy {
    pub(crate) app: App,
    /// An app on the same table and with the same clock, whose calls don't go through the proxy.
    pub(crate) direct: App,
    shared: Arc<Shared>,
}

/// What a proxy's connections share.
struct Shared {
    faults: Mutex<VecDeque<Fault>>,
    calls: Mutex<Vec<Value>>,
    /// Number of held calls that no test has waited for yet.
    held: Semaphore,
    /// Number of held calls that may continue.
    released: Semaphore,
}

impl FaultProxy {
    /// Starts a proxy, which forwards every call until you inject faults.
    pub(crate) async fn start(timeouts: Timeouts) -> Self {
        let shared = Arc::new(Shared {
            faults: Mutex::default(),
            calls: Mutex::default(),
            held: Semaphore::new(0),
            released: Semaphore::new(0),
        });
        let replying = shared.clone();
        let (endpoint, _) = proxy::serve(move |call| reply(call, replying.clone())).await;
        let table = engine::create_table().await;
        let app = App::connect(&table, &endpoint, timeouts);
        Self { direct: app.connected_to(engine::endpoint(), timeouts), app, shared }
    }

    /// Applies these faults to the next calls, one each, replacing any that are left.
    pub(crate) fn inject(&self, faults: &[Fault]) {
        *self.shared.faults.lock().unwrap() = faults.iter().copied().collect();
    }

    /// Returns the parameters of the calls received since this method was last called.
    pub(crate) fn take_parameters(&self) -> Vec<Value> {
        std::mem::take(&mut self.shared.calls.lock().unwrap())
    }

    /// Returns once the proxy holds a call.
    pub(crate) async fn held(&self) {
        self.shared.held.acquire().await.unwrap().forget();
    }

    /// Lets the held call go on.
    pub(crate) fn release(&self) {
        self.shared.released.add_permits(1);
    }

    /// Sends a request whose calls get these faults, and returns the response. The last fault must be
    /// [`Fault::Hold`], and this runs `meanwhile` while that call is on hold.
    pub(crate) async fn send_around(
        &self,
        request: Request,
        faults: &[Fault],
        meanwhile: impl Future<Output = ()>,
    ) -> Response {
        self.inject(faults);
        let response = tokio::spawn(request.into_future());
        self.held().await;
        meanwhile.await;
        self.release();
        response.await.unwrap()
    }
}

/// Replies to a call. `None` closes the connection.
async fn reply(call: Call, shared: Arc<Shared>) -> Option<Reply> {
    shared.calls.lock().unwrap().push(call.parameters.clone());
    let fault = shared.faults.lock().unwrap().pop_front().unwrap_or(Fault::Pass);
    if let Fault::Hold = fault {
        shared.held.add_permits(1);
        shared.released.acquire().await.unwrap().forget();
    }
    Some(match fault {
        Fault::Pass | Fault::Hold => proxy::forward(&call).await,
        Fault::Respond(body) => (200, body.to_owned()),
        Fault::LoseResponse => {
            proxy::forward(&call).await;
            return None;
        }
        Fault::Disconnect => return None,
        Fault::Hang => std::future::pending().await,
        Fault::Fail(status, code) => proxy::error(status, code, "injected"),
        Fault::Bare(status) => (status, String::new()),
        Fault::Cancel(reasons) => proxy::canceled(reasons),
        Fault::Echo(200) => (200, format!("<html>{}</html>", call.parameters)),
        Fault::Echo(status) => {
            proxy::error(status, "ValidationException", &call.parameters.to_string())
        }
        Fault::Garbage => (200, "<html>Welcome to the hotel's network</html>".to_owned()),
    })
}
