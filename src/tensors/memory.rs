//! Memory whose size a client or a called model decides: where there is none, a request fails and not the server.

use triton_backend::{Error, ErrorCode};

/// An empty vector with room for `count` elements of `what`.
pub(crate) fn room<T>(count: usize, what: &str) -> Result<Vec<T>, Error> {
    let mut values = Vec::new();
    match values.try_reserve_exact(count) {
        Ok(()) => Ok(values),
        Err(_) => Err(missing::<T>(count, what)),
    }
}

/// There is no memory for `count` elements of `what`.
pub(crate) fn missing<T>(count: usize, what: &str) -> Error {
    let bytes = count.saturating_mul(size_of::<T>());
    let message = format!("there is no memory for {bytes} bytes of {what}");
    Error::new(ErrorCode::Unavailable, message)
}

/// `count` zeros.
pub(crate) fn zeros(count: usize, what: &str) -> Result<Vec<f32>, Error> {
    let mut values = room(count, what)?;
    values.resize(count, 0.0);
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert_eq!(zeros(3, "features").unwrap(), [0.0; 3]);
        for count in [usize::MAX, usize::MAX / 8, 1 << 60] {
            let error = zeros(count, "features").unwrap_err();
            assert_eq!(error.code(), ErrorCode::Unavailable);
            assert!(error.to_string().contains("bytes of features"), "{error}");
        }
    }
}
