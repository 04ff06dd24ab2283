//! A browser that visits pages of an app and keeps its session cookie.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_sessions::session::Id;

/// A browser that visits an app.
pub(crate) struct Browser {
    app: Router,
    pub(crate) agent: &'static str,
    /// The cookie's value, which is the session's id.
    pub(crate) cookie: Option<String>,
}

/// What a browser gets.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) session: Value,
    pub(crate) error: String,
    /// What the response sets the cookie to; empty to delete it.
    pub(crate) set_cookie: Option<String>,
}

impl Browser {
    pub(crate) fn new(app: &Router) -> Self {
        Self { app: app.clone(), agent: "Firefox", cookie: None }
    }

    /// Visits a page that does these steps: arrays of a name and its parameters.
    pub(crate) async fn visit(&mut self, steps: Value) -> Page {
        let padded: Vec<Value> = steps
            .as_array()
            .unwrap()
            .iter()
            .map(|step| json!([step[0], step[1], step[2]]))
            .collect();
        let request = Request::post("/")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, self.agent)
            .header(
                header::COOKIE,
                self.cookie.iter().map(|id| format!("id={id}")).collect::<String>(),
            )
            .body(Body::from(json!(padded).to_string()))
            .unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let set_cookie = response.headers().get(header::SET_COOKIE).map(|cookie| {
            let (_, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            rest.split(';').next().unwrap().to_owned()
        });
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let page: Value = serde_json::from_slice(&body).unwrap_or_default();
        let error = page["error"].as_str().unwrap_or_default().to_owned();
        let page = Page { status, session: page["session"].clone(), error, set_cookie };
        if let Some(value) = &page.set_cookie {
            self.cookie = Some(value.clone()).filter(|value| !value.is_empty());
        }
        page
    }

    /// The session's id.
    pub(crate) fn id(&self) -> Id {
        self.cookie.as_ref().unwrap().parse().unwrap()
    }
}
