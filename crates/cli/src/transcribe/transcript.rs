//! What came of a recording.

use transcripts::Heard;

/// What came of a recording.
pub(super) struct Transcript {
    /// As the model has it, tags included.
    pub(super) text: String,
    /// What more the model says, where it was asked.
    pub(super) heard: Option<Heard>,
    /// Not known of files that are sent as they are.
    pub(super) audio_seconds: Option<f64>,
    pub(super) latency_ms: f64,
}
