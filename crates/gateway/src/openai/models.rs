//! `GET /v1/models`: the models for recordings that the servers have.

use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error::ApiError;
use crate::recordings;
use crate::shared::Shared;
use crate::triton::{Model, Role};

pub(super) async fn list(State(shared): State<Shared>) -> Result<Response, ApiError> {
    let models = shared.pool.models();
    if models.is_empty() {
        return Err(ApiError::no_server("no Triton server is ready"));
    }
    let whole = models.values().filter(|model| model.role != Role::Stream);
    let data: Vec<_> = whole.map(object).collect();
    Ok(json_response(&json!({"object": "list", "data": data})))
}

pub(super) async fn one(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let models = shared.pool.models();
    let model = models.get(&id).filter(|model| model.role != Role::Stream);
    let model = model.ok_or_else(|| ApiError::no_model(&id, &recordings::names(&models)))?;
    Ok(json_response(&object(model)))
}

fn object(model: &Model) -> Value {
    // When it was made nobody knows.
    json!({"id": model.name, "object": "model", "created": 0, "owned_by": "triton-funasr"})
}

fn json_response(value: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
