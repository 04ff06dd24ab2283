//! A proxy in front of DynamoDB that injects faults at random, within what the contract promises to
//! survive.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::engine;
use crate::harness::{TARGET, read_request};

/// A kind of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    None,
    /// The call or its response takes a few milliseconds longer.
    Delay,
    /// The connection ends before the call arrives.
    Drop,
    /// The connection ends after the call was applied.
    LoseResponse,
    /// The connection ends, and the call arrives later.
    DeliverLate,
    /// The call arrives a second time, later.
    DeliverTwice,
    Throttle,
    Conflict,
    /// Status 500, of a call that may have been applied.
    Fail,
    /// The response comes after the client stopped waiting.
    Slow,
    /// All of them.
    Mixed,
}

impl Mode {
    pub(crate) const ALL: [Self; 11] = [
        Self::None,
        Self::Delay,
        Self::Drop,
        Self::LoseResponse,
        Self::DeliverLate,
        Self::DeliverTwice,
        Self::Throttle,
        Self::Conflict,
        Self::Fail,
        Self::Slow,
        Self::Mixed,
    ];
}

/// Number of writes to an item after which a call is not delivered late any more. The item recognizes an
/// attempt if at most three other writes came after the one that was applied ("Retries" in the contract).
const LATE_WRITES: u64 = 3;

/// Fault for one call in this many.
const RARITY: u32 = 4;

struct Shared {
    mode: Mode,
    random: Mutex<Rng>,
    /// While it is locked, no other call reaches the engine, so that writes are counted right.
    writes: tokio::sync::Mutex<Writes>,
}

/// Writes that were applied.
#[derive(Default)]
struct Writes {
    /// Number of writes to each item.
    counts: HashMap<String, u64>,
    /// For each write id, the number of writes to its item up to it.
    applied: HashMap<String, u64>,
}

impl Writes {
    fn count(&self, call: &Call) -> u64 {
        call.keys().iter().filter_map(|key| self.counts.get(key)).sum()
    }

    /// Whether the item may have forgotten that the call was applied.
    fn is_forgotten(&self, call: &Call) -> bool {
        let applied = call.write_id().and_then(|id| self.applied.get(id));
        applied.is_some_and(|applied| self.count(call) - applied > LATE_WRITES)
    }

    fn add(&mut self, call: &Call) {
        for key in call.keys() {
            *self.counts.entry(key).or_default() += 1;
        }
        let count = self.count(call);
        if let Some(id) = call.write_id() {
            self.applied.insert(id.to_owned(), count);
        }
    }
}

/// Starts a proxy and returns its endpoint. The same seed injects the same faults, in the order in which
/// the calls arrive.
pub(crate) async fn start(mode: Mode, seed: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let shared = Arc::new(Shared {
        mode,
        random: Mutex::new(Rng::with_seed(seed)),
        writes: tokio::sync::Mutex::default(),
    });
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(connection, shared.clone()));
        }
    });
    endpoint
}

/// Serves one connection until a fault or the client closes it.
async fn serve(connection: TcpStream, shared: Arc<Shared>) -> Option<()> {
    let mut connection = BufReader::new(connection);
    loop {
        let (head, body) = read_request(&mut connection).await?;
        let operation = head.iter().find_map(|line| line.strip_prefix(TARGET))?.to_owned();
        let call = Call { operation, parameters: serde_json::from_slice(&body).ok()? };
        if shared.writes.lock().await.is_forgotten(&call) {
            return None;
        }
        let (fault, delay) = shared.fault(&call);
        let (status, body) = match fault {
            Mode::Delay => {
                tokio::time::sleep(delay).await;
                let response = shared.forward(&call).await;
                tokio::time::sleep(delay).await;
                response
            }
            Mode::Drop => return None,
            Mode::LoseResponse => {
                shared.forward(&call).await;
                return None;
            }
            Mode::DeliverLate => {
                tokio::spawn(shared.clone().deliver_late(call, delay));
                return None;
            }
            // A call that was refused may be accepted later. Nobody can recognize that.
            Mode::DeliverTwice => {
                let response = shared.forward(&call).await;
                if response.0 == 200 {
                    tokio::spawn(shared.clone().deliver_late(call, delay));
                }
                response
            }
            Mode::Throttle => error(400, "ProvisionedThroughputExceededException"),
            Mode::Conflict if call.operation == "TransactWriteItems" => canceled_by_conflict(),
            Mode::Conflict => error(400, "TransactionConflictException"),
            Mode::Fail => {
                if delay.as_millis() % 2 == 0 {
                    shared.forward(&call).await;
                }
                error(500, "InternalServerError")
            }
            // A transaction has longer time limits, which would only make the history slow.
            Mode::Slow if call.operation != "TransactWriteItems" => {
                let response = shared.forward(&call).await;
                tokio::time::sleep(Duration::from_millis(200)).await;
                response
            }
            _ => shared.forward(&call).await,
        };
        let head = format!(
            "HTTP/1.1 {status} -\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        connection.write_all((head + &body).as_bytes()).await.ok()?;
    }
}

fn error(status: u16, code: &str) -> (u16, String) {
    let r#type = format!("com.amazonaws.dynamodb.v20120810#{code}");
    (status, json!({ "__type": r#type, "message": "injected" }).to_string())
}

fn canceled_by_conflict() -> (u16, String) {
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "injected",
        "CancellationReasons": [{ "Code": "TransactionConflict" }, { "Code": "None" }],
    });
    (400, body.to_string())
}

struct Call {
    operation: String,
    parameters: Value,
}

impl Call {
    /// The write id of an update.
    fn write_id(&self) -> Option<&str> {
        self.parameters["ExpressionAttributeValues"][":own"]["S"].as_str()
    }

    fn is_write(&self) -> bool {
        !matches!(self.operation.as_str(), "GetItem" | "Query")
    }

    /// Keys of the items that the call writes.
    fn keys(&self) -> Vec<String> {
        let writes = match self.parameters["TransactItems"].as_array() {
            Some(items) => {
                items.iter().flat_map(|item| item.as_object().unwrap().values()).collect()
            }
            None => vec![&self.parameters],
        };
        let key = |write: &Value| {
            let key = if write["Key"].is_object() { &write["Key"] } else { &write["Item"] };
            key["id"]["S"].as_str().unwrap_or_default().to_owned()
        };
        writes.into_iter().map(key).collect()
    }
}

impl Shared {
    /// Chooses the fault of a call, and a duration for it.
    fn fault(&self, call: &Call) -> (Mode, Duration) {
        let mut random = self.random.lock().unwrap();
        let delay = Duration::from_millis(random.u64(1..30));
        if random.u32(0..RARITY) > 0 {
            return (Mode::None, delay);
        }
        let mode = match self.mode {
            Mode::Mixed => Mode::ALL[random.usize(0..Mode::ALL.len() - 1)],
            mode => mode,
        };
        match mode {
            // A creation that arrives after the session was destroyed creates it again: the known limit of
            // the contract.
            Mode::DeliverLate | Mode::DeliverTwice if call.operation == "PutItem" => {
                (Mode::LoseResponse, delay)
            }
            Mode::DeliverLate | Mode::DeliverTwice | Mode::Conflict if !call.is_write() => {
                (Mode::None, delay)
            }
            mode => (mode, delay),
        }
    }

    async fn forward(&self, call: &Call) -> (u16, String) {
        let mut writes = self.writes.lock().await;
        send(call, &mut writes).await
    }

    async fn deliver_late(self: Arc<Self>, call: Call, delay: Duration) {
        let before = self.writes.lock().await.count(&call);
        tokio::time::sleep(delay).await;
        let mut writes = self.writes.lock().await;
        if writes.count(&call) - before <= LATE_WRITES {
            send(&call, &mut writes).await;
        }
    }
}

async fn send(call: &Call, writes: &mut Writes) -> (u16, String) {
    let sent = engine::call(call.operation.clone(), call.parameters.clone()).await;
    if call.is_write() && sent.is_ok() {
        writes.add(call);
    }
    match sent {
        Ok(body) => (200, body.to_string()),
        Err(body) => (400, body),
    }
}
