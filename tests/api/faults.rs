//! DynamoDB and network faults: the API retries, or reports that the store is unavailable.

use std::time::{Duration, Instant};

use tracing::level_filters::LevelFilter;

use crate::harness::Fault::{
    Bare, Cancel, Disconnect, Fail, Garbage, Hang, Hold, LoseResponse, Pass, Respond,
};
use crate::harness::{
    App, CREATE, CREATE_WITH_ID, DESTROY, EXAMPLE_ID, Fault, FaultProxy, HEAD, LOCK, Log, READ,
    REPLACE, REVOKE_ALL, ROTATE, TOUCH, Timeouts, count, every_request, new_id,
};

const THROTTLE: Fault = Fail(400, "ProvisionedThroughputExceededException");
const IN_PROGRESS: Fault = Fail(400, "TransactionInProgressException");

#[tokio::test]
async fn retried_writes_recognize_their_own_first_attempt() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.app;
    proxy.inject(&[LoseResponse]);
    let created = app.send(CREATE).await;
    assert_eq!(created.status, 201);
    // Repeating a creation could undo a logout, so the API looks for the session instead.
    assert_eq!(app.take_calls(), ["PutItem", "GetItem"]);
    let read = app.send(READ).id(created.header("Session-Id")).await;
    assert_eq!(read.header("ETag"), created.header("ETag"));

    proxy.inject(&[LoseResponse]);
    assert_eq!(app.send(CREATE_WITH_ID).await.status, 201);
    assert_eq!(app.send(CREATE_WITH_ID).await.outcome(), "412 session-exists");

    let old = app.send(READ).await.header("ETag").to_owned();
    proxy.inject(&[LoseResponse]);
    app.take_calls();
    let replaced = app.send(REPLACE).header("if-match", &old).await;
    assert_eq!(replaced.status, 204);
    assert_eq!(app.take_calls(), ["UpdateItem", "UpdateItem"]);
    assert_eq!(app.send(READ).await.header("ETag"), replaced.header("ETag"));

    proxy.inject(&[LoseResponse]);
    assert_eq!(app.send(TOUCH).await.status, 204);
    proxy.inject(&[LoseResponse]);
    let etag = replaced.header("ETag");
    assert_eq!(app.send(DESTROY).header("if-match", etag).await.status, 204);
}

/// Starts a proxy for this fault: only production's time limits end a `Hang`, and other faults must not hit a time
/// limit by accident.
async fn proxy_for(fault: Fault) -> FaultProxy {
    match fault {
        Hang => FaultProxy::start(Timeouts::Production).await,
        _ => FaultProxy::start(Timeouts::Long).await,
    }
}

#[tokio::test]
async fn single_faults_are_retried() {
    for fault in [Disconnect, Hang, THROTTLE, Fail(500, "InternalServerError"), Fail(503, "-")] {
        let proxy = proxy_for(fault).await;
        let app = &proxy.app;
        app.send(CREATE_WITH_ID).await;
        for event in [READ, HEAD, REPLACE, TOUCH, DESTROY] {
            proxy.inject(&[fault]);
            app.take_calls();
            assert!(app.send(event).await.status < 300, "{fault:?}");
            assert_eq!(app.take_calls().len(), 2, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn creations_are_repeated_only_if_the_first_was_not_applied() {
    for fault in [THROTTLE, Fail(400, "TransactionConflictException")] {
        let proxy = proxy_for(fault).await;
        let app = &proxy.app;
        for event in [CREATE, CREATE_WITH_ID] {
            proxy.inject(&[fault]);
            app.take_calls();
            assert_eq!(app.send(event).await.status, 201, "{fault:?}");
            assert_eq!(app.take_calls(), ["PutItem", "PutItem"], "{fault:?}");
        }
    }
    for fault in [Disconnect, Hang, Garbage, Fail(500, "InternalServerError"), Fail(503, "-")] {
        let proxy = proxy_for(fault).await;
        let app = &proxy.app;
        proxy.inject(&[fault]);
        assert_eq!(app.send(CREATE_WITH_ID).await.outcome(), "503 store-unavailable", "{fault:?}");
        assert_eq!(app.take_calls(), ["PutItem", "GetItem"], "{fault:?}");
        proxy.inject(&[fault]);
        let created = app.send(CREATE).await;
        assert_eq!(created.status, 201, "it's always safe to try another id: {fault:?}");
        assert_eq!(app.take_calls(), ["PutItem", "GetItem", "PutItem"], "{fault:?}");
        assert_eq!(app.items().await.len(), 1);
    }
}

#[tokio::test]
async fn store_failures_never_look_like_missing_sessions() {
    for (fault, outcome) in [
        (Disconnect, "503 store-unavailable"),
        (Hang, "503 store-unavailable"),
        (Fail(500, "InternalServerError"), "503 store-unavailable"),
        (Fail(503, "ServiceUnavailable"), "503 store-unavailable"),
        (THROTTLE, "503 store-throttled"),
        (Fail(400, "ThrottlingException"), "503 store-throttled"),
        (Fail(400, "RequestLimitExceeded"), "503 store-throttled"),
        (Fail(400, "TransactionConflictException"), "503 store-throttled"),
        (IN_PROGRESS, "503 store-unavailable"),
        (Fail(400, "AccessDeniedException"), "500 internal"),
        (Fail(400, "ResourceNotFoundException"), "500 internal"),
        (Fail(400, "ValidationException"), "500 internal"),
        (Fail(400, "LimitExceededException"), "503 store-throttled"),
        (Fail(400, "RequestTimeout"), "503 store-unavailable"),
        (Fail(400, "RequestTimeoutException"), "503 store-unavailable"),
        (Fail(408, "-"), "503 store-unavailable"),
        (Fail(429, "-"), "503 store-throttled"),
        (Bare(408), "503 store-unavailable"),
        (Bare(429), "503 store-throttled"),
        (Bare(503), "503 store-unavailable"),
        (Bare(400), "500 internal"),
        (Garbage, "503 store-unavailable"),
        (Respond(""), "503 store-unavailable"),
        (Respond("{}"), "503 store-unavailable"),
    ] {
        let proxy = proxy_for(fault).await;
        for event in every_request() {
            proxy.inject(&[fault; 10]);
            proxy.app.take_calls();
            assert_eq!(proxy.app.send(event).await.outcome(), outcome, "{fault:?} {event}");
            if matches!(fault, Hang) {
                let calls = proxy.app.take_calls();
                let attempts = calls.iter().filter(|call| *call != "PutItem").count();
                assert_eq!(attempts, 3, "attempts before the deadline: {calls:?}");
                let creations = usize::from(event.0 == CREATE.0 || event == CREATE_WITH_ID);
                assert_eq!(count(&calls, "PutItem"), creations);
            }
        }
    }
}

#[tokio::test]
async fn canceled_rotations_are_retried_if_their_reason_is_temporary() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.app;
    app.send(CREATE_WITH_ID).await;
    for (reason, attempts, outcome) in [
        ("TransactionConflict", 3, "503 store-throttled"),
        ("ThrottlingError", 3, "503 store-throttled"),
        ("ProvisionedThroughputExceeded", 3, "503 store-throttled"),
        ("ValidationError", 1, "500 internal"),
        ("ItemCollectionSizeLimitExceeded", 1, "500 internal"),
        ("UnknownReason", 1, "500 internal"),
    ] {
        // This isn't a refusal, even if a condition also wasn't met.
        for first in ["None", "ConditionalCheckFailed"] {
            let cancel = Cancel([first, reason]);
            proxy.inject(&[Pass, cancel, cancel, cancel]);
            app.take_calls();
            assert_eq!(app.send(ROTATE).await.outcome(), outcome, "{first}, {reason}");
            let transactions = count(&app.take_calls(), "TransactWriteItems");
            assert_eq!(transactions, attempts, "{first}, {reason}");
        }
    }
    proxy.inject(&[]);
    assert_only_session(app, EXAMPLE_ID).await;
}

#[tokio::test]
async fn rotations_that_fail_both_conditions_are_refused() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.direct;
    let (old, new) = (app.create_session().await, new_id());
    let rotate = proxy.app.send(ROTATE).id(&old).header("session-new-id", &new);
    let meanwhile = async {
        assert_eq!(app.send(DESTROY).id(&old).await.status, 204);
        assert_eq!(app.send(CREATE_WITH_ID).id(&new).await.status, 201);
    };
    let response = proxy.send_around(rotate, &[Pass, Hold], meanwhile).await;
    assert_eq!(response.outcome(), "412 session-exists");
}

#[tokio::test]
async fn revoke_all_continues_after_a_throttled_deletion() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    for _ in 0..2 {
        proxy.app.create_session().await;
    }
    // The query, one deletion, and all attempts at the other.
    proxy.inject(&[Pass, Pass, THROTTLE, THROTTLE, THROTTLE]);
    assert_eq!(proxy.app.send(REVOKE_ALL).await.body, br#"{"destroyed":2}"#);
    assert!(proxy.direct.items().await.is_empty());
}

#[tokio::test]
async fn revoke_all_is_throttled_if_no_deletion_succeeds() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    proxy.app.create_session().await;
    proxy.inject(&[Pass, THROTTLE, THROTTLE, THROTTLE]);
    assert_eq!(proxy.app.send(REVOKE_ALL).await.outcome(), "503 store-throttled");
}

#[tokio::test]
async fn revoke_all_succeeds_when_retried_after_a_lost_response_and_throttling() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    proxy.app.create_session().await;
    proxy.inject(&[Pass, LoseResponse, THROTTLE, THROTTLE]);
    assert_eq!(proxy.app.send(REVOKE_ALL).await.outcome(), "503 store-throttled");
    assert!(proxy.direct.items().await.is_empty());
    assert_eq!(proxy.app.send(REVOKE_ALL).await.body, br#"{"destroyed":0}"#);
}

#[tokio::test]
async fn log_counts_retries() {
    let (log, _guard) = Log::capture(LevelFilter::INFO);
    let proxy = FaultProxy::start(Timeouts::Long).await;
    proxy.app.send(CREATE_WITH_ID).await;
    proxy.inject(&[Disconnect, THROTTLE]);
    assert_eq!(proxy.app.send(REPLACE).await.status, 204);
    let retries: Vec<_> = log.lines().iter().map(|line| line["retries"].as_u64()).collect();
    assert_eq!(retries, [Some(0), Some(2)]);
}

#[tokio::test]
async fn reads_are_consistent_and_head_does_not_fetch_data() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    proxy.app.send(CREATE_WITH_ID).await;
    for event in [READ, HEAD] {
        proxy.app.send(event).await;
        let parameters = proxy.take_parameters().pop().unwrap();
        assert_eq!(parameters["ConsistentRead"], true);
        assert_eq!(parameters["ProjectionExpression"].is_string(), event == HEAD);
        assert!(!parameters.to_string().contains("\"data\""));
    }
}

#[tokio::test]
async fn lock_polls_are_consistent_and_do_not_fetch_data() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.app;
    app.send(CREATE_WITH_ID).await;
    app.send(LOCK).await;
    assert_eq!(app.send(LOCK).header("session-wait", "1").await.status, 423);
    let poll = proxy.take_parameters().pop().unwrap();
    assert_eq!(poll["ConsistentRead"], true);
    assert_eq!(
        poll["ProjectionExpression"],
        "#created, #etag, #expires, #lock, #lock_until, #predecessor, #successor, #w0, #w1, #w2, #w3"
    );
}

#[tokio::test]
async fn writes_retry_on_transaction_conflict() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.app;
    app.send(CREATE_WITH_ID).await;
    for event in [REPLACE, TOUCH, LOCK] {
        proxy.inject(&[Fail(400, "TransactionConflictException")]);
        app.take_calls();
        assert!(app.send(event).await.status < 300);
        assert_eq!(app.take_calls(), ["UpdateItem", "UpdateItem"]);
    }
    proxy.inject(&[Fail(400, "TransactionConflictException")]);
    assert_eq!(app.send(DESTROY).await.status, 204);
    assert_eq!(app.take_calls(), ["DeleteItem", "DeleteItem"]);
}

#[tokio::test]
async fn interrupted_rotation_leaves_the_session_under_one_id() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.app;
    app.send(CREATE_WITH_ID).await;
    // To the table, this looks like a function that died between its two calls.
    proxy.inject(&[Pass, Disconnect, Disconnect, Disconnect]);
    assert_eq!(app.send(ROTATE).await.outcome(), "503 store-unavailable");
    assert_eq!(app.send(READ).await.status, 200);
    assert_eq!(app.items().await.len(), 1);
    // The transaction is committed but its response gets lost: the SDK retries it with the same token.
    proxy.inject(&[Pass, LoseResponse]);
    let rotated = app.send(ROTATE).await;
    assert_eq!(rotated.status, 200);
    assert_eq!(app.send(READ).await.outcome(), "404 session-not-found");
    assert_eq!(app.send(READ).id(rotated.header("Session-Id")).await.status, 200);
    assert_eq!(app.items().await.len(), 1);
}

/// Asserts that the table has exactly one session, and that it's live under this id.
async fn assert_only_session(app: &App, id: &str) {
    assert_eq!(app.send(READ).id(id).await.status, 200);
    assert_eq!(app.items().await.len(), 1);
}

#[tokio::test]
async fn rotation_waits_for_a_transaction_in_progress() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.app;
    app.send(CREATE_WITH_ID).await;
    proxy.inject(&[Pass, IN_PROGRESS]);
    let started = Instant::now();
    let rotated = app.send(ROTATE).await;
    assert_eq!(rotated.status, 200);
    assert!(started.elapsed() >= Duration::from_millis(500));
    assert_only_session(app, rotated.header("Session-Id")).await;
}

#[tokio::test]
async fn rotation_retries_more_than_5_seconds_after_the_first_attempt() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.app;
    app.send(CREATE_WITH_ID).await;
    // DynamoDB recovers a stalled transaction when a retry comes 5 seconds after the first attempt.
    proxy.inject(&[Pass, IN_PROGRESS, IN_PROGRESS, IN_PROGRESS, IN_PROGRESS]);
    let started = Instant::now();
    let rotated = app.send(ROTATE).await;
    assert_eq!(rotated.status, 200);
    assert!((5..8).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    assert_only_session(app, rotated.header("Session-Id")).await;
}

#[tokio::test]
async fn rotation_still_in_progress_at_the_deadline_is_unavailable() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.app;
    app.send(CREATE_WITH_ID).await;
    proxy.inject(&[Pass, IN_PROGRESS, IN_PROGRESS, IN_PROGRESS, IN_PROGRESS]);
    let limited = app.clone().with_time_limit(Duration::from_secs(2));
    assert_eq!(limited.send(ROTATE).await.outcome(), "503 store-unavailable");
    proxy.inject(&[]);
    assert_only_session(app, EXAMPLE_ID).await;
}

#[tokio::test]
async fn rotation_repeats_its_token_until_it_learns_the_outcome() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.app;
    app.send(CREATE_WITH_ID).await;
    proxy.take_parameters();
    proxy.inject(&[Pass, LoseResponse, IN_PROGRESS]);
    let rotated = app.send(ROTATE).await;
    assert_eq!(rotated.status, 200);
    let [_, attempts @ ..] = &proxy.take_parameters()[..] else {
        panic!("no attempts");
    };
    assert_eq!(attempts.len(), 3);
    assert!(attempts.iter().all(|attempt| *attempt == attempts[0]), "{attempts:?}");
    let token = attempts[0]["ClientRequestToken"].as_str().unwrap();
    assert!((1..=36).contains(&token.len()), "{token}");
    assert_only_session(app, rotated.header("Session-Id")).await;

    let id = rotated.header("Session-Id");
    assert_eq!(app.send(ROTATE).id(id).await.status, 200);
    let next = proxy.take_parameters().pop().unwrap();
    assert_ne!(next["ClientRequestToken"], token, "each transaction must have its own token");
}

#[tokio::test]
async fn transaction_attempts_time_out_later_than_others() {
    let proxy = FaultProxy::start(Timeouts::Production).await;
    let app = &proxy.app;
    app.send(CREATE_WITH_ID).await;
    for (faults, status, attempts, limits) in [
        (&[Pass, Hang][..], 200, 2, 1_500..2_500),
        (&[Pass, Hang, Hang, Hang], 503, 3, 4_500..5_500),
    ] {
        let id = app.create_session().await;
        proxy.inject(faults);
        app.take_calls();
        let started = Instant::now();
        assert_eq!(app.send(ROTATE).id(&id).await.status, status);
        assert!(limits.contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
        assert_eq!(count(&app.take_calls(), "TransactWriteItems"), attempts);
    }
}

#[tokio::test]
async fn lock_succeeds_when_its_response_is_lost() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.app;
    app.send(CREATE_WITH_ID).await;
    proxy.inject(&[LoseResponse]);
    let locked = app.send(LOCK).await;
    assert_eq!(locked.body, br#"{"cart":["apple"]}"#);
    let put = app.send(REPLACE).header("session-lock", locked.header("Session-Lock"));
    assert_eq!(put.await.status, 204);
}

#[tokio::test]
async fn poll_without_a_response_ends_the_wait_for_a_lock() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.app;
    app.send(CREATE_WITH_ID).await;
    assert_eq!(app.send(LOCK).await.status, 200);
    app.take_calls();
    proxy.inject(&[Pass, Hang]);
    let waited = app.send(LOCK).header("session-wait", "1").await;
    assert_eq!(waited.outcome(), "423 session-locked");
    assert_eq!(app.take_calls(), ["UpdateItem", "GetItem"]);
}

#[tokio::test]
async fn revoke_all_queries_a_lagging_index_until_it_finds_nothing() {
    let proxy = FaultProxy::start(Timeouts::Long).await;
    let app = &proxy.app;
    app.send(CREATE_WITH_ID).await;
    let empty =
        r#"{"Items":[],"Count":0,"ConsumedCapacity":{"TableName":"t","CapacityUnits":0.5}}"#;
    proxy.inject(&[Respond(empty)]);
    app.take_calls();
    assert_eq!(app.send(REVOKE_ALL).await.body, br#"{"destroyed":1}"#);
    let calls = app.take_calls();
    assert_eq!(calls[..4], ["Query", "Query", "DeleteItem", "Query"]);
    assert!(calls.len() >= 7, "it must find nothing for a second: {calls:?}");
    assert_eq!(app.send(READ).await.status, 404);
}

#[tokio::test]
async fn unreachable_store_is_unavailable() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let app = App::connect("sessions", &format!("http://{unused}"), Timeouts::Production);
    for event in every_request() {
        assert_eq!(app.send(event).await.outcome(), "503 store-unavailable");
    }
}

#[tokio::test]
async fn response_is_sent_before_the_function_times_out() {
    let proxy = FaultProxy::start(Timeouts::Production).await;
    let app = proxy.app.clone().with_time_limit(Duration::from_millis(300));
    for event in every_request() {
        proxy.inject(&[Hang; 10]);
        assert_eq!(app.send(event).await.outcome(), "503 store-unavailable");
    }
}
