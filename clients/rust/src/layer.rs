use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode, header};
use tokio::runtime::Handle;
use tower_layer::Layer;
use tower_service::Service;

use crate::SessionApiStore;
use crate::request::{self, RequestState};

/// Layer that ties a [`SessionApiStore`] to the current request. At the end of the request, it ends the sessions that
/// the request deleted, releases the locks that it still holds, and limits the sessions of a user who logged in.
///
/// If ending or limiting sessions fails, the layer replaces the app's response with a 503. If the client disconnects,
/// a separate task does this work.
#[derive(Clone, Debug)]
pub struct SessionApiLayer {
    pub(crate) store: SessionApiStore,
}

impl<S> Layer<S> for SessionApiLayer {
    type Service = SessionApiService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionApiService { inner, store: self.store.clone() }
    }
}

/// Service made by [`SessionApiLayer`].
#[derive(Clone, Debug)]
pub struct SessionApiService<S> {
    inner: S,
    store: SessionApiStore,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for SessionApiService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone + Send + 'static,
    S::Future: Send,
    RequestBody: Send + 'static,
    ResponseBody: Default + Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        // This service is the one that's ready, not its clone.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let state = self.store.begin(request.headers());
        let unfinished = Unfinished { store: self.store.clone(), state: Arc::clone(&state) };
        Box::pin(request::scope(state, async move {
            let mut response = inner.call(request).await?;
            let Unfinished { store, state } = &unfinished;
            let mut failure = Response::<ResponseBody>::default();
            *failure.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            if let Err(error) = store.finish(state).await {
                tracing::error!(%error, "a session was not ended");
                state.give_up();
                return Ok(failure);
            }
            state.drop_dead_cookies(response.headers_mut());
            if let Err(error) = store.limit_sessions(state).await {
                tracing::error!(%error, "a user's sessions were not limited");
                // The user is logged in nevertheless, so keep the cookies.
                for cookie in response.headers().get_all(header::SET_COOKIE) {
                    failure.headers_mut().append(header::SET_COOKIE, cookie.clone());
                }
                return Ok(failure);
            }
            Ok(response)
        }))
    }
}

/// Finishes the layer's work in a separate task if the request is dropped.
struct Unfinished {
    store: SessionApiStore,
    state: Arc<RequestState>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.state.end();
        if self.state.is_finished() {
            return;
        }
        let (store, state) = (self.store.clone(), Arc::clone(&self.state));
        // Without a runtime, the process is about to exit, and the sessions stay until they expire.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = store.finish(&state).await {
                    tracing::error!(%error, "a session was not ended");
                }
                if let Err(error) = store.limit_sessions(&state).await {
                    tracing::error!(%error, "a user's sessions were not limited");
                }
            });
        }
    }
}
