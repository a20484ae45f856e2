//! Connections: accepted one by one, given so much time for each step, and brought to their end when the gateway stops.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::IntGauge;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower_service::Service;

use crate::gate::Peer;
use crate::log;
use crate::metrics::Counted;
use crate::tls::Tls;

/// A head is larger by mistake, or to do harm.
const LARGEST_HEAD: usize = 64 << 10;
/// A silent connection is asked for a sign of life after so long; without one its machine has gone.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// When the system has no more files to give, there is nothing to be done but to wait.
const PAUSE: Duration = Duration::from_millis(100);

/// Where connections come from and go to.
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) router: Router,
    pub(crate) tls: Option<Arc<Tls>>,
    /// How long a client may take for a request's head, for a handshake, and between two requests.
    pub(crate) idle: Duration,
    /// A place for each connection.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) count: IntGauge,
    /// Turns true when no more are to be accepted.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Door {
    /// Accepts connections until the gateway stops.
    pub(crate) async fn serve(self) {
        let mut stopping = self.stopping.clone();
        let mut stop = pin!(async move { stopping.wait_for(|stop| *stop).await.map(drop) });
        loop {
            // Without a place, connections wait in the system's queue.
            let accepted = async {
                let place = Arc::clone(&self.places).acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                _ = &mut stop => return,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let connection = self.connection(stream, peer);
                    tokio::spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    if !is_of_one_connection(&error) {
                        log::warn(format_args!("no connection can be accepted: {error}"));
                        sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    /// All of one connection.
    fn connection(&self, stream: TcpStream, peer: SocketAddr) -> impl Future<Output = ()> + use<> {
        let (router, tls, stopping) =
            (self.router.clone(), self.tls.clone(), self.stopping.clone());
        let (counted, idle) = (Counted::one(&self.count), self.idle);
        async move {
            let _counted = counted;
            let alive = TcpKeepalive::new()
                .with_time(KEEP_ALIVE)
                .with_interval(KEEP_ALIVE);
            // Without them it is a connection all the same.
            let _ = SockRef::from(&stream).set_tcp_keepalive(&alive);
            // A client that takes nothing of an answer any more has left the gateway waiting, too.
            let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(idle));
            let _ = stream.set_nodelay(true);
            match tls {
                None => talk(stream, peer, router, idle, stopping).await,
                Some(tls) => {
                    // A client that does not speak TLS, or not ours, is its own fault.
                    if let Ok(Ok(stream)) = timeout(idle, tls.acceptor().accept(stream)).await {
                        talk(stream, peer, router, idle, stopping).await;
                    }
                }
            }
        }
    }
}

/// Requests and answers, until one side has enough.
async fn talk<S>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    idle: Duration,
    mut stopping: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        // What a client does to its connection is no news.
        _ = connection.as_mut() => return,
        _ = stopping.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Whether the fault is the client's, who went before it was let in.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
