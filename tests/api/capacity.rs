//! Consumed capacity: operations consume as many read and write units as docs/deploy.md says.

use ring::rand::{SecureRandom as _, SystemRandom};
use tracing::level_filters::LevelFilter;

use crate::harness::{
    App, CREATE, DESTROY, HEAD, LIST, LOCK, Log, PATCH, READ, REPLACE, ROTATE, Request, TOUCH,
    UNLOCK,
};

/// Generates incompressible JSON, so that the item is slightly larger than `bytes`.
fn json(bytes: usize) -> Vec<u8> {
    let mut random = vec![0; bytes];
    SystemRandom::new().fill(&mut random).unwrap();
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{{\"random\":\"{hex}\"}}").into_bytes()
}

#[tokio::test]
async fn operations_consume_the_documented_units() {
    let (log, _guard) = Log::capture(LevelFilter::INFO);
    let app = App::new().await;
    let consumed = async |request: Request| {
        let response = request.await;
        assert!(response.status < 300, "{response:?}");
        (log.lines().last().unwrap()["capacity"].as_f64().unwrap(), response)
    };
    // Each item's size is given in KB, rounded up the way DynamoDB does.
    for (bytes, kilobytes) in [(500, 1.0), (9_000, 10.0)] {
        let data = json(bytes);
        let reads = f64::ceil(kilobytes / 4.0);
        let create = || app.send(CREATE).without("session-user").body(&data);

        let (units, created) = consumed(create()).await;
        assert_eq!(units, kilobytes, "create");
        let id = created.header("Session-Id").to_owned();
        for event in [READ, HEAD] {
            assert_eq!(consumed(app.send(event).id(&id)).await.0, reads, "{event}");
        }
        let (units, locked) = consumed(app.send(LOCK).id(&id)).await;
        assert_eq!(units, kilobytes, "lock");
        let token = locked.header("Session-Lock").to_owned();
        let unlock = app.send(UNLOCK).id(&id).header("session-unlock", &token);
        assert_eq!(consumed(unlock).await.0, kilobytes, "unlock");
        let replace = app.send(REPLACE).id(&id).body(&data);
        assert_eq!(consumed(replace).await.0, kilobytes, "replace");
        assert_eq!(consumed(app.send(TOUCH).id(&id)).await.0, kilobytes, "touch");
        assert_eq!(consumed(app.send(PATCH).id(&id)).await.0, reads + kilobytes, "patch");
        let (units, rotated) = consumed(app.send(ROTATE).id(&id)).await;
        assert_eq!(units, reads + 4.0 * kilobytes, "rotate");
        let destroy = app.send(DESTROY).id(rotated.header("Session-Id"));
        assert_eq!(consumed(destroy).await.0, kilobytes, "destroy");

        let owned = create().header("session-user", "grace");
        let (units, created) = consumed(owned).await;
        assert_eq!(units, kilobytes + 1.0, "create with a user");
        let list = app.send(LIST).without("session-id").header("session-user", "grace");
        assert_eq!(consumed(list).await.0, 0.5 + reads, "list");
        let destroy = app.send(DESTROY).id(created.header("Session-Id"));
        assert_eq!(consumed(destroy).await.0, kilobytes + 1.0, "destroy with a user");
    }
}
