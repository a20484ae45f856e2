//! What can become of a call to a server.

use tonic::{Code, Status};

/// Why a call has no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CallError {
    /// The server answered that something is wrong.
    #[error("{message}")]
    Refused {
        /// Whose fault it is.
        code: Code,
        /// The server's words.
        message: String,
    },
    /// The connection broke, or there never was one: the server has gone, or is going.
    #[error("the connection to {server} broke: {reason}")]
    Gone {
        /// Its address.
        server: String,
        /// What is known of it.
        reason: String,
    },
    /// No server that is ready has the model.
    #[error("no Triton server that is ready has the model {model}")]
    NoServer {
        /// Its name.
        model: String,
    },
    /// The answer is not what the model's config says.
    #[error("the answer of {model} has no {output}")]
    Answer {
        /// The model's name.
        model: String,
        /// What is missing.
        output: String,
    },
}

impl CallError {
    /// From what the transport says. A status that a server sent has no cause on this side; one that was made here of a broken
    /// connection has.
    pub(super) fn of(server: &str, status: &Status) -> Self {
        use std::error::Error as _;
        let Some(mut cause) = status.source() else {
            return Self::Refused {
                code: status.code(),
                message: status.message().to_owned(),
            };
        };
        // The innermost cause says most, as in "connection refused".
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Self::Gone {
            server: server.to_owned(),
            reason: cause.to_string(),
        }
    }

    /// Whether another server might do what this one did not.
    pub(super) fn is_worth_another(&self) -> bool {
        match self {
            Self::Gone { .. } => true,
            // A server that is stopping has no models any more.
            Self::Refused { code, .. } => matches!(code, Code::Unavailable | Code::NotFound),
            _ => false,
        }
    }
}
