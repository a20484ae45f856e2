//! What operators look at: health and metrics.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::metrics::Seen;
use crate::shared::Shared;

/// `/health/live` and `/health/ready`.
pub(crate) fn health(shared: &Shared) -> Router {
    Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(ready))
        .with_state(shared.clone())
}

/// `/metrics`.
pub(crate) fn metrics(shared: &Shared) -> Router {
    Router::new()
        .route("/metrics", get(figures))
        .with_state(shared.clone())
}

/// A balancer in front sends nothing more to a gateway that is stopping, or that has no server.
async fn ready(State(shared): State<Shared>) -> Response {
    let servers = shared.pool.servers();
    let ready = servers.iter().filter(|server| server.is_ready()).count();
    let status = match (shared.is_stopping(), ready) {
        (true, _) | (_, 0) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    (
        status,
        format!("{ready} of {} servers are ready\n", servers.len()),
    )
        .into_response()
}

async fn figures(State(shared): State<Shared>) -> Response {
    let seen = shared.pool.servers().iter().map(|server| Seen {
        address: &server.address,
        ready: server.is_ready(),
        outstanding: server.outstanding(),
    });
    let text = shared.metrics.text(seen);
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response()
}
