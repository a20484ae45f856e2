//! Audio that comes by a WebSocket, piece by piece, and is heard as a whole when it has ended.

use tokio::time::timeout;
use transcripts::Heard;

use crate::language::Language;
use crate::limits::Memory;
use crate::recordings::{self, Recording};
use crate::shared::Shared;
use crate::triton::{FileBytes, Model};
use crate::wav;

/// What has come so far, within the gateway's limits, and the model for recordings that will hear it.
pub(crate) struct Whole {
    model: Model,
    file: FileBytes,
    memory: Memory,
}

impl Whole {
    /// Nothing so far.
    pub(crate) fn begin(shared: &Shared, model: Model) -> Self {
        Self {
            model,
            file: FileBytes::new(),
            memory: shared.limits.memory(),
        }
    }

    /// More of a file.
    ///
    /// # Errors
    /// If there is no room for it, for the client.
    pub(crate) fn push(&mut self, shared: &Shared, bytes: &[u8]) -> Result<(), String> {
        if self.file.len() + bytes.len() > shared.options.max_file_bytes() {
            shared.metrics.refused.with_label_values(&["size"]).inc();
            return Err(format!(
                "the audio is larger than {} MB, which is this gateway's limit",
                shared.options.max_file_mb
            ));
        }
        let room = self.memory.take(bytes.len());
        room.map_err(|refusal| refusal.to_string())?;
        self.file.push(bytes);
        Ok(())
    }

    /// More samples of 16 bits, one channel. A WAV file may take their place: FunASR's page calls that pcm, too.
    ///
    /// # Errors
    /// If there is no room for them, for the client.
    pub(crate) fn push_samples(
        &mut self,
        shared: &Shared,
        rate: u32,
        bytes: &[u8],
    ) -> Result<(), String> {
        if self.file.is_empty() && !wav::is_file(bytes) {
            self.file.push(&wav::header(rate));
        }
        self.push(shared, bytes)
    }

    /// No more: what the model hears.
    ///
    /// # Errors
    /// Why there is nothing, for the client.
    pub(crate) async fn transcribe(
        self,
        shared: &Shared,
        language: Language,
        itn: Option<bool>,
        hotwords: Option<String>,
    ) -> Result<Heard, String> {
        let recording = Recording {
            file: self.file,
            language,
            itn,
            hotwords,
        };
        let place = shared.limits.within_a_stream();
        let _place = place.map_err(|refusal| refusal.to_string())?;
        let transcribed = recordings::transcribe(&shared.pool, &self.model, recording);
        let heard = timeout(shared.options.timeout(), transcribed).await;
        let heard = heard.map_err(|_| format!("no transcript within {} s", shared.options.timeout));
        heard?.map_err(|error| error.to_string())
    }
}
