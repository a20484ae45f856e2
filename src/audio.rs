//! What every component that takes audio checks.

use triton_backend::Error;

/// No audio has samples beyond this, yet floats do, and their power would overflow to infinity.
const LOUDEST: f32 = 1.0e6;

/// Checks the samples of one row of `wav`.
pub(crate) fn check_samples(row: usize, samples: &[f32]) -> Result<(), Error> {
    let wrong = samples
        .iter()
        .position(|sample| sample.is_nan() || sample.abs() > LOUDEST);
    let Some(at) = wrong else {
        return Ok(());
    };
    let message = format!(
        "row {row}, sample {at} is {}; samples are finite numbers, normally in [-1, 1]",
        samples[at]
    );
    Err(Error::input("wav", message))
}
