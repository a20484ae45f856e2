//! Who may come in, and what is noted of each request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt;
use percent_encoding::percent_decode_str;
use tokio::time::timeout;

use crate::log;
use crate::metrics::Counted;
use crate::openai::error::ApiError;
use crate::shared::{Common, Shared};
use crate::trail::{REQUEST_ID, Trail};

/// The address that a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Whose request it is: the name of a key, or an address.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Arc<str>);

/// What a request is counted as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Api(pub(crate) &'static str);

/// How long the rest of a refused request is read. A client that is still sending when its connection closes may never see the answer.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// Lets those in who have a key, and says who they are.
pub(crate) async fn authenticate(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let Some(caller) = caller(&shared, request.headers(), request.uri(), peer) else {
        shared.metrics.refused.with_label_values(&["key"]).inc();
        return refuse(request, ApiError::unauthorized()).await;
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Whose request this is; nobody's where keys are wanted and none fits.
pub(crate) fn caller(
    shared: &Common,
    headers: &HeaderMap,
    uri: &Uri,
    peer: Option<Peer>,
) -> Option<Caller> {
    match &shared.keys {
        Some(keys) => keys.owner(&key(headers, uri)?).map(Caller),
        None => {
            let address = peer.map(|Peer(address)| address.ip().to_string());
            Some(Caller(address.unwrap_or_default().into()))
        }
    }
}

/// Before the key among a WebSocket's protocols, where OpenAI's clients in browsers put it.
const PROTOCOL_OF_A_KEY: &str = "openai-insecure-api-key.";

/// The key that a request brings: as a bearer's, as the password of `user:KEY@host`, or, where a client can do neither, among a WebSocket's
/// protocols or in the address.
fn key(headers: &HeaderMap, uri: &Uri) -> Option<Vec<u8>> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, value) = value.to_str().ok()?.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(value.trim().as_bytes().to_vec());
        }
        if scheme.eq_ignore_ascii_case("basic") {
            let pair = BASE64_STANDARD.decode(value.trim()).ok()?;
            let colon = pair.iter().position(|byte| *byte == b':')?;
            return Some(pair[colon + 1..].to_vec());
        }
        return None;
    }
    let protocols = headers.get(header::SEC_WEBSOCKET_PROTOCOL);
    let protocols = protocols.and_then(|value| value.to_str().ok());
    let mut protocols = protocols.unwrap_or_default().split(',').map(str::trim);
    if let Some(key) = protocols.find_map(|own| own.strip_prefix(PROTOCOL_OF_A_KEY)) {
        return Some(key.as_bytes().to_vec());
    }
    let mut parameters = uri.query().unwrap_or_default().split('&');
    let value = parameters.find_map(|parameter| parameter.strip_prefix("api_key="))?;
    Some(percent_decode_str(value).collect())
}

/// Counts requests, gives each an id, and notes it in the log: never its query, which may hold a key.
pub(crate) async fn note(
    State((shared, Api(api))): State<(Shared, Api)>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let _under_way = Counted::one(&shared.metrics.under_way);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let peer = request.extensions().get::<Peer>().copied();
    let path = printable(&path);
    let trail = Trail::begin(
        &shared.traces,
        request.headers(),
        &format!("{method} {path}"),
    );
    let (id, traced) = (Arc::clone(&trail.id), trail.traced.clone());
    let mut response = trail.follow(next.run(request)).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let status = response.status();
    traced.answered(status);
    let seconds = started.elapsed().as_secs_f64();
    let metrics = &shared.metrics;
    metrics
        .requests
        .with_label_values(&[api, status.as_str()])
        .inc();
    metrics.seconds.with_label_values(&[api]).observe(seconds);
    let whose = response
        .extensions()
        .get::<Caller>()
        .map(|Caller(name)| Arc::clone(name));
    let from = whose.unwrap_or_else(|| {
        peer.map(|Peer(own)| own.ip().to_string())
            .unwrap_or_default()
            .into()
    });
    let trace = traced.trace_id();
    let trace = trace.map_or_else(String::new, |trace| format!(" trace {trace}"));
    log::info(format_args!(
        "{from} {method} {path} {} {:.0} ms {id}{trace}",
        status.as_u16(),
        seconds * 1000.0
    ));
    response
}

/// A path that cannot break out of its line of the log, nor fill it.
fn printable(path: &str) -> String {
    let visible = path
        .chars()
        .map(|c| if c.is_ascii_graphic() { c } else { '?' });
    visible.take(100).collect()
}

/// Says no, and reads what the client is still sending for a while.
pub(crate) async fn refuse(request: Request, error: ApiError) -> Response {
    // One that waits to be asked has sent nothing.
    if !request.headers().contains_key(header::EXPECT) {
        discard(request.into_body()).await;
    }
    error.into_response()
}

async fn discard(body: Body) {
    let mut body = body.into_data_stream();
    let rest = async { while let Some(Ok(_)) = body.next().await {} };
    // Whatever is left then is cut off.
    let _ = timeout(LINGER, rest).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_from_where_clients_can_put_it() {
        let found = |authorization: Option<&'static str>, uri: &'static str| {
            let mut headers = HeaderMap::new();
            if let Some(value) = authorization {
                headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            }
            key(&headers, &Uri::from_static(uri)).map(|key| String::from_utf8(key).unwrap())
        };
        let some = |key: &str| Some(key.to_owned());
        assert_eq!(found(Some("Bearer sk-1"), "/"), some("sk-1"));
        assert_eq!(
            found(Some("bearer  sk-1 "), "/?api_key=other"),
            some("sk-1")
        );
        // user:sk-1
        assert_eq!(found(Some("Basic dXNlcjpzay0x"), "/"), some("sk-1"));
        assert_eq!(found(None, "/?a=b&api_key=sk-1"), some("sk-1"));
        assert_eq!(found(None, "/?api_key=a%2Bb%26c+d"), some("a+b&c+d"));
        assert_eq!(found(None, "/"), None);
        assert_eq!(found(Some("Digest x"), "/?api_key=sk-1"), None);
        assert_eq!(found(Some("Basic !"), "/"), None);
        let mut headers = HeaderMap::new();
        let protocols = "realtime, openai-insecure-api-key.sk-1, openai-beta.realtime-v1";
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocols.parse().unwrap());
        assert_eq!(
            key(&headers, &Uri::from_static("/")),
            Some(b"sk-1".to_vec())
        );
    }

    #[test]
    fn a_path_stays_in_its_line() {
        assert_eq!(printable("/v1/a\nb"), "/v1/a?b");
        assert_eq!(printable(&"a".repeat(500)).len(), 100);
    }
}
