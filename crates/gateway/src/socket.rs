//! A WebSocket as sessions see it: let in if there is room, messages with time limits, signs of life, and an orderly end.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use axum::Error;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value;
use tokio::time::timeout;

use crate::gate::Caller;
use crate::metrics::Counted;
use crate::openai::error::ApiError;
use crate::shared::Shared;
use crate::trail::Trail;

/// The largest message: two minutes of samples. What it becomes on its way is held several times over, so clients' share of memory hangs on it.
const LARGEST: usize = 4 << 20;
/// So much of what comes while a session is at work is read ahead, for the sake of the pings behind it: half a minute of samples.
const AHEAD: usize = 1 << 20;
/// How long a client may take to close, too.
const FAREWELL: Duration = Duration::from_secs(2);
/// Each connection has a buffer of this size for as long as it lives. A larger message gets its own as it comes.
const READ_BUFFER: usize = 16 << 10;

/// Lets a client in, if there is room for it; `protocol` is what its WebSockets speak, `serve` all that becomes of it.
pub(crate) fn accept<S>(
    upgrade: WebSocketUpgrade,
    shared: &Shared,
    caller: &Caller,
    protocol: &'static str,
    serve: impl FnOnce(Socket) -> S + Send + 'static,
) -> Response
where
    S: Future<Output = ()> + Send,
{
    let admission = match shared.limits.stream(&caller.0) {
        Ok(admission) => admission,
        Err(refusal) => return ApiError::from(refusal).into_response(),
    };
    if shared.is_stopping() || shared.pool.models().is_empty() {
        return ApiError::no_server("no Triton server is ready").into_response();
    }
    let (trail, shared) = (Trail::current(), Shared::clone(shared));
    upgrade
        .protocols([protocol])
        .max_message_size(LARGEST)
        .max_frame_size(LARGEST)
        .read_buffer_size(READ_BUFFER)
        .on_upgrade(async move |socket| {
            let session = serve(Socket::new(socket, &shared));
            match trail {
                Some(trail) => trail.follow(session).await,
                None => session.await,
            }
            drop(admission);
        })
}

/// A client's socket.
pub(crate) struct Socket {
    socket: WebSocket,
    shared: Shared,
    /// It was silent, and was asked whether it is there.
    asked: bool,
    /// What came while the session was at work.
    ahead: VecDeque<Data>,
    ahead_bytes: usize,
    /// The client has closed, or its connection broke.
    is_over: bool,
    /// It counts as a connection, for which a stopping gateway waits.
    _counted: Counted,
}

/// What a client says.
pub(crate) enum Data {
    Text(Utf8Bytes),
    Binary(Bytes),
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// What happens next.
pub(crate) enum Next {
    Data(Data),
    /// The client closed, its connection broke, or it gives no sign of life; with what code to close, if there is anybody.
    Gone(Option<u16>),
    /// The gateway is to stop.
    Stopping,
}

impl Socket {
    fn new(socket: WebSocket, shared: &Shared) -> Self {
        Self {
            socket,
            asked: false,
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            is_over: false,
            _counted: Counted::one(&shared.metrics.connections),
            shared: Shared::clone(shared),
        }
    }

    /// What happens next; `may_stop` where a gateway that stops need not wait for what the client still has to say.
    pub(crate) async fn next(&mut self, may_stop: bool) -> Next {
        let mut stopping = self.shared.stopping.clone();
        loop {
            if may_stop && *stopping.borrow() {
                return Next::Stopping;
            }
            if let Some(data) = self.ahead.pop_front() {
                self.ahead_bytes -= data.len();
                return Next::Data(data);
            }
            if self.is_over {
                // The answer to a client that closes is written with the next look.
                let _ = timeout(FAREWELL, self.socket.recv()).await;
                return Next::Gone(None);
            }
            let came = timeout(self.shared.options.idle_timeout(), self.socket.recv());
            let came = tokio::select! {
                came = came => came,
                _ = stopping.wait_for(|stop| *stop), if may_stop => return Next::Stopping,
            };
            match came {
                Ok(came) => self.take(came),
                // A client that is quiet may be there; one that does not answer is not.
                Err(_) if self.asked => return Next::Gone(Some(close_code::AWAY)),
                Err(_) => {
                    self.asked = true;
                    if self.send(Message::Ping(Bytes::new())).await.is_none() {
                        return Next::Gone(None);
                    }
                }
            }
        }
    }

    /// Waits for work, and meanwhile answers the client's pings: many close a connection on which none is answered for 20 s.
    pub(crate) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            let has_room = self.ahead_bytes < AHEAD && !self.is_over;
            tokio::select! {
                biased;
                done = &mut work => return done,
                came = self.socket.recv(), if has_room => self.take(came),
            }
        }
    }

    fn take(&mut self, came: Option<Result<Message, Error>>) {
        self.asked = false;
        let data = match came {
            Some(Ok(Message::Text(text))) => Data::Text(text),
            Some(Ok(Message::Binary(bytes))) => Data::Binary(bytes),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return,
            Some(Ok(Message::Close(_)) | Err(_)) | None => {
                self.is_over = true;
                return;
            }
        };
        self.ahead_bytes += data.len();
        self.ahead.push_back(data);
    }

    /// Nothing if the client has gone, or does not read.
    pub(crate) async fn tell(&mut self, message: &Value) -> Option<()> {
        self.send(Message::Text(message.to_string().into())).await
    }

    async fn send(&mut self, message: Message) -> Option<()> {
        let sent = self.socket.send(message);
        timeout(self.shared.options.idle_timeout(), sent)
            .await
            .ok()?
            .ok()
    }

    /// Says why it ends.
    pub(crate) async fn close(mut self, code: u16) {
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::default(),
        };
        // A client that has gone needs no farewell. What another one is still sending is read: it would not see the last answers else.
        if self.send(Message::Close(Some(frame))).await.is_some() {
            let rest = async { while let Some(Ok(_)) = self.socket.recv().await {} };
            let _ = timeout(FAREWELL, rest).await;
        }
    }
}
