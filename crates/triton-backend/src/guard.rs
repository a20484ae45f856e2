//! The one panic guard. A panic that reached the server's C++ frames would end the process.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Error;

/// Runs `body`; a panic becomes [`Error::Panic`].
///
/// Unwind safety is asserted: what a panic may leave half done belongs to the request or the load that fails with it.
pub fn guard<T>(body: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(Error::Panic(message(panic))))
}

fn message(panic: Box<dyn Any + Send>) -> String {
    let panic = match panic.downcast::<String>() {
        Ok(text) => return *text,
        Err(other) => other,
    };
    match panic.downcast::<&'static str>() {
        Ok(text) => (*text).to_owned(),
        Err(other) => {
            // The payload may be a value whose own drop panics, here outside the guard.
            std::mem::forget(other);
            "no message".to_owned()
        }
    }
}
