//! `POST /v1/audio/transcriptions`.

use axum::Extension;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout_at};

use super::error::ApiError;
use super::events;
use super::form::{self, Bounds, Form};
use super::format::{Told, answer};
use super::unread::Unread;
use crate::gate::{self, Caller};
use crate::limits::Memory;
use crate::recordings::{self, Recording};
use crate::shared::{Common, Shared};
use crate::triton::Model;

pub(super) async fn transcriptions(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let deadline = Instant::now() + shared.options.timeout();
    let done = timeout_at(deadline, transcribe(&shared, &caller, request, deadline)).await;
    let mut response = match done {
        Ok(response) => response,
        Err(_) => ApiError::late(shared.options.timeout).into_response(),
    };
    response.extensions_mut().insert(caller);
    response
}

async fn transcribe(
    shared: &Shared,
    caller: &Caller,
    request: Request,
    deadline: Instant,
) -> Response {
    if let Err(error) = declared(shared, &request) {
        shared.metrics.refused.with_label_values(&["size"]).inc();
        return gate::refuse(request, error).await;
    }
    let admission = match shared.limits.request(&caller.0) {
        Ok(admission) => admission,
        Err(refusal) => return gate::refuse(request, refusal.into()).await,
    };
    let mut memory = shared.limits.memory();
    let form = match read(shared, request, &mut memory).await {
        Ok(form) => form,
        Err(error) => {
            if error.status == StatusCode::PAYLOAD_TOO_LARGE {
                shared.metrics.refused.with_label_values(&["size"]).inc();
            }
            return error.into_response();
        }
    };
    shared.metrics.audio_bytes.inc_by(form.file.len() as u64);
    let model = match model(shared, &form) {
        Ok(model) => model,
        Err(error) => return error.into_response(),
    };
    if form.stream {
        let parts = recordings::parts(&shared.pool, &model, recording(form)).await;
        return match parts {
            Ok(parts) => events::stream(parts, admission, deadline, shared.options.timeout),
            Err(error) => ApiError::from(error).into_response(),
        };
    }
    whole(shared, &model, form)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

/// Refuses a request that says itself that it is too large, before any of it is read.
fn declared(shared: &Common, request: &Request) -> Result<(), ApiError> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let largest = form::largest(&shared.options);
    match length {
        Some(length) if length > largest => Err(ApiError::too_large(shared.options.max_file_mb)),
        _ => Ok(()),
    }
}

async fn read(shared: &Shared, request: Request, memory: &mut Memory) -> Result<Form, ApiError> {
    let (request, unread) = Unread::of(request);
    let multipart = Multipart::from_request(request, &()).await;
    let multipart = multipart.map_err(|_| {
        let message =
            "the body is no form: send multipart/form-data with the field file, the audio";
        ApiError::form(StatusCode::BAD_REQUEST, message)
    })?;
    let options = &shared.options;
    let bounds = Bounds {
        file_megabytes: options.max_file_mb,
        file_bytes: options.max_file_bytes(),
        idle: options.idle_timeout(),
    };
    Form::read(multipart, bounds, memory, &unread).await
}

fn model(shared: &Common, form: &Form) -> Result<Model, ApiError> {
    let models = shared.pool.models();
    if models.is_empty() {
        return Err(ApiError::no_server("no Triton server is ready"));
    }
    let default = shared.options.default_model.as_deref();
    recordings::choose(&models, &form.model, default, form.stream)
        .ok_or_else(|| ApiError::no_model(&form.model, &recordings::names(&models)))
}

fn recording(form: Form) -> Recording {
    Recording {
        file: form.file,
        language: form.language,
        itn: form.itn,
        hotwords: form.prompt,
    }
}

async fn whole(shared: &Common, model: &Model, form: Form) -> Result<Response, ApiError> {
    let told = Told {
        format: form.format,
        words: form.words,
        segments: form.segments,
        language: form.language,
    };
    let heard = recordings::transcribe(&shared.pool, model, recording(form)).await?;
    answer(&heard, told)
}
