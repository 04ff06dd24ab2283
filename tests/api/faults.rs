//! What DynamoDB and the network do to a request, had by a proxy between the two that obeys.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use session_api::store;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tracing::level_filters::LevelFilter;

use crate::harness::{
    self, ALL, App, CREATE, CREATE_WITH_ID, DESTROY, EVENTS_ID, HEAD, LOCK, READ, REPLACE,
    REVOKE_ALL, ROTATE, TARGET, TOUCH, count, unhurried,
};
use crate::logs::Log;
use crate::table;

/// What happens to one request.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// None: it is carried out and answered.
    Pass,
    /// DynamoDB answers so, without carrying it out.
    Answer(&'static str),
    /// It is carried out, and the connection is cut before the answer.
    LoseAnswer,
    /// The connection is cut before anything happens.
    Cut,
    /// There is never an answer.
    Hang,
    /// DynamoDB answers with this error.
    Refuse(u16, &'static str),
    /// Something answers that is no DynamoDB.
    Garbage,
}

use Fault::{Cut, Garbage, Hang, LoseAnswer, Refuse};

const THROTTLE: Fault = Refuse(400, "ProvisionedThroughputExceededException");
const IN_PROGRESS: Fault = Refuse(400, "TransactionInProgressException");

/// An app behind a proxy, whose requests the faults of `next` befall one by one.
struct Faulty {
    app: App,
    next: Arc<Mutex<VecDeque<Fault>>>,
    /// The parameters of every request so far.
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Faulty {
    /// With a healthy network and the same time limits as on Lambda.
    async fn new() -> Self {
        Self::with(|settings| settings).await
    }

    async fn with(
        change: impl FnOnce(aws_sdk_dynamodb::config::Builder) -> aws_sdk_dynamodb::config::Builder,
    ) -> Self {
        let next = Arc::new(Mutex::new(VecDeque::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (faults, requests) = (next.clone(), seen.clone());
        tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(connection, faults.clone(), requests.clone()));
            }
        });
        let table = format!("sessions-{}", harness::new_id());
        let name = table.clone();
        let create = move || table::create(harness::endpoint(), &name);
        tokio::task::spawn_blocking(create).await.unwrap().unwrap();
        let config = harness::config(&table, &endpoint);
        Self { app: App::over(change(store::settings(&config.aws)), config), next, seen }
    }

    /// What befalls the requests from here on.
    fn befall(&self, faults: &[Fault]) {
        *self.next.lock().unwrap() = faults.iter().copied().collect();
    }
}

/// Serves one connection until it is cut, by a fault or by its client.
async fn serve(
    connection: TcpStream,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    seen: Arc<Mutex<Vec<Value>>>,
) -> Option<()> {
    let mut connection = BufReader::new(connection);
    loop {
        let (head, body) = harness::read_request(&mut connection).await?;
        let operation = head.iter().find_map(|line| line.strip_prefix(TARGET))?.to_owned();
        let parameters: Value = serde_json::from_slice(&body).ok()?;
        seen.lock().unwrap().push(parameters.clone());
        let fault = faults.lock().unwrap().pop_front();
        let carry_out = move || table::call(harness::endpoint(), &operation, &parameters);
        let (status, answer) = match fault {
            Some(Cut) => return None,
            Some(Hang) => std::future::pending().await,
            Some(Refuse(status, error)) => {
                (status, json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{error}"), "message": "as asked" }).to_string())
            }
            Some(Garbage) => (200, "<html>Welcome to the hotel's network</html>".to_owned()),
            Some(LoseAnswer) => {
                let _ = tokio::task::spawn_blocking(carry_out).await;
                return None;
            }
            Some(Fault::Answer(answer)) => (200, answer.to_owned()),
            None | Some(Fault::Pass) => match tokio::task::spawn_blocking(carry_out).await.ok()? {
                Ok(answer) => (200, answer.to_string()),
                Err(error) => (400, error),
            },
        };
        let head = format!(
            "HTTP/1.1 {status} -\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        connection.write_all((head + &answer).as_bytes()).await.ok()?;
    }
}

#[tokio::test]
async fn a_retried_write_recognises_itself() {
    let faulty = Faulty::with(unhurried).await;
    let app = &faulty.app;
    faulty.befall(&[LoseAnswer]);
    let created = app.send(CREATE).await;
    assert_eq!(created.status, 201);
    assert_eq!(app.take_calls(), ["PutItem", "PutItem"]);
    let read = app.send(READ).id(created.header("Session-Id")).await;
    assert_eq!(read.header("ETag"), created.header("ETag"));

    faulty.befall(&[LoseAnswer]);
    assert_eq!(app.send(CREATE_WITH_ID).await.status, 201);
    assert_eq!(app.send(CREATE_WITH_ID).await.outcome(), "412 session-exists");

    let old = app.send(READ).await.header("ETag").to_owned();
    faulty.befall(&[LoseAnswer]);
    app.take_calls();
    let replaced = app.send(REPLACE).header("if-match", &old).await;
    assert_eq!(replaced.status, 204);
    assert_eq!(app.take_calls(), ["UpdateItem", "UpdateItem"]);
    assert_eq!(app.send(READ).await.header("ETag"), replaced.header("ETag"));

    faulty.befall(&[LoseAnswer]);
    assert_eq!(app.send(TOUCH).await.status, 204);
    faulty.befall(&[LoseAnswer]);
    let etag = replaced.header("ETag");
    assert_eq!(app.send(DESTROY).header("if-match", etag).await.status, 204);
}

/// Faults that wait for a time limit want those of Lambda; the others must not meet one by accident.
async fn faulty_for(fault: Fault) -> Faulty {
    match fault {
        Hang => Faulty::new().await,
        _ => Faulty::with(unhurried).await,
    }
}

#[tokio::test]
async fn one_fault_is_got_over() {
    for fault in [Cut, Hang, THROTTLE, Refuse(500, "InternalServerError"), Refuse(503, "-")] {
        let faulty = faulty_for(fault).await;
        let app = &faulty.app;
        for event in [CREATE_WITH_ID, READ, HEAD, REPLACE, TOUCH, DESTROY] {
            faulty.befall(&[fault]);
            app.take_calls();
            assert!(app.send(event).await.status < 300, "{fault:?}");
            assert_eq!(app.take_calls().len(), 2, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_store_that_fails_is_never_mistaken_for_no_session() {
    for (fault, outcome) in [
        (Cut, "503 store-unavailable"),
        (Hang, "503 store-unavailable"),
        (Refuse(500, "InternalServerError"), "503 store-unavailable"),
        (Refuse(503, "ServiceUnavailable"), "503 store-unavailable"),
        (THROTTLE, "503 store-throttled"),
        (Refuse(400, "ThrottlingException"), "503 store-throttled"),
        (Refuse(400, "RequestLimitExceeded"), "503 store-throttled"),
        (Refuse(400, "TransactionConflictException"), "503 store-throttled"),
        (IN_PROGRESS, "503 store-unavailable"),
        (Refuse(400, "AccessDeniedException"), "500 internal"),
        (Refuse(400, "ResourceNotFoundException"), "500 internal"),
        (Refuse(400, "ValidationException"), "500 internal"),
        (Garbage, "500 internal"),
    ] {
        let faulty = faulty_for(fault).await;
        for event in ALL {
            faulty.befall(&[fault; 10]);
            faulty.app.take_calls();
            assert_eq!(faulty.app.send(event).await.outcome(), outcome, "{fault:?} {event}");
            if matches!(fault, Hang) {
                assert_eq!(faulty.app.take_calls().len(), 3, "attempts before the time is up");
            }
        }
    }
}

#[tokio::test]
async fn the_log_counts_what_was_tried_again() {
    let (log, _guard) = Log::capture(LevelFilter::INFO);
    let faulty = Faulty::with(unhurried).await;
    faulty.befall(&[Cut, THROTTLE]);
    assert_eq!(faulty.app.send(CREATE).await.status, 201);
    faulty.app.send(CREATE).await;
    let retries: Vec<_> = log.lines().iter().map(|line| line["retries"].as_u64()).collect();
    assert_eq!(retries, [Some(2), Some(0)]);
}

#[tokio::test]
async fn a_read_is_consistent_and_a_head_leaves_the_data_where_it_is() {
    let faulty = Faulty::with(unhurried).await;
    faulty.app.send(CREATE_WITH_ID).await;
    for event in [READ, HEAD] {
        faulty.app.send(event).await;
        let request = faulty.seen.lock().unwrap().pop().unwrap();
        assert_eq!(request["ConsistentRead"], true);
        assert_eq!(request["ProjectionExpression"].is_string(), event == HEAD);
        assert!(!request.to_string().contains("\"data\""));
    }
}

#[tokio::test]
async fn polls_for_a_lock_are_consistent_and_leave_the_data_where_it_is() {
    let faulty = Faulty::with(unhurried).await;
    let app = &faulty.app;
    app.send(CREATE_WITH_ID).await;
    app.send(LOCK).await;
    assert_eq!(app.send(LOCK).header("session-lock-wait", "1").await.status, 423);
    let poll = faulty.seen.lock().unwrap().pop().unwrap();
    assert_eq!(poll["ConsistentRead"], true);
    assert_eq!(poll["ProjectionExpression"], "#deadline, #expires, #lock, #lock_until, #successor");
}

#[tokio::test]
async fn who_meets_a_rotation_tries_again() {
    let faulty = Faulty::with(unhurried).await;
    let app = &faulty.app;
    app.send(CREATE_WITH_ID).await;
    for event in [REPLACE, TOUCH, LOCK] {
        faulty.befall(&[Refuse(400, "TransactionConflictException")]);
        app.take_calls();
        assert!(app.send(event).await.status < 300);
        assert_eq!(app.take_calls(), ["UpdateItem", "UpdateItem"]);
    }
}

#[tokio::test]
async fn a_rotation_that_is_cut_off_leaves_the_session_under_one_id() {
    let faulty = Faulty::with(unhurried).await;
    let app = &faulty.app;
    app.send(CREATE_WITH_ID).await;
    // Dead between its two calls, as far as the table can tell.
    faulty.befall(&[Fault::Pass, Cut, Cut, Cut]);
    assert_eq!(app.send(ROTATE).await.outcome(), "503 store-unavailable");
    assert_eq!(app.send(READ).await.status, 200);
    assert_eq!(app.items().await.len(), 1);
    // Carried out, and the answer lost: the SDK asks again, and the transaction knows itself.
    faulty.befall(&[Fault::Pass, LoseAnswer]);
    let rotated = app.send(ROTATE).await;
    assert_eq!(rotated.status, 200);
    assert_eq!(app.send(READ).await.outcome(), "404 session-not-found");
    assert_eq!(app.send(READ).id(rotated.header("Session-Id")).await.status, 200);
    assert_eq!(app.items().await.len(), 1);
}

/// Asserts that one session is left and that it is live under this id.
async fn assert_only_session(app: &App, id: &str) {
    assert_eq!(app.send(READ).id(id).await.status, 200);
    assert_eq!(app.items().await.len(), 1);
}

#[tokio::test]
async fn rotation_waits_for_a_transaction_in_progress() {
    let faulty = Faulty::with(unhurried).await;
    let app = &faulty.app;
    app.send(CREATE_WITH_ID).await;
    faulty.befall(&[Fault::Pass, IN_PROGRESS]);
    let started = Instant::now();
    let rotated = app.send(ROTATE).await;
    assert_eq!(rotated.status, 200);
    assert!(started.elapsed() >= Duration::from_millis(500));
    assert_only_session(app, rotated.header("Session-Id")).await;
}

#[tokio::test]
async fn rotation_retries_more_than_5_seconds_after_the_first_attempt() {
    let faulty = Faulty::with(unhurried).await;
    let app = &faulty.app;
    app.send(CREATE_WITH_ID).await;
    // DynamoDB recovers a stalled transaction when a retry comes 5 seconds after the first attempt.
    faulty.befall(&[Fault::Pass, IN_PROGRESS, IN_PROGRESS, IN_PROGRESS, IN_PROGRESS]);
    let started = Instant::now();
    let rotated = app.send(ROTATE).await;
    assert_eq!(rotated.status, 200);
    assert!((5..8).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    assert_only_session(app, rotated.header("Session-Id")).await;
}

#[tokio::test]
async fn rotation_still_in_progress_at_the_deadline_is_unavailable() {
    let faulty = Faulty::with(unhurried).await;
    let app = &faulty.app;
    app.send(CREATE_WITH_ID).await;
    faulty.befall(&[Fault::Pass, IN_PROGRESS, IN_PROGRESS, IN_PROGRESS, IN_PROGRESS]);
    let hurried = app.clone().with_time(Duration::from_secs(2));
    assert_eq!(hurried.send(ROTATE).await.outcome(), "503 store-unavailable");
    faulty.befall(&[]);
    assert_only_session(app, EVENTS_ID).await;
}

#[tokio::test]
async fn rotation_repeats_its_token_until_it_learns_the_outcome() {
    let faulty = Faulty::with(unhurried).await;
    let app = &faulty.app;
    app.send(CREATE_WITH_ID).await;
    faulty.seen.lock().unwrap().clear();
    faulty.befall(&[Fault::Pass, LoseAnswer, IN_PROGRESS]);
    let rotated = app.send(ROTATE).await;
    assert_eq!(rotated.status, 200);
    let [_, attempts @ ..] = &std::mem::take(&mut *faulty.seen.lock().unwrap())[..] else {
        panic!("no attempts");
    };
    assert_eq!(attempts.len(), 3);
    assert!(attempts.iter().all(|attempt| *attempt == attempts[0]), "{attempts:?}");
    let token = attempts[0]["ClientRequestToken"].as_str().unwrap();
    assert!((1..=36).contains(&token.len()), "{token}");
    assert_only_session(app, rotated.header("Session-Id")).await;

    let id = rotated.header("Session-Id");
    assert_eq!(app.send(ROTATE).id(id).await.status, 200);
    let next = faulty.seen.lock().unwrap().pop().unwrap();
    assert_ne!(next["ClientRequestToken"], token, "one token for each transaction");
}

#[tokio::test]
async fn transaction_attempts_time_out_later_than_others() {
    let faulty = Faulty::new().await;
    let app = &faulty.app;
    app.send(CREATE_WITH_ID).await;
    for (faults, status, attempts, limits) in [
        (&[Fault::Pass, Hang][..], 200, 2, 1_500..2_500),
        (&[Fault::Pass, Hang, Hang, Hang], 503, 3, 4_500..5_500),
    ] {
        let id = app.session().await;
        faulty.befall(faults);
        app.take_calls();
        let started = Instant::now();
        assert_eq!(app.send(ROTATE).id(&id).await.status, status);
        assert!(limits.contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
        assert_eq!(count(&app.take_calls(), "TransactWriteItems"), attempts);
    }
}

#[tokio::test]
async fn a_lock_whose_answer_was_lost_is_taken() {
    let faulty = Faulty::with(unhurried).await;
    let app = &faulty.app;
    app.send(CREATE_WITH_ID).await;
    faulty.befall(&[LoseAnswer]);
    let locked = app.send(LOCK).await;
    assert_eq!(locked.body, br#"{"cart":["apple"]}"#);
    let put = app.send(REPLACE).header("session-lock", locked.header("Session-Lock"));
    assert_eq!(put.await.status, 204);
}

#[tokio::test]
async fn revoke_all_looks_a_second_time_for_what_the_index_did_not_have_yet() {
    let faulty = Faulty::with(unhurried).await;
    let app = &faulty.app;
    app.send(CREATE_WITH_ID).await;
    faulty.befall(&[Fault::Answer(r#"{"Items":[],"Count":0,"ScannedCount":0}"#)]);
    assert_eq!(app.send(REVOKE_ALL).await.body, br#"{"destroyed":1}"#);
    assert_eq!(app.send(READ).await.status, 404);
}

#[tokio::test]
async fn a_store_that_is_not_there_is_unavailable() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = harness::config("sessions", &format!("http://{nowhere}"));
    let app = App::over(store::settings(&config.aws), config);
    for event in ALL {
        assert_eq!(app.send(event).await.outcome(), "503 store-unavailable");
    }
}

#[tokio::test]
async fn the_answer_is_there_before_the_functions_time_is_up() {
    let faulty = Faulty::new().await;
    let app = faulty.app.clone().with_time(Duration::from_millis(300));
    for event in ALL {
        faulty.befall(&[Hang; 10]);
        assert_eq!(app.send(event).await.outcome(), "503 store-unavailable");
    }
}
