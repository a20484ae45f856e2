//! OpenAI's API, as far as it makes text of audio: `/v1/audio/transcriptions`, `/v1/models`, and `/v1/realtime`.

pub(crate) mod error;
mod events;
mod form;
mod format;
mod models;
mod realtime;
mod transcription;
mod unread;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use self::error::ApiError;
use crate::gate::{self, Api};
use crate::shared::Shared;

/// The routes.
pub(crate) fn routes(shared: &Shared) -> Router {
    let noted = |api| from_fn_with_state((shared.clone(), Api(api)), gate::note);
    let guarded = || from_fn_with_state(shared.clone(), gate::authenticate);
    let largest = form::largest(&shared.options);
    let transcriptions = Router::new()
        .route(
            "/v1/audio/transcriptions",
            post(transcription::transcriptions),
        )
        .layer(DefaultBodyLimit::max(largest))
        .layer(guarded())
        .layer(noted("transcriptions"));
    let models = Router::new()
        .route("/v1/models", get(models::list))
        .route("/v1/models/{id}", get(models::one))
        .layer(guarded())
        .layer(noted("models"));
    let realtime = realtime::route().layer(guarded()).layer(noted("realtime"));
    let nothing = Router::new().fallback(nowhere).layer(noted("other"));
    transcriptions
        .merge(models)
        .merge(realtime)
        .layer(map_response(wrong_method))
        .with_state(shared.clone())
        .fallback_service(nothing)
}

async fn nowhere() -> ApiError {
    ApiError::form(
        StatusCode::NOT_FOUND,
        "there is nothing here; this gateway has POST /v1/audio/transcriptions and GET /v1/models",
    )
}

/// An answer without a body gets one that OpenAI's clients can read.
async fn wrong_method(response: Response) -> Response {
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let message =
        "this address takes another method: POST /v1/audio/transcriptions, GET /v1/models";
    let error = ApiError::form(StatusCode::METHOD_NOT_ALLOWED, message);
    let mut told = error.into_response();
    if let Some(allow) = response.headers().get(axum::http::header::ALLOW) {
        told.headers_mut()
            .insert(axum::http::header::ALLOW, allow.clone());
    }
    told
}
