//! The gateway's figures, in Prometheus' text format.

use prometheus::{
    Counter, Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Seconds, from a chunk of a stream to an hour's recording.
const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0,
];

/// All of them.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    /// Requests that were answered, by `api` and `status`.
    pub(crate) requests: IntCounterVec,
    /// How long requests took, by `api`.
    pub(crate) seconds: HistogramVec,
    /// Requests under way.
    pub(crate) under_way: IntGauge,
    /// Requests and streams that were refused, by `reason`.
    pub(crate) refused: IntCounterVec,
    /// Bytes of audio that came.
    pub(crate) audio_bytes: IntCounter,
    /// Bytes of files that are held.
    pub(crate) held_bytes: IntGauge,
    /// Connections.
    pub(crate) connections: IntGauge,
    /// WebSocket streams, by `mode`.
    pub(crate) streams: IntGaugeVec,
    /// How long a chunk of a stream took.
    pub(crate) chunk_seconds: Histogram,
    /// Requests that went to another server since one had gone or had no room.
    pub(crate) moved: IntCounter,
    /// Streams that another server heard again, by `outcome`: `whole`, `cut` or `failed`.
    pub(crate) replays: IntCounterVec,
    /// Seconds of audio that were heard again.
    pub(crate) replayed_seconds: Counter,
    /// Connections to servers that broke, by `server`.
    pub(crate) gone: IntCounterVec,
    ready: IntGaugeVec,
    outstanding: IntGaugeVec,
}

impl Metrics {
    /// # Errors
    /// If two figures have one name.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("funasr_gateway".to_owned()), None)?;
        let opts = |name: &str, help: &str| Opts::new(name, help);
        let histogram =
            |name: &str, help: &str| HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        let metrics = Self {
            requests: IntCounterVec::new(
                opts("requests_total", "Requests that were answered"),
                &["api", "status"],
            )?,
            seconds: HistogramVec::new(
                histogram(
                    "request_seconds",
                    "How long requests took, uploads included",
                ),
                &["api"],
            )?,
            under_way: IntGauge::with_opts(opts(
                "requests_under_way",
                "Requests that are not answered yet",
            ))?,
            refused: IntCounterVec::new(
                opts("refused_total", "Requests and streams that were refused"),
                &["reason"],
            )?,
            audio_bytes: IntCounter::with_opts(opts(
                "audio_bytes_total",
                "Bytes of audio that came",
            ))?,
            held_bytes: IntGauge::with_opts(opts("held_bytes", "Bytes of files that are held"))?,
            connections: IntGauge::with_opts(opts("connections", "Connections of clients"))?,
            streams: IntGaugeVec::new(opts("streams", "Live WebSocket streams"), &["mode"])?,
            chunk_seconds: Histogram::with_opts(histogram(
                "chunk_seconds",
                "How long a server took for a chunk of a stream",
            ))?,
            moved: IntCounter::with_opts(opts(
                "moved_total",
                "Requests that another server was to take",
            ))?,
            replays: IntCounterVec::new(
                opts(
                    "replays_total",
                    "Streams that left a server which had gone or refused them: heard again as a whole, from where audio was kept, or \
                     not at all",
                ),
                &["outcome"],
            )?,
            replayed_seconds: Counter::with_opts(opts(
                "replayed_seconds_total",
                "Audio of streams that was heard again",
            ))?,
            gone: IntCounterVec::new(
                opts("server_gone_total", "Connections to servers that broke"),
                &["server"],
            )?,
            ready: IntGaugeVec::new(
                opts("server_ready", "1 where a server takes requests"),
                &["server"],
            )?,
            outstanding: IntGaugeVec::new(
                opts(
                    "server_requests",
                    "Requests and streams that a server is working on",
                ),
                &["server"],
            )?,
            registry,
        };
        metrics.register()?;
        Ok(metrics)
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        let registry = &self.registry;
        registry.register(Box::new(self.requests.clone()))?;
        registry.register(Box::new(self.seconds.clone()))?;
        registry.register(Box::new(self.under_way.clone()))?;
        registry.register(Box::new(self.refused.clone()))?;
        registry.register(Box::new(self.audio_bytes.clone()))?;
        registry.register(Box::new(self.held_bytes.clone()))?;
        registry.register(Box::new(self.connections.clone()))?;
        registry.register(Box::new(self.streams.clone()))?;
        registry.register(Box::new(self.chunk_seconds.clone()))?;
        registry.register(Box::new(self.moved.clone()))?;
        registry.register(Box::new(self.replays.clone()))?;
        registry.register(Box::new(self.replayed_seconds.clone()))?;
        registry.register(Box::new(self.gone.clone()))?;
        registry.register(Box::new(self.ready.clone()))?;
        registry.register(Box::new(self.outstanding.clone()))
    }

    /// All figures as text; those of `servers` are looked up now.
    pub(crate) fn text<'a>(&self, servers: impl IntoIterator<Item = Seen<'a>>) -> String {
        for server in servers {
            let labels = [server.address];
            let count = i64::try_from(server.outstanding).unwrap_or(i64::MAX);
            self.ready
                .with_label_values(&labels)
                .set(i64::from(server.ready));
            self.outstanding.with_label_values(&labels).set(count);
        }
        let mut text = Vec::new();
        // Into memory nothing fails but a figure that is no text.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// How a server is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) address: &'a str,
    pub(crate) ready: bool,
    /// Requests and streams that it is working on.
    pub(crate) outstanding: usize,
}

/// Counts one more as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted(IntGauge);

impl Counted {
    pub(crate) fn one(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_by_their_names() {
        let metrics = Metrics::new().unwrap();
        metrics
            .requests
            .with_label_values(&["transcriptions", "200"])
            .inc();
        let gauge = metrics.streams.with_label_values(&["online"]);
        let one = Counted::one(&gauge);
        let text = metrics.text([]);
        let line = "funasr_gateway_requests_total{api=\"transcriptions\",status=\"200\"} 1\n";
        assert!(text.contains(line), "{text}");
        assert!(
            text.contains("funasr_gateway_streams{mode=\"online\"} 1\n"),
            "{text}"
        );
        drop(one);
        assert!(
            metrics
                .text([])
                .contains("funasr_gateway_streams{mode=\"online\"} 0\n")
        );
    }
}
