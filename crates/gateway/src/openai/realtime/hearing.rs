//! Audio since the last commit, on its way to a model: to one for streams, which is heard as it comes, or to one for recordings, when it has ended.

use super::settings::{Format, Settings};
use crate::live::{self, Event, Setup, Stream};
use crate::recordings;
use crate::shared::Shared;
use crate::whole::Whole;

/// Audio, and who hears it.
pub(super) struct Hearing {
    by: By,
    settings: Settings,
    samples: u64,
}

enum By {
    Stream(Box<Stream>),
    Recording(Box<Whole>),
}

impl Hearing {
    /// For audio that is still to come.
    ///
    /// # Errors
    /// If no server has a model for it.
    pub(super) fn begin(shared: &Shared, settings: &Settings) -> Result<Self, String> {
        let models = shared.pool.models();
        let stream = live::two_pass(&models);
        if settings.detects_turns && stream.is_none() {
            return Err(NO_TURNS.to_owned());
        }
        // Who names a model for recordings gets that.
        let named = settings.model.as_deref().unwrap_or_default();
        let named = recordings::choose(&models, named, None, false).filter(|own| own.name == named);
        let stream = stream
            .or_else(|| live::plain(&models))
            .filter(|_| settings.detects_turns || named.is_none());
        let rate = settings.format.rate();
        let by = match stream {
            Some(model) => {
                let setup = Setup {
                    model,
                    rate,
                    language: settings.language,
                    itn: None,
                    hotwords: settings.prompt.clone(),
                };
                let stream = Stream::open(shared, setup).map_err(|error| error.to_string())?;
                By::Stream(Box::new(stream))
            }
            None => {
                let default = shared.options.default_model.as_deref();
                let model = named
                    .or_else(|| recordings::choose(&models, "", default, false))
                    .ok_or("no Triton server that is ready has a model for this")?;
                By::Recording(Box::new(Whole::begin(shared, model)))
            }
        };
        Ok(Self {
            by,
            settings: settings.clone(),
            samples: 0,
        })
    }

    /// How long it is.
    pub(super) fn ms(&self) -> u64 {
        self.samples * 1000 / u64::from(self.settings.format.rate())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// More audio.
    ///
    /// # Errors
    /// Why it cannot go on.
    pub(super) async fn hear(
        &mut self,
        shared: &Shared,
        samples: &[i16],
        events: &mut Vec<Event>,
    ) -> Result<(), String> {
        self.samples += samples.len() as u64;
        match &mut self.by {
            By::Stream(stream) => {
                let heard = stream.hear(samples, events).await;
                heard.map_err(|error| error.to_string())
            }
            By::Recording(whole) => {
                let bytes: Vec<u8> = samples.iter().flat_map(|own| own.to_le_bytes()).collect();
                whole.push_samples(shared, self.settings.format.rate(), &bytes)
            }
        }
    }

    /// No more audio: the text of all if it is not told by events.
    ///
    /// # Errors
    /// Why there is nothing.
    pub(super) async fn end(
        self,
        shared: &Shared,
        events: &mut Vec<Event>,
    ) -> Result<Option<String>, String> {
        match self.by {
            By::Stream(mut stream) => {
                let ended = stream.end(events).await;
                ended.map_err(|error| error.to_string())?;
                Ok(None)
            }
            By::Recording(whole) => {
                let Settings {
                    language, prompt, ..
                } = self.settings;
                let heard = whole.transcribe(shared, language, None, prompt).await?;
                Ok(Some(heard.text))
            }
        }
    }

    /// Nobody waits for it any more.
    pub(super) async fn abandon(self) {
        if let By::Stream(stream) = self.by {
            stream.abandon().await;
        }
    }
}

/// Without a model that finds the ends of turns.
pub(super) const NO_TURNS: &str = "no server has a model that finds the ends of turns (two_pass): set turn_detection to null, and commit each turn";

/// The samples of a message; half a sample at its end waits for its other half.
pub(super) fn samples(format: Format, odd: &mut Option<u8>, bytes: &[u8]) -> Vec<i16> {
    use super::g711::{alaw, ulaw};
    match format {
        Format::Pcm => crate::wav::samples(odd, bytes),
        Format::Ulaw => bytes.iter().map(|byte| ulaw(*byte)).collect(),
        Format::Alaw => bytes.iter().map(|byte| alaw(*byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_of_the_formats() {
        let mut odd = None;
        let pcm = &[1, 0, 0xff, 0xff, 9];
        assert_eq!(samples(Format::Pcm, &mut odd, pcm), [1, -1]);
        assert_eq!(samples(Format::Pcm, &mut odd, &[1]), [265]);
        assert_eq!(samples(Format::Ulaw, &mut odd, &[0x80, 0xff]), [32124, 0]);
        assert_eq!(samples(Format::Alaw, &mut odd, &[0xd5]), [8]);
    }
}
