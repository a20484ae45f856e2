//! Errors: ours, the server's, and the one place where they turn into each other.

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int};

use crate::excerpt::{excerpt, shape_excerpt};
use crate::sys;

/// Triton's error codes. They decide the HTTP status and the gRPC code a client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorCode {
    /// Nothing better is known.
    Unknown,
    /// The server's or the backend's own fault.
    Internal,
    /// A model, file or tensor does not exist.
    NotFound,
    /// The client's or the config's fault.
    InvalidArgument,
    /// Not now; a later try may succeed.
    Unavailable,
    /// Not offered by this build, server or machine.
    Unsupported,
    /// Something of that name is there already.
    AlreadyExists,
    /// The client took the request back.
    Cancelled,
}

impl ErrorCode {
    pub(crate) fn to_raw(self) -> c_int {
        match self {
            Self::Unknown => 0,
            Self::Internal => 1,
            Self::NotFound => 2,
            Self::InvalidArgument => 3,
            Self::Unavailable => 4,
            Self::Unsupported => 5,
            Self::AlreadyExists => 6,
            Self::Cancelled => 7,
        }
    }

    pub(crate) fn from_raw(raw: c_int) -> Self {
        match raw {
            1 => Self::Internal,
            2 => Self::NotFound,
            3 => Self::InvalidArgument,
            4 => Self::Unavailable,
            5 => Self::Unsupported,
            6 => Self::AlreadyExists,
            7 => Self::Cancelled,
            _ => Self::Unknown,
        }
    }
}

/// What can go wrong in a backend. One request's error is that request's answer; an error while a model loads is why it
/// does not.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request lacks an input.
    #[error("input '{name}' is missing")]
    MissingInput {
        /// The input's name in the model config.
        name: String,
    },
    /// An input has another data type than the backend reads.
    #[error("input '{name}' has data type {got}, expected {expected}")]
    DataType {
        /// The input's name.
        name: String,
        /// The request's data type.
        got: crate::DataType,
        /// The data type the backend reads.
        expected: crate::DataType,
    },
    /// An input's shape does not fit.
    #[error("input '{name}' has shape {}, expected {expected}", shape_excerpt(got))]
    Shape {
        /// The input's name.
        name: String,
        /// The request's shape, batch dimension included.
        got: Vec<i64>,
        /// What would have been right, in words.
        expected: String,
    },
    /// An input's values do not fit, or its bytes are not what its shape says.
    #[error("input '{name}': {message}")]
    Input {
        /// The input's name.
        name: String,
        /// What was given and what is expected.
        message: String,
    },
    /// A parameter of the model config is missing or has a value that cannot be used.
    #[error("parameter '{name}': {message}")]
    Parameter {
        /// The parameter's key.
        name: String,
        /// What was given and what is expected.
        message: String,
    },
    /// The model config has a form this backend cannot serve.
    #[error("model config: {0}")]
    Config(String),
    /// A call into the server failed.
    #[error("{message}")]
    Server {
        /// The server's code.
        code: ErrorCode,
        /// The server's words.
        message: String,
    },
    /// Anything else, with the code the client shall see.
    #[error("{message}")]
    Other {
        /// The code the client sees.
        code: ErrorCode,
        /// What went wrong and what to do.
        message: String,
        /// Why, in a word, for whoever counts errors.
        reason: Option<&'static str>,
    },
    /// The backend panicked; its message.
    #[error("the backend panicked: {0}")]
    Panic(String),
}

impl Error {
    /// An error of your own with a code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Other {
            code,
            message: message.into(),
            reason: None,
        }
    }

    /// The same error with a word that says why, for whoever counts errors.
    #[must_use]
    pub fn because(self, reason: &'static str) -> Self {
        Self::Other {
            code: self.code(),
            message: self.to_string(),
            reason: Some(reason),
        }
    }

    /// The word that says why, where there is one.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Other { reason, .. } => *reason,
            _ => None,
        }
    }

    /// The client's or the config's fault.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidArgument, message)
    }

    /// The backend's own fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    /// What a request is told that its client took back.
    pub fn cancelled() -> Self {
        Self::new(ErrorCode::Cancelled, "the client cancelled the request")
    }

    /// An input whose values or bytes do not fit.
    pub fn input(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Input {
            name: name.into(),
            message: message.into(),
        }
    }

    /// A parameter that is missing or cannot be used.
    pub fn parameter(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Parameter {
            name: name.into(),
            message: message.into(),
        }
    }

    /// The code the client sees.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::MissingInput { .. }
            | Self::DataType { .. }
            | Self::Shape { .. }
            | Self::Input { .. }
            | Self::Parameter { .. }
            | Self::Config(_) => ErrorCode::InvalidArgument,
            Self::Server { code, .. } | Self::Other { code, .. } => *code,
            Self::Panic(_) => ErrorCode::Internal,
        }
    }

    /// The same error with `context` in front of its message.
    pub fn context(self, context: impl std::fmt::Display) -> Self {
        Self::Other {
            code: self.code(),
            message: format!("{context}: {self}"),
            reason: self.reason(),
        }
    }

    /// The same error with `text` cut to an excerpt in its message: the server's own words repeat a client's text whole.
    pub(crate) fn with_excerpt_of(self, text: &str) -> Self {
        let Cow::Owned(short) = excerpt(text) else {
            return self;
        };
        Self::Other {
            code: self.code(),
            message: self.to_string().replace(text, &short),
            reason: self.reason(),
        }
    }

    /// Hands the error to the server, which then owns it.
    pub(crate) fn into_raw(self) -> sys::ErrorPtr {
        let message = c_string(self.to_string());
        // SAFETY: the message is NUL-terminated and copied by the server.
        unsafe { sys::TRITONSERVER_ErrorNew(self.code().to_raw(), message.as_ptr()) }
    }
}

/// A C string of `text`; a NUL inside would cut it short, so it is shown instead.
pub(crate) fn c_string(text: impl Into<String>) -> CString {
    let text: String = text.into();
    CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}

/// Takes what a Triton function returned; frees the error, if it is one.
///
/// # Safety
/// `error` is null or an error that the caller owns.
pub(crate) unsafe fn check(error: sys::ErrorPtr) -> Result<(), Error> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: not null and ours; the message lives as long as the error, which is not used after the delete.
    unsafe {
        let message = CStr::from_ptr(sys::TRITONSERVER_ErrorMessage(error))
            .to_string_lossy()
            .into_owned();
        let code = ErrorCode::from_raw(sys::TRITONSERVER_ErrorCode(error));
        sys::TRITONSERVER_ErrorDelete(error);
        Err(Error::Server { code, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_many_dimensions_are_cut() {
        let error = Error::Shape {
            name: "wav".to_owned(),
            got: vec![123_456; 3000],
            expected: "[rows, samples]".to_owned(),
        };
        let text = error.to_string();
        assert!(text.starts_with("input 'wav' has shape [123456, 123456, "));
        assert!(text.ends_with("…] (3000 dimensions), expected [rows, samples]"));
        assert!(text.len() < 120, "{text}");
    }

    #[test]
    fn a_clients_text_in_the_servers_words_is_cut() {
        let server = |id: &str| Error::Server {
            code: ErrorCode::InvalidArgument,
            message: format!("sequence {id} to model 'decoder' must specify START"),
        };
        let short = "x".repeat(100);
        assert!(
            server(&short)
                .with_excerpt_of(&short)
                .to_string()
                .contains(&short)
        );
        let long = "七".repeat(42);
        let error = server(&long).with_excerpt_of(&long);
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        let expected = format!(
            "sequence {}… to model 'decoder' must specify START",
            "七".repeat(32)
        );
        assert_eq!(error.to_string(), expected);
    }
}
