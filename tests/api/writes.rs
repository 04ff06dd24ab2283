//! All writes that update a session, to test what they have in common.

use serde_json::Value;

use crate::harness::Fault::{self, Pass};
use crate::harness::{
    App, CREATE, Example, LOCK, PATCH, REPLACE, Request, Response, TOUCH, UNLOCK,
};

/// A write that updates a session.
#[derive(Clone, Copy)]
pub(crate) struct Update {
    pub(crate) name: &'static str,
    pub(crate) event: Example,
    /// The header that carries the lock's token, or an empty string if nobody holds the lock.
    pub(crate) token: &'static str,
}

const fn update(name: &'static str, event: Example, token: &'static str) -> Update {
    Update { name, event, token }
}

pub(crate) const UPDATES: [Update; 11] = [
    update("replace", REPLACE, ""),
    update("replace under the lock", REPLACE, "session-lock"),
    update("replace and unlock", REPLACE, "session-unlock"),
    update("patch", PATCH, ""),
    update("patch under the lock", PATCH, "session-lock"),
    update("patch and unlock", PATCH, "session-unlock"),
    update("touch", TOUCH, ""),
    update("touch and unlock", TOUCH, "session-unlock"),
    update("lock", LOCK, ""),
    update("renew", LOCK, "session-lock"),
    update("unlock", UNLOCK, "session-unlock"),
];

impl Update {
    pub(crate) fn changes_data(&self) -> bool {
        [REPLACE, PATCH].contains(&self.event)
    }

    /// Given the faults for its write, returns the faults for all of the request's calls.
    pub(crate) fn faults(&self, of_write: &[Fault]) -> Vec<Fault> {
        let before = if self.event == PATCH { &[Pass][..] } else { &[] };
        [before, of_write].concat()
    }
}

/// A session to write to.
pub(crate) struct Target {
    pub(crate) app: App,
    pub(crate) id: String,
    pub(crate) etag: String,
    /// The lock's token, or an empty string if nobody holds the lock.
    pub(crate) token: String,
}

impl Target {
    /// Creates a session, and locks it if the write sends a lock's token.
    pub(crate) async fn new(app: &App, update: &Update) -> Self {
        let created = app.send(CREATE).await;
        let id = created.header("Session-Id").to_owned();
        let token = if update.token.is_empty() {
            String::new()
        } else {
            app.send(LOCK).id(&id).await.header("Session-Lock").to_owned()
        };
        Self { app: app.clone(), id, etag: created.header("ETag").to_owned(), token }
    }

    /// Prepares the write to this session, to be sent through `app`.
    pub(crate) fn request(&self, app: &App, update: &Update) -> Request {
        let request = app.send(update.event).without("session-unlock").id(&self.id);
        match update.token {
            "" => request,
            header => request.header(header, &self.token),
        }
    }

    /// Writes to the session `count` times: to its data, or to its label if somebody holds the lock.
    pub(crate) async fn write_meanwhile(&self, count: u32) {
        for n in 0..count {
            let is_locked = self.item().await["lock"].is_object();
            let request = if is_locked {
                self.app.send(TOUCH).header("session-label", &format!("meanwhile-{n}"))
            } else {
                self.app.send(REPLACE).body(format!("{{\"meanwhile\":{n}}}").as_bytes())
            };
            assert_eq!(request.id(&self.id).await.status, 204);
        }
    }

    /// Returns the session's item.
    pub(crate) async fn item(&self) -> Value {
        self.app.item(&self.id).await.unwrap()
    }
}

/// Returns an item's write ids, newest first.
pub(crate) fn write_ids(item: &Value) -> [&str; 4] {
    ["w0", "w1", "w2", "w3"].map(|name| item[name]["S"].as_str().unwrap())
}

/// Returns a response's entity tag, if it has one.
pub(crate) fn etag(response: &Response) -> Option<&str> {
    response.header_names().contains(&"ETag").then(|| response.header("ETag"))
}
