//! What the backend tells Prometheus beside the server's own metrics: the one table of them, and what counts requests.
//!
//! A component asks its [`ModelContext`] for those of its model; they go with it. Values that are counted for a request are there before its
//! answer is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use triton_backend::{
    Counter, Counters, Error, ErrorCode, Gauges, Histogram, Histograms, ModelContext, Request,
    Watch,
};

#[cfg(test)]
mod tests;

/// Audio that was taken.
pub(crate) const AUDIO_SECONDS: Counters = Counters::new(
    "funasr_audio_seconds_total",
    "Seconds of audio that were taken to be computed, without padding.",
);
/// How long requests took, by how long their audio is.
pub(crate) const REAL_TIME_FACTOR: Histograms = Histograms::new(
    "funasr_real_time_factor",
    "Time from the arrival of a request to its answer, divided by the length of its audio.",
    &[
        0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
    ],
);
/// How late streams' chunks are answered.
pub(crate) const CHUNK_LATENESS: Histograms = Histograms::new(
    "funasr_chunk_lateness_seconds",
    "How much longer the answer to a chunk of a stream took than the chunk is; 0 for those in time.",
    &[0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
);
/// Streams between their first and their last answer.
pub(crate) const LIVE_STREAMS: Gauges = Gauges::new(
    "funasr_live_streams",
    "Streams that have begun and not ended. Those that are idle for longer than the server allows do not count.",
);
/// What was let in and is not answered.
pub(crate) const PENDING_ROWS: Gauges = Gauges::new(
    "funasr_pending_rows",
    "Rows, texts, or chunks of streams, that are taken and not answered yet: what max_pending_rows, or max_pending_texts, limits.",
);
/// What waits for a called model.
pub(crate) const QUEUE_ROWS: Gauges = Gauges::new(
    "funasr_queue_rows",
    "Rows, or streams, that wait for a call of the model 'callee'.",
);
/// How long it waited.
pub(crate) const QUEUE_WAIT: Histograms = Histograms::new(
    "funasr_queue_wait_seconds",
    "How long a row, or a stream, waited for its call of the model 'callee'.",
    &[
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ],
);
/// What encoders are given.
pub(crate) const FRAMES: Counters = Counters::new(
    "funasr_encoder_frames_total",
    "Frames (60 ms) that were given to the encoder, padding included.",
);
/// How much of it says nothing.
pub(crate) const PADDING_FRAMES: Counters = Counters::new(
    "funasr_encoder_padding_frames_total",
    "Frames of padding among those that were given to the encoder.",
);
/// Requests that were answered with an error.
pub(crate) const FAILURES: Counters = Counters::new(
    "funasr_request_failures_total",
    "Requests that were refused or failed, by reason.",
);

/// The label of [`FAILURES`].
const REASON: &str = "reason";
/// The label of what waits.
pub(crate) const CALLEE: &str = "callee";

/// Why a request's time was over before it was computed.
pub(crate) const TIMEOUT: &str = "timeout";
const CANCELLED: &str = "cancelled";
const INVALID: &str = "invalid";
const UNAVAILABLE: &str = "unavailable";
const INTERNAL: &str = "internal";

/// Every reason but the parameters that limit something, and what it means.
const REASONS: &[(&str, &str)] = &[
    (INVALID, "the client's fault: wrong tensors, values, flags"),
    (
        TIMEOUT,
        "the request's `timeout` was over before it was computed",
    ),
    (CANCELLED, "the client took it back (gRPC)"),
    (
        UNAVAILABLE,
        "a called model was full or about to stop, or memory ran out",
    ),
    (
        INTERNAL,
        "everything else: a called model that is not there or fails, a fault of the backend",
    ),
];

/// Counts a model's failed requests by reason.
pub(crate) struct Failures(HashMap<&'static str, Counter>);

impl Failures {
    /// Of a model that has these parameters. Those that limit what may come in are reasons, too.
    pub(crate) fn new(
        context: &ModelContext,
        parameters: impl Iterator<Item = &'static str>,
    ) -> Self {
        let counter = |reason| {
            let counter = context.counter(&FAILURES, &[(REASON, reason)]);
            (reason, counter)
        };
        let general = REASONS.iter().map(|(reason, _)| *reason);
        Self(
            general
                .chain(parameters.filter(limits))
                .map(counter)
                .collect(),
        )
    }
}

/// Whether requests are refused because of a parameter of that name.
fn limits(parameter: &&'static str) -> bool {
    parameter.starts_with("max_pending_") || *parameter == "max_audio_seconds"
}

impl Watch for Failures {
    fn failed(&self, error: &Error) {
        let counter = self.0.get(reason(error)).or(self.0.get(INTERNAL));
        if let Some(counter) = counter {
            counter.add(1.0);
        }
    }
}

/// Why a request failed.
fn reason(error: &Error) -> &'static str {
    error.reason().unwrap_or(match error.code() {
        ErrorCode::InvalidArgument => INVALID,
        ErrorCode::Unavailable => UNAVAILABLE,
        ErrorCode::Cancelled => CANCELLED,
        _ => INTERNAL,
    })
}

/// Counts the audio of a model's requests, and their time.
#[derive(Clone)]
pub(crate) struct AudioMeter(Arc<Meters>);

struct Meters {
    audio: Counter,
    factor: Histogram,
    lateness: Histogram,
    /// In Hz.
    sample_rate: f64,
}

/// A request whose audio was counted.
pub(crate) struct Taken {
    meters: Arc<Meters>,
    since: Instant,
    seconds: f64,
}

impl AudioMeter {
    /// Of a model whose requests are recordings of this rate.
    pub(crate) fn of_recordings(context: &ModelContext, sample_rate: u32) -> Self {
        Self::new(context, sample_rate, Histogram::default())
    }

    /// Of a model whose requests are chunks of streams of this rate.
    pub(crate) fn of_chunks(context: &ModelContext, sample_rate: u32) -> Self {
        Self::new(
            context,
            sample_rate,
            context.histogram(&CHUNK_LATENESS, &[]),
        )
    }

    fn new(context: &ModelContext, sample_rate: u32, lateness: Histogram) -> Self {
        Self(Arc::new(Meters {
            audio: context.counter(&AUDIO_SECONDS, &[]),
            factor: context.histogram(&REAL_TIME_FACTOR, &[]),
            lateness,
            sample_rate: f64::from(sample_rate.max(1)),
        }))
    }

    /// Of a step of an ensemble, which has no part in how long requests take: only their audio is counted.
    pub(crate) fn of_steps(context: &ModelContext, sample_rate: u32) -> Self {
        Self(Arc::new(Meters {
            audio: context.counter(&AUDIO_SECONDS, &[]),
            factor: Histogram::default(),
            lateness: Histogram::default(),
            sample_rate: f64::from(sample_rate.max(1)),
        }))
    }

    /// Counts samples.
    pub(crate) fn counts(&self, samples: usize) {
        self.counts_seconds(samples as f64 / self.0.sample_rate);
    }

    /// Counts audio of another rate.
    pub(crate) fn counts_seconds(&self, seconds: f64) {
        self.0.audio.add(seconds);
    }

    /// A request whose samples are to be counted.
    pub(crate) fn begins(&self, request: &Request) -> Taken {
        let now = Instant::now();
        Taken {
            meters: Arc::clone(&self.0),
            since: now.checked_sub(request.age()).unwrap_or(now),
            seconds: 0.0,
        }
    }
}

impl Taken {
    /// Counts more samples of the request.
    pub(crate) fn takes(&mut self, samples: usize) {
        let seconds = samples as f64 / self.meters.sample_rate;
        self.seconds += seconds;
        self.meters.audio.add(seconds);
    }

    /// The answer is there.
    pub(crate) fn answered(self) {
        self.answered_after(self.since.elapsed());
    }

    fn answered_after(&self, took: Duration) {
        if self.seconds > 0.0 {
            let took = took.as_secs_f64();
            self.meters.factor.observe(took / self.seconds);
            self.meters.lateness.observe((took - self.seconds).max(0.0));
        }
    }
}

/// Counts what an encoder is given.
pub(crate) struct FrameMeter {
    frames: Counter,
    padding: Counter,
}

impl FrameMeter {
    pub(crate) fn new(context: &ModelContext) -> Self {
        Self {
            frames: context.counter(&FRAMES, &[]),
            padding: context.counter(&PADDING_FRAMES, &[]),
        }
    }

    /// Counts a tensor of so many frames, of which so many are not padding.
    pub(crate) fn given(&self, frames: usize, heard: usize) {
        self.frames.add(frames as f64);
        self.padding.add(frames.saturating_sub(heard) as f64);
    }
}
