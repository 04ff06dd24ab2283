//! Plays `tests/conformance/contract.json`, which defines what all clients send and how they read responses.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_credential_types::credential_fn::provide_credentials_fn;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;

/// Calls that this client doesn't have.
const LACKS: [&str; 3] = ["exists", "destroy-unchanged", "rotate-locked"];

fn contract() -> Value {
    serde_json::from_str(include_str!("../../../../tests/conformance/contract.json")).unwrap()
}

fn cases(kind: &str) -> Vec<Value> {
    let cases = contract()[kind].as_array().unwrap().clone();
    cases.into_iter().filter(|case| !LACKS.contains(&text(&case["call"]))).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn options_have_the_limits_of_the_contract() {
    let options = || Options::new("http://localhost").unwrap();
    for limit in contract()["limits"].as_array().unwrap() {
        let (min, max) = (limit["min"].as_u64().unwrap(), limit["max"].as_u64().unwrap());
        let is_accepted = |value: u64| {
            let seconds = Duration::from_secs(value);
            match text(&limit["option"]) {
                "lock" => options().with_lock(seconds).is_ok(),
                "lease" => options().with_lease(seconds).is_ok(),
                "max_sessions" => options().with_max_sessions(value.try_into().unwrap()).is_ok(),
                // This client has no such option.
                _ => (min..=max).contains(&value),
            }
        };
        let values = [min.checked_sub(1), Some(min), Some(max), Some(max + 1)];
        for value in values.into_iter().flatten() {
            assert_eq!(is_accepted(value), (min..=max).contains(&value), "{limit}: {value}");
        }
    }
}

#[tokio::test]
async fn the_client_sends_the_requests_of_the_contract() {
    let api = Api::start().await;
    let client = api.client();
    for case in cases("requests") {
        let name = &case["name"];
        let mut sent = Vec::new();
        for _ in 0..2 {
            let (_, mut requests) = api.play(&client, &case, &[json!({ "status": 418 })]).await;
            sent.append(&mut requests);
        }
        let [sent, next] = sent.try_into().unwrap();
        assert_eq!(sent.method, text(&case["method"]), "{name}");
        assert_eq!(sent.path, text(&case["path"]), "{name}");
        assert_eq!(sent.body, text(&case["body"]), "{name}");
        for (header, value) in case["headers"].as_object().unwrap() {
            assert_eq!(sent.headers.get(header).unwrap(), text(value), "{header}: {name}");
        }
        for header in case["present"].as_array().into_iter().flatten() {
            let value = sent.headers.get(text(header));
            assert!(value.is_some(), "{header}: {name}");
            if header == "idempotency-key" {
                assert_ne!(value, next.headers.get(text(header)), "{name}");
            }
        }
        for header in case["absent"].as_array().into_iter().flatten() {
            assert!(!sent.headers.contains_key(text(header)), "{header}: {name}");
        }
    }
}

#[tokio::test]
async fn calls_go_to_the_url_of_their_function() {
    let api = Api::start().await;
    let urls = ["write", "destroy", "read"].map(|name| format!("{name}={}/{name}/", api.url));
    let client = Client::new(api.options().with_function_urls(&urls.join(",")).unwrap()).unwrap();
    let contract = contract();
    let functions = contract["functions"].as_object().unwrap();
    for case in cases("requests") {
        let (method, path) = (text(&case["method"]), text(&case["path"]));
        let route = Value::from(format!("{method} {path}"));
        let is_served = |routes: &Value| routes.as_array().unwrap().contains(&route);
        let function = functions.iter().find(|(_, routes)| is_served(routes));
        let prefix = function.map(|(name, _)| format!("/{name}")).unwrap_or_default();
        let (_, sent) = api.play(&client, &case, &[json!({ "status": 418 })]).await;
        assert_eq!(sent[0].path, format!("{prefix}{path}"), "{}", case["name"]);
    }
}

#[test]
fn function_urls_are_those_of_the_contract() {
    let contract = contract();
    let urls = |kind: &str| contract["function_urls"][kind].as_array().unwrap().iter().map(text);
    let options = |variable: &str| {
        Options::from_variables(|name| match name {
            "SESSION_API_URL" => "http://localhost".into(),
            "SESSION_API_FUNCTION_URLS" => variable.into(),
            _ => panic!("{name}"),
        })
    };
    for urls in urls("valid") {
        assert!(options(urls).unwrap().function_urls.is_some(), "{urls}");
    }
    for urls in urls("invalid") {
        let Err(Error::InvalidOption(error)) = options(urls) else { panic!("{urls}") };
        for name in ["with_function_urls", "SESSION_API_FUNCTION_URLS", "FunctionUrls"] {
            assert!(error.contains(name), "{error}");
        }
    }
    assert!(options("").unwrap().function_urls.is_none());
}

#[tokio::test]
async fn calls_are_signed_for_what_the_contract_says() {
    for case in contract()["signed_for"].as_array().unwrap() {
        let (url, region) = (text(&case["url"]), text(&case["region"]));
        let options = if case["is_of_function"] == true {
            let urls = ["read", "write", "destroy"].map(|name| format!("{name}={url}"));
            Options::new("http://localhost").unwrap().with_function_urls(&urls.join(",")).unwrap()
        } else {
            Options::new(url).unwrap()
        };
        let credentials = Credentials::new("KEY", "secret", None, None, "test");
        let options = options.with_region("eu-west-3").with_credentials(credentials);
        let client = Client::new(options).unwrap();
        let call = Call::new(Method::GET, "/session", StatusCode::OK);
        let (url, service) = client.destination(&call);
        let mut request = call.request(url).unwrap();
        client.signer.sign(&mut request, service).await.unwrap();
        let authorization = request.headers()["authorization"].to_str().unwrap();
        let scope = format!("/{region}/{}/aws4_request", text(&case["service"]));
        assert!(authorization.contains(&scope), "{case}: {authorization}");
    }
}

#[tokio::test]
async fn responses_mean_what_the_contract_says() {
    let api = Api::start().await;
    let client = api.client();
    for case in cases("responses") {
        let (name, expected) = (&case["name"], &case["outcome"]);
        let lost = case["retry"].as_bool().map(|_| Value::Null);
        let responses: Vec<Value> = lost.into_iter().chain([case.clone()]).collect();
        let (outcome, _) = api.play(&client, &case, &responses).await;
        let is = text(&expected["is"]);
        if ["unavailable", "refused"].contains(&is) {
            let Err(Error::Unavailable(error)) = outcome else { panic!("{name}: {outcome:?}") };
            assert!(error.contains(text(&expected["reason"])), "{name}: {error}");
            if expected["status"].is_u64() {
                assert!(error.contains(&format!("status {}", expected["status"])), "{name}");
            }
            let response = response(&case);
            assert_eq!(response.is_transient(), is == "unavailable", "{name}");
            let after = response.retry_after().map(|after| after.as_secs());
            assert_eq!(after, expected["retry_after"].as_u64(), "{name}");
            let seconds = back_off(0).as_secs_f64();
            let [min, max] =
                ["min", "max"].map(|name| contract()["back_off"][name].as_f64().unwrap());
            assert!((min..=max).contains(&seconds), "{seconds}");
        } else if is == "locked" {
            assert!(matches!(outcome, Err(Error::Locked(_))), "{name}: {outcome:?}");
        } else {
            let mut outcome = outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
            outcome.as_object_mut().unwrap().retain(|key, _| expected.get(key).is_some());
            assert_eq!(outcome, *expected, "{name}");
        }
    }
}

#[tokio::test]
async fn refused_credentials_are_fetched_again_once_per_call() {
    let api = Api::start().await;
    let number = Arc::new(AtomicUsize::new(0));
    let provider = provide_credentials_fn(move || {
        let id = format!("KEY{}", number.fetch_add(1, Ordering::Relaxed));
        async move { Ok(Credentials::new(id, "secret", None, None, "test")) }
    });
    let client = Client::new(api.options().with_credentials(provider)).unwrap();
    let read = json!({ "call": "read", "with": { "id": Id::default().to_string() } });
    let refused = json!({ "status": 403 });
    let absent = json!({
        "status": 404,
        "headers": { "content-type": "application/problem+json" },
        "body": r#"{"type":"urn:session-api:session-not-found"}"#,
    });
    let (outcome, sent) = api.play(&client, &read, &[refused.clone(), absent]).await;
    assert_eq!(outcome.unwrap(), json!({ "is": "absent" }));
    for (number, sent) in sent.iter().enumerate() {
        let authorization = sent.headers["authorization"].to_str().unwrap();
        assert!(authorization.contains(&format!("KEY{number}/")), "{authorization}");
    }
    let (outcome, sent) = api.play(&client, &read, &[refused.clone(), refused]).await;
    assert!(outcome.unwrap_err().to_string().contains("status 403"));
    assert_eq!(sent.len(), 2);
}

/// Makes a case's call. Returns the outcome as in the contract.
async fn call(client: &Client, case: &Value) -> Result<Value, Error> {
    let with = &case["with"];
    let string = |name: &str| with[name].as_str();
    let id = string("id").map(|id| id.parse().unwrap());
    let required = id.unwrap_or_default();
    let new_id = string("new_id").map_or(required, |id| id.parse().unwrap());
    let seconds = |name: &str| Duration::from_secs(with[name].as_u64().unwrap_or_default());
    let data: Data = serde_json::from_str(string("data").unwrap_or("{}")).unwrap();
    let ttl = with["ttl"].as_i64().unwrap_or_default();
    let user = string("user");
    let owner = user.unwrap_or_default();
    let attributes = Attributes { ttl, user, label: string("label") };
    let read = Stored {
        etag: HeaderValue::from_str(string("etag").unwrap_or_default()).unwrap(),
        user: string("owner").map(str::to_owned),
        lock: string("lock").map(|token| HeaderValue::from_str(token).unwrap()),
        ..Stored::unread(required)
    };
    Ok(match text(&case["call"]) {
        "read" => stored("session", "absent", client.read(&required).await?),
        "lock" => {
            let (wait, lease) = (seconds("wait"), seconds("lease"));
            stored("session", "absent", client.lock(&required, wait, lease).await?)
        }
        "create" => stored("written", "taken", client.create(&required, &data, attributes).await?),
        "replace" => written(client.replace(&required, Some(&read), &data, attributes).await?),
        "rotate" => {
            written(client.rotate(&required, &new_id, Some(&read), &data, attributes).await?)
        }
        "touch" => match client.touch(&read, ttl).await? {
            Some(ttl) => json!({ "is": "done", "ttl": ttl }),
            None => json!({ "is": "absent" }),
        },
        "release" => done(client.release(&read).await?),
        "destroy" => done(client.destroy(&required).await?),
        "sessions" => {
            let sessions: Vec<Value> = client
                .sessions(owner, id.as_ref())
                .await?
                .into_iter()
                .map(|device| {
                    json!({
                        "handle": device.handle, "label": device.label, "created": device.created,
                        "used": device.used, "expires": device.expires, "current": device.current,
                    })
                })
                .collect();
            json!({ "is": "list", "sessions": sessions })
        }
        "destroy-all" => destroyed(client.destroy_all(owner, id.as_ref()).await?),
        "limit" => {
            let limit = with["limit"].as_u64().unwrap().try_into().unwrap();
            destroyed(client.limit(owner, limit).await?)
        }
        "destroy-by-handle" => {
            let found = client.destroy_by_handle(owner, string("handle").unwrap()).await?;
            json!({ "is": "found", "value": found })
        }
        other => panic!("there is no call {other}"),
    })
}

fn stored(is: &str, is_not: &str, stored: Option<Stored>) -> Value {
    stored.map_or_else(|| json!({ "is": is_not }), |stored| session(is, &stored))
}

fn written(written: Written) -> Value {
    match written {
        Written::Applied(stored) => session("written", &stored),
        Written::Ended => json!({ "is": "absent" }),
        Written::Conflict(stored) => session("changed", &stored),
    }
}

fn session(is: &str, stored: &Stored) -> Value {
    json!({
        "is": is,
        "data": serde_json::to_string(&*stored.data).unwrap(),
        "etag": stored.etag.to_str().unwrap(),
        "ttl": stored.ttl,
        "user": stored.user,
        "lock": stored.lock.as_ref().map(|lock| lock.to_str().unwrap()),
    })
}

fn done((): ()) -> Value {
    json!({ "is": "done" })
}

fn destroyed(count: u64) -> Value {
    json!({ "is": "destroyed", "count": count })
}

/// Returns a case's response as the client receives it.
fn response(case: &Value) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        let name: http::HeaderName = name.parse().unwrap();
        headers.insert(name, HeaderValue::from_str(text(value)).unwrap());
    }
    let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
    Response {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: text(&case["body"]).into(),
        is_to_retry: false,
    }
}

/// A request that the client sent.
#[derive(Debug)]
struct Sent {
    method: String,
    path: String,
    headers: HeaderMap,
    body: String,
}

/// A server that sends the responses it's told to send.
struct Api {
    url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The next responses, as in the contract. Null means that the response is lost.
    responses: VecDeque<Value>,
    sent: Vec<Sent>,
}

impl Api {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let api = Self { url, state: Arc::clone(&state) };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&state);
                let service = service_fn(move |request| answer(Arc::clone(&state), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        api
    }

    fn options(&self) -> Options {
        Options::new(&self.url).unwrap().with_retries(0)
    }

    fn client(&self) -> Client {
        Client::new(self.options()).unwrap()
    }

    /// Makes a case's call, which gets these responses. Returns its outcome and its requests.
    async fn play(
        &self,
        client: &Client,
        case: &Value,
        responses: &[Value],
    ) -> (Result<Value, Error>, Vec<Sent>) {
        locked(&self.state).responses = responses.iter().cloned().collect();
        let outcome = call(client, case).await;
        (outcome, std::mem::take(&mut locked(&self.state).sent))
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut state = locked(&state);
    state.sent.push(Sent {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let next = state.responses.pop_front().unwrap_or_default();
    if next.is_null() {
        return Err(std::io::Error::other("lost"));
    }
    let Response { status, headers, body, .. } = response(&next);
    let mut response = http::Response::new(Full::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}
