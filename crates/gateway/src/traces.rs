//! OpenTelemetry's traces: a span for each request and for each call of a server, sent by OTLP over HTTP.
//!
//! Without a place to send them to nothing is recorded, and a client's `traceparent` goes through to the servers as it came.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use opentelemetry::propagation::{Injector, TextMapPropagator};
use opentelemetry::trace::{
    SpanBuilder, SpanKind, Status, TraceContextExt, TraceId, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tonic::metadata::{MetadataKey, MetadataMap};

use crate::log;

/// What this program is called in traces where the environment has no other name for it.
const SERVICE: &str = "triton-funasr-gateway";
/// Where OTLP over HTTP takes traces, behind a collector's address.
const TRACES_PATH: &str = "/v1/traces";
/// How long a collector may take for a batch of spans.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long is waited for the last spans when the gateway stops.
const FAREWELL: Duration = Duration::from_secs(3);
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
const PROTOCOLS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];
const PROTOCOL: &str = "http/protobuf";

/// Why traces cannot be collected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TracesError {
    /// TLS to the collector, or no address at all.
    #[error(
        "{from}={address:?}: traces are sent to a collector by plain HTTP, as in http://127.0.0.1:4318"
    )]
    Address {
        /// The option or the variable.
        from: String,
        /// As given.
        address: String,
    },
    /// A protocol that is not spoken here.
    #[error("{from}={protocol:?}: traces are sent as {PROTOCOL}")]
    Protocol {
        /// The variable.
        from: String,
        /// As given.
        protocol: String,
    },
    /// What else the environment says of them is wrong.
    #[error("OpenTelemetry's settings")]
    Settings(#[source] opentelemetry_otlp::ExporterBuildError),
}

/// What traces are made with; nothing where nobody collects them.
#[derive(Debug)]
pub(crate) struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Nobody collects them.
    pub(crate) fn off() -> Self {
        Self(None)
    }

    /// As option and environment have it; `endpoint` is a collector's address, behind which the path of OTLP goes. Spans are sent by tasks
    /// of `runtime`.
    ///
    /// # Errors
    /// If they say something that cannot be done.
    pub(crate) fn start(endpoint: Option<&str>, runtime: Handle) -> Result<Self, TracesError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let is_disabled = |name: &str, word: &str| {
            variable(name).is_some_and(|value| value.eq_ignore_ascii_case(word))
        };
        let found = ENDPOINTS
            .into_iter()
            .find_map(|name| Some((name, variable(name)?)));
        let option = endpoint.map(|address| ("--otlp-endpoint", address.to_owned()));
        let Some((from, address)) = option.or(found) else {
            return Ok(Self::off());
        };
        if is_disabled("OTEL_SDK_DISABLED", "true") || is_disabled("OTEL_TRACES_EXPORTER", "none") {
            return Ok(Self::off());
        }
        if !address.starts_with("http://") {
            let from = from.to_owned();
            return Err(TracesError::Address { from, address });
        }
        let mut protocols = PROTOCOLS
            .into_iter()
            .filter_map(|name| Some((name, variable(name)?)));
        if let Some((from, protocol)) = protocols.next().filter(|(_, own)| own != PROTOCOL) {
            let from = from.to_owned();
            return Err(TracesError::Protocol { from, protocol });
        }
        let client = Sender {
            client: HyperClient::with_default_connector(PATIENCE, None),
            runtime,
            fails: Arc::default(),
        };
        let mut exporter = SpanExporter::builder().with_http().with_http_client(client);
        if let Some(endpoint) = endpoint {
            let base = endpoint.trim_end_matches('/');
            exporter = exporter.with_endpoint(format!("{base}{TRACES_PATH}"));
        }
        let exporter = exporter.build().map_err(TracesError::Settings)?;
        let mut resource = Resource::builder();
        let attributes = variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        if variable("OTEL_SERVICE_NAME").is_none() && !attributes.contains("service.name=") {
            resource = resource.with_service_name(SERVICE);
        }
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(exporter)
            .build();
        log::info(format_args!("traces go to {address}"));
        Ok(Self(Some(provider)))
    }

    /// A request begins, as part of the client's trace where it has one.
    pub(crate) fn request(&self, headers: &HeaderMap, name: &str, id: &str) -> Traced {
        let is_part = headers.contains_key("traceparent");
        let parent = match is_part {
            true => TraceContextPropagator::new()
                .extract_with_context(&Context::new(), &HeaderExtractor(headers)),
            false => Context::new(),
        };
        let Some(provider) = &self.0 else {
            return Traced {
                tracer: None,
                context: is_part.then_some(parent),
            };
        };
        let tracer = provider.tracer(SERVICE);
        let (method, path) = name.split_once(' ').unwrap_or_default();
        let attributes = [
            ("http.request.method", method),
            ("url.path", path),
            ("http.request.id", id),
        ];
        let span = SpanBuilder::from_name(name.to_owned())
            .with_kind(SpanKind::Server)
            .with_attributes(attributes.map(|(name, value)| KeyValue::new(name, value.to_owned())));
        let span = tracer.build_with_context(span, &parent);
        Traced {
            context: Some(parent.with_span(span)),
            tracer: Some(tracer),
        }
    }

    /// Sends what is left.
    pub(crate) async fn end(&self) {
        if let Some(provider) = self.0.clone() {
            // It waits for a thread which waits for the runtime's tasks.
            let ended =
                tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FAREWELL));
            if !matches!(ended.await, Ok(Ok(()))) {
                log::warn(format_args!("the last traces may be lost"));
            }
        }
    }
}

/// Where in a trace a request is; its span ends with the last clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traced {
    tracer: Option<SdkTracer>,
    /// Nothing where nobody traces it.
    context: Option<Context>,
}

impl Traced {
    /// The number of its trace, where spans are collected.
    pub(crate) fn trace_id(&self) -> Option<TraceId> {
        self.tracer.as_ref()?;
        let context = self.context.as_ref()?;
        Some(context.span().span_context().trace_id())
    }

    /// The request was answered.
    pub(crate) fn answered(&self, status: StatusCode) {
        let (Some(_), Some(context)) = (&self.tracer, &self.context) else {
            return;
        };
        let span = context.span();
        let code = i64::from(status.as_u16());
        span.set_attribute(KeyValue::new("http.response.status_code", code));
        if status.is_server_error() {
            span.set_status(Status::error(""));
        }
    }

    /// A call of a server begins. It ends when what this returns is dropped.
    pub(crate) fn call(&self, method: &'static str, model: &str, server: &str) -> Self {
        let (Some(tracer), Some(parent)) = (&self.tracer, &self.context) else {
            return self.clone();
        };
        let attributes = [
            KeyValue::new("rpc.system", "grpc"),
            KeyValue::new("rpc.method", method),
            KeyValue::new("server.address", server.to_owned()),
            KeyValue::new("triton.model_name", model.to_owned()),
        ];
        let span = SpanBuilder::from_name(format!("{method} {model}"))
            .with_kind(SpanKind::Client)
            .with_attributes(attributes);
        let span = tracer.build_with_context(span, parent);
        Self {
            tracer: Some(tracer.clone()),
            context: Some(parent.with_span(span)),
        }
    }

    /// The call failed.
    pub(crate) fn failed(&self, status: &tonic::Status) {
        if let (Some(_), Some(context)) = (&self.tracer, &self.context) {
            let span = context.span();
            let code = i64::from(i32::from(status.code()));
            span.set_attribute(KeyValue::new("rpc.grpc.status_code", code));
            span.set_status(Status::error(status.message().to_owned()));
        }
    }

    /// Tells a server what it is part of.
    pub(crate) fn mark(&self, metadata: &mut MetadataMap) {
        if let Some(context) = &self.context {
            TraceContextPropagator::new().inject_context(context, &mut Metadata(metadata));
        }
    }
}

struct Metadata<'m>(&'m mut MetadataMap);

impl Injector for Metadata<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (MetadataKey::from_bytes(key.as_bytes()), value.parse()) {
            self.0.insert(key, value);
        }
    }
}

/// Sends batches of spans on the gateway's own runtime: who asks for it is a thread of OpenTelemetry's.
#[derive(Debug)]
struct Sender {
    client: HyperClient,
    runtime: Handle,
    /// The last batch was lost: said once, until one arrives.
    fails: Arc<AtomicBool>,
}

#[async_trait::async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, address) = (self.client.clone(), request.uri().clone());
        let sent = self
            .runtime
            .spawn(async move { client.send_bytes(request).await });
        let outcome = match sent.await {
            Ok(outcome) => outcome,
            // The runtime has ended.
            Err(error) => return Err(error.into()),
        };
        let problem = match &outcome {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(response.status().to_string()),
            Err(error) => Some(error.to_string()),
        };
        let failed_before = self.fails.swap(problem.is_some(), Ordering::Relaxed);
        if let Some(problem) = problem.filter(|_| !failed_before) {
            log::warn(format_args!("traces do not reach {address}: {problem}"));
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_clients_trace_goes_through_where_nobody_collects() {
        let of = |given: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(given) = given {
                headers.insert("traceparent", given.parse().unwrap());
            }
            let traced = Traces::off().request(&headers, "GET /", "id");
            let mut metadata = MetadataMap::new();
            traced.call("ModelInfer", "m", "s").mark(&mut metadata);
            assert_eq!(traced.trace_id(), None);
            metadata
                .get("traceparent")
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(of(Some(PARENT)).as_deref(), Some(PARENT));
        assert_eq!(of(None), None);
        assert_eq!(of(Some("00-0-0-01")), None);
    }

    #[test]
    fn a_collector_is_reached_by_plain_http() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let error = Traces::start(Some("https://a:4318"), runtime.handle().clone());
        assert_eq!(
            error.unwrap_err().to_string(),
            "--otlp-endpoint=\"https://a:4318\": traces are sent to a collector by plain HTTP, as in http://127.0.0.1:4318"
        );
    }
}
