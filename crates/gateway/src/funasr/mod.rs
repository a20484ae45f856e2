//! FunASR's WebSocket protocol: `offline`, `online` and `2pass`, as its Python and HTML clients speak it. Described in FunASR's
//! `runtime/docs/websocket_protocol.md`.

mod results;
mod session;
mod utterance;
mod wishes;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};

use crate::gate::{self, Api, Peer};
use crate::openai::error::ApiError;
use crate::shared::Shared;
use crate::socket;

/// `/`, where FunASR's clients connect to.
pub(crate) fn routes(shared: &Shared) -> Router {
    Router::new()
        .route("/", any(connect))
        .layer(from_fn_with_state(
            (shared.clone(), Api("funasr")),
            gate::note,
        ))
        .with_state(shared.clone())
}

async fn connect(
    State(shared): State<Shared>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        let message = "here is a WebSocket in FunASR's protocol; OpenAI's API is at /v1";
        return ApiError::form(StatusCode::NOT_FOUND, message).into_response();
    };
    let peer = peer.map(|Extension(peer)| peer);
    let Some(caller) = gate::caller(&shared, &headers, &uri, peer) else {
        shared.metrics.refused.with_label_values(&["key"]).inc();
        return ApiError::unauthorized().into_response();
    };
    let own = Shared::clone(&shared);
    socket::accept(upgrade, &shared, &caller, "binary", async move |socket| {
        session::serve(socket, &own).await;
    })
}
