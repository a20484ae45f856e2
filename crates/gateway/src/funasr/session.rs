//! One WebSocket: messages in, results out, one after the other. A client that sends faster than the models hear waits for them: what is not
//! read yet stays with it.

use axum::extract::ws::close_code;
use serde_json::Value;

use super::results;
use super::utterance::Utterance;
use super::wishes::Wishes;
use crate::shared::Shared;
use crate::socket::{Data, Next, Socket};

/// Serves a client until it goes, fails, or the gateway stops.
pub(super) async fn serve(socket: Socket, shared: &Shared) {
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
        session.socket.close(code).await;
    }
}

struct Session<'s> {
    socket: Socket,
    shared: &'s Shared,
    wishes: Wishes,
    utterance: Option<Utterance>,
    /// Why the utterance was given up; what is still coming of it is passed over.
    failed: Option<String>,
}

impl Session<'_> {
    /// With what code to close; nothing if there is nobody any more.
    async fn run(&mut self) -> Option<u16> {
        loop {
            // In the middle of an utterance the client may come to its end.
            let may_stop = self.utterance.is_none();
            match self.socket.next(may_stop).await {
                Next::Data(Data::Text(text)) => self.told(&text).await?,
                Next::Data(Data::Binary(audio)) => self.heard(&audio).await?,
                Next::Gone(code) => return code,
                Next::Stopping => return Some(close_code::RESTART),
            }
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
                let ending = utterance.end(self.shared, &mut told);
                let ended = self.socket.during(ending).await;
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
        let hearing = utterance.hear(self.shared, audio, &mut told);
        let heard = self.socket.during(hearing).await;
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

    /// Nothing if the client has gone, or does not read.
    async fn tell(&mut self, messages: Vec<Value>) -> Option<()> {
        for message in messages {
            self.socket.tell(&message).await?;
        }
        Some(())
    }
}
