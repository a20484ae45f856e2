//! What is the same for all recordings.

use std::sync::Arc;

use triton_backend::{Caller, DataType, Error, ModelContext};

use super::options::Options;
use super::result::check_outputs;
use crate::metrics::AudioMeter;
use crate::steps::itn::{Itn, TEXT_NORM};
use crate::tensors::audio::{AudioReader, Names};

/// What is the same for all recordings.
pub(super) struct Model {
    pub(super) options: Options,
    pub(super) reader: AudioReader,
    pub(super) meter: AudioMeter,
    pub(super) caller: Caller,
    /// Inputs that are handed on to the recogniser.
    pub(super) others: Vec<(String, DataType)>,
    /// Writes numbers in sentences.
    pub(super) itn: Option<Arc<Itn>>,
    /// What is new is told as soon as it is there.
    pub(super) decoupled: bool,
}

impl Model {
    pub(super) fn load(context: &ModelContext) -> Result<Self, Error> {
        let config = &context.config;
        if config.max_batch_size != 1 {
            let message = "max_batch_size is 1 here: a request has one recording".to_owned();
            return Err(Error::Config(message));
        }
        check_outputs(config)?;
        let options = Options::load(context)?;
        let names = &Names::PIPELINE;
        let audio = [
            names.wav,
            names.wav_lens,
            names.sample_rate,
            names.channel,
            names.audio,
        ];
        let itn = Itn::load(context)?;
        // What the recogniser tells stays as it is spoken: marks are put into that, and its words have times.
        let own = |name: &str| audio.contains(&name) || (itn.is_some() && name == TEXT_NORM);
        let others = config.input.iter();
        let others = others.filter(|input| !own(&input.name));
        let others = others.map(|input| {
            let data_type = input.data_type().ok_or_else(|| {
                let (name, data_type) = (&input.name, &input.data_type_name);
                Error::Config(format!("input '{name}' has unknown type {data_type}"))
            })?;
            Ok((input.name.clone(), data_type))
        });
        Ok(Self {
            others: others.collect::<Result<_, Error>>()?,
            itn,
            reader: AudioReader::new(context, options.rate, names)?,
            meter: AudioMeter::of_recordings(context, options.rate),
            caller: Caller::new(context)?,
            decoupled: context.config_json["model_transaction_policy"]["decoupled"] == true,
            options,
        })
    }

    /// How long so many samples are.
    pub(super) fn ms(&self, samples: usize) -> u64 {
        (samples as u64).saturating_mul(1000) / u64::from(self.options.rate.max(1))
    }

    /// How many samples a time has.
    pub(super) fn samples(&self, ms: u64) -> usize {
        let samples = ms.saturating_mul(u64::from(self.options.rate)) / 1000;
        usize::try_from(samples).unwrap_or(usize::MAX)
    }
}
