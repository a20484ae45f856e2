//! The sample rates that audio may have.

/// The lowest sample rate, in Hz.
pub const LOWEST_RATE: u32 = 8000;
/// The highest sample rate, in Hz.
pub const HIGHEST_RATE: u32 = 192_000;
