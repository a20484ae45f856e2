//! What an operator can set.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What the gateway is told beside its servers.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Gateway")]
// The program's variant that flattens it has a group of this name.
#[group(skip)]
pub struct Options {
    /// Where the gateway listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Serve /metrics here, and no longer where the gateway listens
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<SocketAddr>,
    /// Send OpenTelemetry's traces to this collector, as in `http://127.0.0.1:4318` [default: what `OTEL_EXPORTER_OTLP_ENDPOINT` says;
    /// nowhere where it says nothing]
    #[arg(long, value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// The model for whole recordings that are asked of no model of the server [default: the first of transcribe, sensevoice and
    /// infer_pipeline that is there]
    #[arg(long, value_name = "NAME")]
    pub default_model: Option<String>,
    /// Take only requests with one of this file's keys; a name and a key a line. It is read again when it changes
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,
    /// The certificates of TLS, in PEM, the server's own first
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of TLS, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// A web page's origin that browsers may call from, as in `https://app.example`; several may be given, `*` is any
    #[arg(long = "cors", value_name = "ORIGIN")]
    pub cors: Vec<String>,
    /// Leave out the web page at `/`; both APIs stay
    #[arg(long)]
    pub no_page: bool,
    /// The largest file
    #[arg(long, value_name = "MB", default_value = "512")]
    pub max_file_mb: u32,
    /// Of all files together, how much is held at a time; what is beyond is refused
    #[arg(long, value_name = "MB", default_value = "2048")]
    pub max_held_mb: u32,
    /// Transcriptions under way at a time; what is beyond is refused
    #[arg(long, value_name = "N", default_value = "256")]
    pub max_requests: u32,
    /// Live WebSocket streams at a time; what is beyond is refused
    #[arg(long, value_name = "N", default_value = "1024")]
    pub max_streams: u32,
    /// How much of a stream's audio is kept to be heard again by another server when its own goes
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = clap::value_parser!(u32).range(10..=3600))]
    pub replay_seconds: u32,
    /// Connections at a time; what is beyond waits in the system's queue
    #[arg(long, value_name = "N", default_value = "4096")]
    pub max_connections: u32,
    /// Transcriptions and streams under way at a time for one key, or without keys for one address [default: no limit]
    #[arg(long, value_name = "N")]
    pub key_requests: Option<u32>,
    /// Transcriptions and streams a minute for one key, or without keys for one address [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub key_rate: Option<u32>,
    /// How long a transcription may take, its upload included
    #[arg(long, value_name = "SECONDS", default_value = "900")]
    pub timeout: u64,
    /// How long a client may leave the gateway waiting: for a request's head, in the middle of its body, and between two requests
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    pub idle_timeout: u64,
    /// How long what is under way may go on when the gateway is told to stop
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    pub drain: u64,
}

impl Options {
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout)
    }

    pub(crate) fn max_file_bytes(&self) -> usize {
        megabytes(self.max_file_mb)
    }

    pub(crate) fn max_held_bytes(&self) -> usize {
        megabytes(self.max_held_mb)
    }
}

fn megabytes(count: u32) -> usize {
    usize::try_from(count)
        .unwrap_or(usize::MAX)
        .saturating_mul(1_000_000)
}

impl Default for Options {
    /// As without any argument.
    fn default() -> Self {
        use clap::{Args, FromArgMatches};
        let command = Self::augment_args(clap::Command::new("gateway"));
        let matches = command.get_matches_from(["gateway"]);
        match Self::from_arg_matches(&matches) {
            Ok(options) => options,
            // No argument is required, and each default is parsed in a test.
            Err(error) => error.exit(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_arguments_it_listens_on_this_machine_alone() {
        let options = Options::default();
        assert_eq!(options.listen, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(options.max_file_bytes(), 512_000_000);
        assert_eq!((options.keys, options.key_rate), (None, None));
    }
}
