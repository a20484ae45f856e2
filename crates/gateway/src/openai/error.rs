//! Errors as OpenAI's API tells them: a status, and an object with message, type, parameter and code.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tonic::Code;

use crate::limits::Refusal;
use crate::triton::CallError;

/// An error of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    message: String,
    /// `invalid_request_error`, `rate_limit_error`, `server_error`.
    kind: &'static str,
    /// The form's field that is at fault.
    parameter: Option<&'static str>,
    code: Option<&'static str>,
    retry_after: Option<u64>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            kind,
            parameter: None,
            code: None,
            retry_after: None,
        }
    }

    /// What the client sent is wrong, in this field of the form.
    pub(crate) fn invalid(parameter: &'static str, message: impl Into<String>) -> Self {
        Self {
            parameter: Some(parameter),
            ..Self::new(StatusCode::BAD_REQUEST, INVALID, message)
        }
    }

    /// The form itself is wrong.
    pub(crate) fn form(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, INVALID, message)
    }

    /// No key, or a wrong one.
    pub(crate) fn unauthorized() -> Self {
        Self {
            code: Some("invalid_api_key"),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                INVALID,
                "this gateway wants one of its keys, as in the header Authorization: Bearer KEY; ask whoever runs it",
            )
        }
    }

    /// The model is not there.
    pub(crate) fn no_model(model: &str, there: &str) -> Self {
        Self {
            parameter: Some("model"),
            code: Some("model_not_found"),
            ..Self::new(
                StatusCode::NOT_FOUND,
                INVALID,
                format!("the model {model:?} is not there; models for recordings: {there}"),
            )
        }
    }

    /// No server is ready, or none has a model for recordings.
    pub(crate) fn no_server(message: impl Into<String>) -> Self {
        Self {
            code: Some("service_unavailable"),
            retry_after: Some(1),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, SERVER, message)
        }
    }

    /// The file is larger than files may be.
    pub(crate) fn too_large(megabytes: u32) -> Self {
        Self {
            parameter: Some("file"),
            code: Some("file_too_large"),
            ..Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                INVALID,
                format!(
                    "the file is larger than {megabytes} MB, which is this gateway's limit; send it compressed, as in FLAC or Opus, or in parts"
                ),
            )
        }
    }

    /// It took too long.
    pub(crate) fn late(seconds: u64) -> Self {
        Self {
            code: Some("timeout"),
            ..Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                SERVER,
                format!("no transcript within {seconds} s, which is this gateway's limit"),
            )
        }
    }

    /// The client left the gateway waiting.
    pub(crate) fn idle(seconds: u64) -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            INVALID,
            format!("nothing came for {seconds} s in the middle of the request"),
        )
    }

    /// Something that nobody asked for went wrong here.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, SERVER, message)
    }

    /// As in the body, and in a stream of events.
    pub(crate) fn to_json(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind,
            "param": self.parameter,
            "code": self.code,
        }})
    }
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self {
            code: Some("rate_limit_exceeded"),
            retry_after: Some(refusal.retry_after()),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limit_error",
                refusal.to_string(),
            )
        }
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        let message = error.to_string();
        match error {
            CallError::Refused { code, .. } => match code {
                Code::InvalidArgument => Self::form(StatusCode::BAD_REQUEST, message),
                Code::Unavailable | Code::ResourceExhausted => Self {
                    code: Some("overloaded"),
                    retry_after: Some(1),
                    ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message)
                },
                // It was there when it was chosen.
                Code::NotFound => Self::no_server(message),
                Code::DeadlineExceeded => Self::new(StatusCode::GATEWAY_TIMEOUT, SERVER, message),
                _ => Self::internal(message),
            },
            CallError::Gone { .. } | CallError::NoServer { .. } => Self::no_server(message),
            CallError::Answer { .. } => Self::new(StatusCode::BAD_GATEWAY, SERVER, message),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let content = (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        let mut response = (self.status, [content], self.to_json().to_string()).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_errors_have_the_fitting_status() {
        let status = |code| {
            let message = "no".to_owned();
            ApiError::from(CallError::Refused { code, message })
                .status
                .as_u16()
        };
        assert_eq!(status(Code::InvalidArgument), 400);
        assert_eq!(status(Code::Unavailable), 429);
        assert_eq!(status(Code::NotFound), 503);
        assert_eq!(status(Code::Internal), 500);
        let gone = CallError::Gone {
            server: "a:1".to_owned(),
            reason: "refused".to_owned(),
        };
        let error = ApiError::from(gone);
        assert_eq!(error.status.as_u16(), 503);
        assert_eq!(
            error.to_json()["error"]["message"],
            "the connection to a:1 broke: refused"
        );
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let response = ApiError::from(Refusal::CallersRate {
            limit: 30,
            seconds: 7,
        })
        .into_response();
        assert_eq!(response.status().as_u16(), 429);
        assert_eq!(response.headers()[header::RETRY_AFTER], "7");
        let body = ApiError::invalid("language", "no").to_json();
        let expected = json!({"error": {"message": "no", "type": "invalid_request_error", "param": "language", "code": null}});
        assert_eq!(body, expected);
    }
}
