//! The gateway as a whole: bound, run, and stopped in order.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderValue, Method, header};
use socket2::{Domain, Socket, Type};
use tokio::sync::{Semaphore, watch};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::connections::Door;
use crate::keys::{Keys, KeysError};
use crate::limits::Limits;
use crate::log;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::shared::{Common, Shared};
use crate::tls::{Tls, TlsError};
use crate::traces::{Traces, TracesError};
use crate::trail::REQUEST_ID;
use crate::triton::Pool;
use crate::{funasr, openai, page, probes};

/// Metrics and probes, which may have a door of their own.
const WATCHERS: usize = 64;
/// How often it is looked whether all connections have come to their end.
const POLL: Duration = Duration::from_millis(20);
/// How many connections may wait in the system's queue. Whoever finds no place there tries again only after a second.
const QUEUE: i32 = 1024;

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// As given.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// TLS cannot be had.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Traces cannot be collected.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// An origin that is none.
    #[error("--cors {origin:?}: an origin is as in https://app.example, or *")]
    Origin {
        /// As given.
        origin: String,
    },
    /// A server's address that is none.
    #[error("--triton {address:?}: a server's gRPC endpoint is as in 127.0.0.1:8001")]
    Server {
        /// As given.
        address: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The system gives no threads, or the like.
    #[error("cannot run")]
    Run(#[source] std::io::Error),
    /// Two figures have one name.
    #[error("metrics")]
    Metrics(#[source] prometheus::Error),
}

/// A gateway that listens and does not answer yet.
pub struct Gateway {
    options: Options,
    listener: TcpListener,
    metrics_listener: Option<TcpListener>,
    keys: Option<Arc<Keys>>,
    tls: Option<Arc<Tls>>,
    cors: Option<CorsLayer>,
    stop: watch::Sender<bool>,
    ended: mpsc::SyncSender<()>,
    stopper: Option<Stopper>,
}

impl Gateway {
    /// Reads the files and takes the ports: what can be wrong with the options is told here.
    ///
    /// # Errors
    /// Which option is wrong, and why.
    pub fn bind(options: &Options) -> Result<Self, StartError> {
        let keys = options.keys.as_deref().map(Keys::read).transpose()?;
        let tls = match (&options.tls_cert, &options.tls_key) {
            (Some(cert), Some(key)) => Some(Arc::new(Tls::read(cert, key)?)),
            _ => None,
        };
        let (stop, _) = watch::channel(false);
        let (ended, has_ended) = mpsc::sync_channel(1);
        Ok(Self {
            cors: cors(&options.cors)?,
            listener: listen(options.listen)?,
            metrics_listener: options.metrics_listen.map(listen).transpose()?,
            keys: keys.map(Arc::new),
            tls,
            stopper: Some(Stopper {
                stop: stop.clone(),
                has_ended,
            }),
            stop,
            ended,
            options: options.clone(),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn url(&self) -> Result<String, StartError> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let address = self.listener.local_addr().map_err(StartError::Run)?;
        Ok(format!("{scheme}://{address}"))
    }

    /// What stops it; there is one.
    pub fn stopper(&mut self) -> Option<Stopper> {
        self.stopper.take()
    }

    /// Answers with the help of these servers, each `host:port` of a gRPC endpoint, until it is stopped.
    ///
    /// # Errors
    /// If it cannot start.
    pub fn run(self, servers: &[String]) -> Result<(), StartError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("gateway")
            .build()
            .map_err(StartError::Run)?;
        let ended = self.ended.clone();
        let outcome = runtime.block_on(self.answer(servers));
        // What was cut off is not waited for.
        runtime.shutdown_background();
        let _ = ended.try_send(());
        outcome
    }

    async fn answer(self, servers: &[String]) -> Result<(), StartError> {
        let options = self.options;
        let metrics = Arc::new(Metrics::new().map_err(StartError::Metrics)?);
        let pool = Pool::new(servers, Arc::clone(&metrics))
            .map_err(|(address, source)| StartError::Server { address, source })?;
        let endpoint = options.otlp_endpoint.as_deref();
        let traces = Traces::start(endpoint, tokio::runtime::Handle::current())?;
        let shared: Shared = Arc::new(Common {
            traces,
            limits: Limits::new(
                &options,
                metrics.held_bytes.clone(),
                metrics.refused.clone(),
            ),
            pool,
            keys: self.keys,
            metrics,
            stopping: self.stop.subscribe(),
            options,
        });
        shared.pool.watch();
        if let Some(keys) = &shared.keys {
            tokio::spawn(Arc::clone(keys).watch());
        }
        if let Some(tls) = &self.tls {
            tokio::spawn(Arc::clone(tls).watch());
        }
        let options = &shared.options;
        let door = |listener, router, tls, places| -> Result<Door, StartError> {
            Ok(Door {
                listener: tokio::net::TcpListener::from_std(listener).map_err(StartError::Run)?,
                router,
                tls,
                idle: options.idle_timeout(),
                places: Arc::new(Semaphore::new(places)),
                count: shared.metrics.connections.clone(),
                stopping: self.stop.subscribe(),
            })
        };
        let mut root = funasr::routes(&shared);
        if !options.no_page {
            root = page::in_front_of(root, &shared);
        }
        let mut router = openai::routes(&shared)
            .merge(probes::health(&shared))
            .merge(root);
        let watchers = self.metrics_listener;
        if watchers.is_none() {
            router = router.merge(probes::metrics(&shared));
        }
        if let Some(cors) = self.cors {
            router = router.layer(cors);
        }
        if let Some(listener) = watchers {
            let router: Router = probes::metrics(&shared).merge(probes::health(&shared));
            tokio::spawn(door(listener, router, None, WATCHERS)?.serve());
        }
        let places = (options.max_connections as usize).clamp(1, Semaphore::MAX_PERMITS);
        door(self.listener, router, self.tls, places)?.serve().await;
        drain(&shared).await;
        shared.traces.end().await;
        Ok(())
    }
}

/// Waits until all connections have come to their end, but not for ever.
async fn drain(shared: &Common) {
    let count = || shared.metrics.connections.get();
    let limit = Duration::from_secs(shared.options.drain);
    if count() > 0 {
        log::info(format_args!("stopping; {} connections are open", count()));
    }
    let started = Instant::now();
    while count() > 0 {
        if started.elapsed() >= limit {
            log::warn(format_args!(
                "{} connections are cut off after {} s",
                count(),
                limit.as_secs()
            ));
            return;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Stops a gateway, from another thread.
#[derive(Debug)]
pub struct Stopper {
    stop: watch::Sender<bool>,
    has_ended: mpsc::Receiver<()>,
}

impl Stopper {
    /// Tells the gateway to stop, and waits until what is under way has come to its end, or until `hurry` says so.
    pub fn stop(self, mut hurry: impl FnMut() -> bool) {
        self.stop.send_replace(true);
        loop {
            match self.has_ended.recv_timeout(POLL) {
                Err(mpsc::RecvTimeoutError::Timeout) if !hurry() => {}
                _ => return,
            }
        }
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let bound = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        // A gateway that starts anew takes its port though the former's connections are not forgotten yet.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(QUEUE)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    bound().map_err(|source| StartError::Listen { address, source })
}

/// What browsers are told of other pages' calls.
fn cors(origins: &[String]) -> Result<Option<CorsLayer>, StartError> {
    if origins.is_empty() {
        return Ok(None);
    }
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let parsed = origins.iter().map(|origin| {
            let wrong = || StartError::Origin {
                origin: origin.clone(),
            };
            let has_path = origin.splitn(4, '/').count() > 3;
            let is_origin =
                (origin.starts_with("https://") || origin.starts_with("http://")) && !has_path;
            let value = origin.parse::<HeaderValue>().map_err(|_| wrong())?;
            is_origin.then_some(value).ok_or_else(wrong)
        });
        AllowOrigin::list(parsed.collect::<Result<Vec<_>, _>>()?)
    };
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        // OpenAI's client for browsers sends a dozen of its own.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::RETRY_AFTER, REQUEST_ID]);
    Ok(Some(layer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        let is_one = |origin: &str| cors(&[origin.to_owned()]).is_ok();
        assert!(
            ["*", "https://app.example", "http://localhost:3000"]
                .into_iter()
                .all(is_one)
        );
        assert!(
            ![
                "app.example",
                "https://app.example/",
                "ftp://a",
                "https://a\n"
            ]
            .into_iter()
            .any(is_one)
        );
        assert!(cors(&[]).unwrap().is_none());
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let options = Options {
            listen: address,
            ..Options::default()
        };
        let error = Gateway::bind(&options).err().unwrap().to_string();
        assert_eq!(error, format!("cannot listen on {address}"));
    }

    #[test]
    fn it_stops_when_it_is_told_to() {
        let options = Options {
            listen: "127.0.0.1:0".parse().unwrap(),
            ..Options::default()
        };
        let mut gateway = Gateway::bind(&options).unwrap();
        let stopper = gateway.stopper().unwrap();
        assert!(gateway.stopper().is_none());
        let running = std::thread::spawn(move || gateway.run(&["127.0.0.1:1".to_owned()]));
        stopper.stop(|| false);
        running.join().unwrap().unwrap();
    }
}
