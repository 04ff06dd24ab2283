//! Function URLs: the routes of a page without API Gateway.

use serde_json::{Value, json};

use crate::harness::{
    App, CREATE_WITH_ID, EXAMPLE_ID, Example, LIST, READ, REVOKE_ALL, Request, routes,
};

async fn app() -> App {
    let app = App::new().await;
    assert_eq!(app.send(CREATE_WITH_ID).await.status, 201);
    app
}

#[tokio::test]
async fn urls_serve_the_routes_of_one_session_only() {
    for route in routes() {
        let app = app().await;
        let response = app.send(Example::plain(&route.key)).over_url().await;
        if route.is_of_users() {
            assert_eq!(response.outcome(), "404 route-not-found", "{}", route.key);
            assert_eq!(app.send(READ).await.status, 200, "{}", route.key);
        } else {
            let direct = self::app().await.send(Example::plain(&route.key)).await;
            assert_eq!(response.status, direct.status, "{}", route.key);
            assert_eq!(response.header_names(), direct.header_names(), "{}", route.key);
        }
    }
}

#[tokio::test]
async fn unknown_routes_are_told_those_of_the_url() {
    let response = app().await.send(LIST).over_url().await;
    let problem: Value = serde_json::from_slice(&response.body).unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("The routes are GET /session, HEAD /session. "), "{detail}");
}

#[tokio::test]
async fn callers_cannot_pass_a_url_for_the_gateway() {
    let app = app().await;
    let gateway = "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com";
    let request = |example| app.send(example).over_url();
    let path = |path: &'static str| {
        move |event: &mut Value| {
            event["rawPath"] = path.into();
            event["requestContext"]["http"]["path"] = path.into();
        }
    };
    let mut requests: Vec<Request> = vec![
        request(LIST).edit_event(|event| event["routeKey"] = "GET /sessions".into()),
        request(REVOKE_ALL).edit_event(|event| event["routeKey"] = "DELETE /sessions".into()),
        request(LIST).edit_event(|event| event["requestContext"]["stage"] = "prod".into()),
    ];
    for name in ["host", "x-forwarded-host", "forwarded", "x-amzn-apigateway-api-id", "via"] {
        requests.push(request(LIST).header(name, gateway));
    }
    for other in [
        "/sessions/",
        "//sessions",
        "/./sessions",
        "/session/../sessions",
        "/session/%2e%2e/sessions",
        "/%73essions",
        "/sessions?a=b",
        "/sessions#a",
        "/session%2f..%2fsessions",
        "/SESSIONS",
    ] {
        requests.push(request(LIST).edit_event(path(other)));
        requests.push(request(REVOKE_ALL).edit_event(path(other)));
    }
    for domain in [
        "0123456789abcdef.lambda-url.cn-north-1.on.amazonwebservices.com.cn",
        "0123456789abcdef.lambda-url.us-gov-west-1.on.aws",
    ] {
        requests.push(request(LIST).edit_event(|event| {
            event["requestContext"]["domainName"] = domain.into();
        }));
    }
    for request in requests {
        let response = request.await;
        assert_eq!(response.outcome(), "404 route-not-found", "{response:?}");
    }
    assert_eq!(app.send(READ).await.status, 200);
}

#[tokio::test]
async fn callers_cannot_pass_the_gateway_for_a_url() {
    let url = "0123456789abcdef.lambda-url.eu-central-1.on.aws";
    for name in ["host", "x-forwarded-host", "forwarded"] {
        let listed = app().await.send(LIST).header(name, url).await;
        let sessions: Value = serde_json::from_slice(&listed.body).unwrap();
        assert_eq!(sessions[0]["current"], json!(true), "{name}: {EXAMPLE_ID}");
    }
}
