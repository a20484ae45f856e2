//! Telling a model how its requests end, wherever that is.

use crate::Error;

/// Is told how requests end. It may be told of a request after the model is finalised, so it should hold nothing that calls the server;
/// [metrics](crate::Counter) know by themselves.
pub trait Watch: Send + Sync + 'static {
    /// A request ends with this error. Its client does not have it yet.
    fn failed(&self, error: &Error);
}
