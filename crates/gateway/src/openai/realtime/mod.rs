//! OpenAI's realtime API as far as it transcribes: `/v1/realtime?intent=transcription`.
//!
//! The events are those of OpenAI's public clients, of the API as it is now, and as it was in its beta.

mod events;
mod g711;
mod hearing;
mod session;
mod settings;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};

use self::settings::Dialect;
use super::error::ApiError;
use crate::gate::Caller;
use crate::shared::Shared;
use crate::socket;

/// The protocol's name, for browsers, which have to name one.
const PROTOCOL: &str = "realtime";

/// The route, for those whose key was looked at.
pub(super) fn route() -> Router<Shared> {
    Router::new().route("/v1/realtime", axum::routing::any(connect))
}

async fn connect(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let mut response = begin(&shared, &caller, &headers, &uri, upgrade);
    response.extensions_mut().insert(caller);
    response
}

fn begin(
    shared: &Shared,
    caller: &Caller,
    headers: &HeaderMap,
    uri: &Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        let message = "here is a WebSocket in OpenAI's realtime protocol";
        return ApiError::form(StatusCode::UPGRADE_REQUIRED, message).into_response();
    };
    if parameter(uri, "intent").is_some_and(|intent| intent != "transcription") {
        let message = "sessions here are for transcription: /v1/realtime?intent=transcription";
        return ApiError::invalid("intent", message).into_response();
    }
    let says = |header: &str, word: &str| {
        let value = headers.get(header).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.contains(word))
    };
    // A browser can name protocols alone.
    let is_beta = says("openai-beta", "realtime=v1")
        || says("sec-websocket-protocol", "openai-beta.realtime-v1");
    let dialect = match is_beta {
        true => Dialect::Beta,
        false => Dialect::Current,
    };
    let own = Shared::clone(shared);
    socket::accept(upgrade, shared, caller, PROTOCOL, async move |socket| {
        session::serve(socket, &own, dialect).await;
    })
}

fn parameter<'u>(uri: &'u Uri, name: &str) -> Option<&'u str> {
    let mut all = uri.query().unwrap_or_default().split('&');
    all.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}
