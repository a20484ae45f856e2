//! A client of FunASR's WebSocket protocol.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use serde_json::Value;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

use super::requests::{beginning, end};

/// A client's buffer: its messages are small, and there are a thousand.
const BUFFER: usize = 8 << 10;

/// A connection with an utterance on it.
pub(super) struct Speaking(WebSocket<TcpStream>);

impl Speaking {
    /// Connects, and begins; `patience` is how long an answer is waited for.
    pub(super) fn open(address: SocketAddr, patience: Duration) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0);
        let url = format!("ws://{address}/");
        let connected = tungstenite::client::client_with_config(url, stream, Some(config));
        let (socket, _) = connected.context("no WebSocket")?;
        let mut own = Self(socket);
        own.0.send(Message::text(beginning()))?;
        Ok(own)
    }

    /// Sends samples.
    pub(super) fn say(&mut self, pcm: &Bytes) -> Result<()> {
        Ok(self.0.send(Message::Binary(pcm.clone()))?)
    }

    /// The next text; nothing when none came for as long as it is waited for.
    pub(super) fn hear(&mut self) -> Result<Option<String>> {
        loop {
            match self.0.read() {
                Ok(Message::Text(message)) => {
                    let message: Value = serde_json::from_str(&message)?;
                    if let Some(error) = message["error"].as_str() {
                        bail!("the gateway says: {error}");
                    }
                    return Ok(message["text"].as_str().map(str::to_owned));
                }
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if is_late(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends the utterance, and waits until all was answered.
    pub(super) fn end(mut self) -> Result<()> {
        self.0.send(Message::text(end()))?;
        loop {
            if let Message::Text(message) = self.0.read()?
                && serde_json::from_str::<Value>(&message)?["is_end"] == true
            {
                return Ok(());
            }
        }
    }
}

fn is_late(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut)
}
