//! One WebSocket: messages in, results out, one after the other. A client that sends faster than the models hear waits for them: what is not
//! read yet stays with it.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use bytes::Bytes;
use serde_json::Value;
use tokio::time::timeout;

use super::results;
use super::utterance::Utterance;
use super::wishes::Wishes;
use crate::metrics::Counted;
use crate::shared::Shared;

/// Serves a client until it goes, fails, or the gateway stops.
pub(super) async fn serve(socket: WebSocket, shared: &Shared) {
    // It counts as a connection, for which a stopping gateway waits.
    let _counted = Counted::one(&shared.metrics.connections);
    let mut session = Session {
        socket,
        shared,
        wishes: Wishes::default(),
        utterance: None,
        failed: None,
    };
    let code = session.run().await;
    if let Some(utterance) = session.utterance.take() {
        utterance.abandon().await;
    }
    if let Some(code) = code {
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::default(),
        };
        // A client that has gone needs no farewell.
        let closed = session.socket.send(Message::Close(Some(frame)));
        let _ = timeout(shared.options.idle_timeout(), closed).await;
    }
}

struct Session<'s> {
    socket: WebSocket,
    shared: &'s Shared,
    wishes: Wishes,
    utterance: Option<Utterance>,
    /// Why the utterance was given up; what is still coming of it is passed over.
    failed: Option<String>,
}

/// What happens next.
enum Next {
    Came(Message),
    /// The client closed, or its connection broke.
    Gone,
    Silent,
    Stopping,
}

impl Session<'_> {
    /// With what code to close; nothing if there is nobody any more.
    async fn run(&mut self) -> Option<u16> {
        let mut asked = false;
        loop {
            match self.next().await {
                Next::Came(message) => {
                    asked = false;
                    match message {
                        Message::Text(text) => self.told(&text).await?,
                        Message::Binary(audio) => self.heard(&audio).await?,
                        Message::Close(_) => return None,
                        Message::Ping(_) | Message::Pong(_) => {}
                    }
                }
                Next::Gone => return None,
                // A client that is quiet may be there; one that does not answer is not.
                Next::Silent if asked => return Some(close_code::AWAY),
                Next::Silent => {
                    asked = true;
                    self.send(Message::Ping(Bytes::new())).await?;
                }
                Next::Stopping => return Some(close_code::RESTART),
            }
        }
    }

    async fn next(&mut self) -> Next {
        let mut stopping = self.shared.stopping.clone();
        // In the middle of an utterance the client may come to its end.
        let is_idle = self.utterance.is_none();
        let came = timeout(self.shared.options.idle_timeout(), self.socket.recv());
        tokio::select! {
            came = came => match came {
                Ok(Some(Ok(message))) => Next::Came(message),
                Ok(_) => Next::Gone,
                Err(_) => Next::Silent,
            },
            _ = stopping.wait_for(|stop| *stop), if is_idle => Next::Stopping,
        }
    }

    /// A text message. Nothing if the client has gone.
    async fn told(&mut self, message: &str) -> Option<()> {
        let said = match self.wishes.take(message) {
            Ok(said) => said,
            Err(error) => return self.fail(error).await,
        };
        if said.begins {
            self.failed = None;
        }
        if !said.ended {
            return Some(());
        }
        let mut told = Vec::new();
        let outcome = match (self.failed.take(), self.utterance.take()) {
            (Some(error), _) => Err((error, true)),
            (None, Some(utterance)) => {
                let ended = utterance.end(self.shared, &mut told).await;
                ended.map_err(|error| (error, false))
            }
            // Nothing was said.
            (None, None) => Ok(()),
        };
        self.tell(told).await?;
        match outcome {
            Ok(()) => {
                if said.wants_word {
                    self.tell(vec![results::end(&self.wishes, None)]).await?;
                }
            }
            Err((error, was_told)) if said.wants_word || !was_told => {
                self.tell(vec![results::end(&self.wishes, Some(&error))])
                    .await?;
            }
            Err(_) => {}
        }
        Some(())
    }

    /// Audio. Nothing if the client has gone.
    async fn heard(&mut self, audio: &[u8]) -> Option<()> {
        if self.failed.is_some() {
            return Some(());
        }
        if self.utterance.is_none() {
            match Utterance::begin(self.shared, &self.wishes) {
                Ok(utterance) => self.utterance = Some(utterance),
                Err(error) => return self.fail(error).await,
            }
        }
        let utterance = self.utterance.as_mut()?;
        let mut told = Vec::new();
        let heard = utterance.hear(self.shared, audio, &mut told).await;
        // What was heard before something went wrong stays true.
        self.tell(told).await?;
        match heard {
            Ok(()) => Some(()),
            Err(error) => self.fail(error).await,
        }
    }

    /// Tells what went wrong, once, and passes over the rest of the utterance.
    async fn fail(&mut self, error: String) -> Option<()> {
        if let Some(utterance) = self.utterance.take() {
            utterance.abandon().await;
        }
        let message = results::end(&self.wishes, Some(&error));
        self.failed = Some(error);
        self.tell(vec![message]).await
    }

    async fn tell(&mut self, messages: Vec<Value>) -> Option<()> {
        for message in messages {
            self.send(Message::Text(message.to_string().into())).await?;
        }
        Some(())
    }

    /// Nothing if the client has gone, or does not read.
    async fn send(&mut self, message: Message) -> Option<()> {
        let sent = self.socket.send(message);
        timeout(self.shared.options.idle_timeout(), sent)
            .await
            .ok()?
            .ok()
    }
}
