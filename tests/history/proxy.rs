//! A proxy between each client's functions and DynamoDB. It injects random faults that the API promises to
//! survive.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::AbortHandle;

use crate::calls::Ledger;
use crate::faults::{self, Faults, Mode};
use crate::harness::proxy::{self, Call, Reply};

/// A response that takes this long is too late for the function. See [`crate::harness::Timeouts::Short`].
const SLOW: Duration = Duration::from_millis(200);

/// The network of a history.
pub(crate) struct Network {
    faults: Faults,
    random: Mutex<Rng>,
    /// Locked during each write, so that it records the writes in the order in which they reach DynamoDB.
    ledger: tokio::sync::Mutex<Ledger>,
    proxies: Mutex<Vec<AbortHandle>>,
}

impl Network {
    pub(crate) fn new(faults: Faults, random: Rng) -> Arc<Self> {
        let (random, ledger) = (Mutex::new(random), tokio::sync::Mutex::default());
        Arc::new(Self { faults, random, ledger, proxies: Mutex::default() })
    }

    /// Starts a client's proxy and returns its endpoint.
    pub(crate) async fn endpoint(self: &Arc<Self>, client: usize) -> String {
        let network = self.clone();
        let (endpoint, proxy) = proxy::serve(move |call| {
            let network = network.clone();
            async move { reply(&network, call, client).await }
        })
        .await;
        self.proxies.lock().unwrap().push(proxy);
        endpoint
    }

    /// Stops the proxies. Otherwise thousands of histories would use up the machine's ports.
    pub(crate) fn close(&self) {
        self.proxies.lock().unwrap().drain(..).for_each(|proxy| proxy.abort());
    }

    /// Notes that a client starts an operation, whose writes it may retry until [`Self::end`].
    pub(crate) async fn begin(&self, client: usize, operation: u64) {
        self.ledger.lock().await.begin(client, operation);
    }

    pub(crate) async fn end(&self, client: usize) {
        self.ledger.lock().await.end(client);
    }

    fn fault(&self, call: &Call) -> (Mode, Duration) {
        let mut random = self.random.lock().unwrap();
        (self.faults.choose(&mut random).of(call), faults::delay(&mut random))
    }

    /// Forwards a call once doing so can't make an item forget a write that another client may still retry. Returns
    /// `None` for a late call that was applied before but may have been forgotten.
    async fn forward(&self, call: &Call, client: usize, mut is_late: bool) -> Option<Reply> {
        if !call.is_write() {
            return Some(proxy::forward(call).await);
        }
        loop {
            let mut ledger = self.ledger.lock().await;
            if ledger.must_wait(call, client) {
                drop(ledger);
                is_late = true;
                tokio::time::sleep(Duration::from_millis(2)).await;
                continue;
            }
            if is_late && ledger.is_forgotten(call) {
                return None;
            }
            let reply = proxy::forward(call).await;
            if reply.0 == 200 {
                ledger.add(call, client);
            }
            return Some(reply);
        }
    }

    async fn deliver_late(self: Arc<Self>, call: Call, client: usize, delay: Duration) {
        tokio::time::sleep(delay).await;
        self.forward(&call, client, true).await;
    }
}

/// Returns the reply to a call. `None` ends the connection.
async fn reply(network: &Arc<Network>, call: Call, client: usize) -> Option<Reply> {
    let (fault, delay) = network.fault(&call);
    let forward = || network.forward(&call, client, false);
    match fault {
        Mode::Delay => {
            tokio::time::sleep(delay).await;
            let reply = forward().await;
            tokio::time::sleep(delay).await;
            reply
        }
        Mode::Drop => None,
        Mode::LoseResponse => {
            forward().await;
            None
        }
        Mode::DeliverLate => {
            tokio::spawn(network.clone().deliver_late(call, client, delay));
            None
        }
        Mode::DeliverTwice => {
            let reply = forward().await?;
            // A call that was refused might be accepted the second time, and nothing would recognize it as a duplicate.
            if reply.0 == 200 {
                tokio::spawn(network.clone().deliver_late(call, client, delay));
            }
            Some(reply)
        }
        Mode::Throttle => {
            Some(proxy::error(400, "ProvisionedThroughputExceededException", "injected"))
        }
        Mode::Conflict if call.is_transaction() => {
            Some(proxy::canceled(["TransactionConflict", "None"]))
        }
        Mode::Conflict => Some(proxy::error(400, "TransactionConflictException", "injected")),
        Mode::Fail => {
            if delay.as_micros().is_multiple_of(2) {
                forward().await;
            }
            Some(proxy::error(500, "InternalServerError", "injected"))
        }
        Mode::Slow => {
            let reply = forward().await;
            tokio::time::sleep(SLOW).await;
            reply
        }
        // The client injects the last two.
        Mode::None | Mode::Mixed | Mode::LoseReply | Mode::SendTwice => forward().await,
    }
}
