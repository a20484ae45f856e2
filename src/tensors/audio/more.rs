//! The inputs beside `WAV` and `WAV_LENS` that a config may list: `SAMPLE_RATE`, `CHANNEL`, and `AUDIO`, whole files in place of `WAV`.

use std::ops::ControlFlow;

use audio_input::{
    AudioError, Decoded, HIGHEST_RATE, LOWEST_RATE, Options, decode, decode_each, decode_windows,
};
use triton_backend::{DataType, Error, ErrorCode, Input, ModelContext, Request, guard};

use super::channels::{self, Channels, MOST_AS_ROWS};
use super::limit::{Limit, MAX_AUDIO_SECONDS};
use super::names::Names;
use super::origin::Origin;
use super::pieces::Take;
use crate::tensors::layout::{Layout, check_type};
use crate::tensors::parameters::{Parameter, Written};

/// Asked for each row that was decoded of a request's files, with its samples, whether the others may be.
pub(crate) type Admit<'a> = dyn FnMut(usize) -> Result<(), Error> + 'a;

/// The parameter that says what becomes of damaged files.
pub(crate) const INCOMPLETE_AUDIO: Parameter<Remedy> = Parameter::new(
    "incomplete_audio",
    "what becomes of a file in `AUDIO` that is cut off or damaged: `transcribe` takes what can be read of it and says so in the output `WARNING`, where the config lists that; `refuse` refuses it",
)
.default("transcribe");

/// What becomes of a file of which a part is missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Remedy {
    Transcribe,
    Refuse,
}

impl Written for Remedy {
    const KIND: &'static str = "`transcribe` or `refuse`";

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "transcribe" => Ok(Self::Transcribe),
            "refuse" => Ok(Self::Refuse),
            _ => Err("is neither transcribe nor refuse"),
        }
    }
}

/// Those of the inputs that the config lists.
#[derive(Debug)]
pub(super) struct More {
    sample_rate: Option<&'static str>,
    audio: Option<&'static str>,
    channel: Option<&'static str>,
    /// What becomes of channels of which none is picked.
    pub(super) channels: Channels,
    remedy: Remedy,
    layout: Layout,
}

impl More {
    pub(super) fn load(context: &ModelContext, names: &Names) -> Result<Self, Error> {
        let config = &context.config;
        let listed = |name: &'static str, data_type| match config.input(name) {
            Ok(tensor) => check_type(tensor, data_type).map(|()| Some(name)),
            Err(_) => Ok(None),
        };
        let more = Self {
            sample_rate: listed(names.sample_rate, DataType::Int32)?,
            audio: listed(names.audio, DataType::String)?,
            channel: listed(names.channel, DataType::Int32)?,
            channels: Channels::Mix,
            remedy: INCOMPLETE_AUDIO.read(context)?,
            layout: Layout {
                batched: config.batches(),
            },
        };
        if let Some(audio) = more.audio {
            for name in [names.wav, names.wav_lens, audio] {
                if !config.input(name)?.optional {
                    return Err(Error::Config(format!(
                        "input '{name}' needs 'optional: true': a request has either '{}' or '{audio}'",
                        names.wav
                    )));
                }
            }
        }
        Ok(more)
    }

    /// Whether the config lists any of them.
    pub(super) fn any(&self) -> bool {
        self.sample_rate.or(self.audio).or(self.channel).is_some()
    }

    /// Refuses those that a stream's chunks do not have, for the reason `why`.
    pub(super) fn refuse(&self, which: &[&str], why: &str) -> Result<(), Error> {
        let listed = [self.sample_rate, self.audio, self.channel];
        match listed
            .into_iter()
            .flatten()
            .find(|name| which.contains(name))
        {
            Some(name) => Err(Error::Config(format!(
                "input '{name}' is not possible here: {why}"
            ))),
            None => Ok(()),
        }
    }

    /// The files of a request, if it has files.
    pub(super) fn files<'r>(&self, request: &'r Request) -> Result<Option<Input<'r>>, Error> {
        find(request, self.audio)
    }

    /// That samples are missing, where files would do too.
    pub(super) fn or_files(&self, error: Error) -> Error {
        match (&error, self.audio) {
            (Error::MissingInput { name }, Some(audio)) => Error::input(
                name,
                format!("is missing, and so is '{audio}'; a request has one of them"),
            ),
            _ => error,
        }
    }

    /// The sample rate of each row, if the request says it.
    pub(super) fn rates(&self, request: &Request, rows: usize) -> Result<Option<Vec<u32>>, Error> {
        let Some(input) = find(request, self.sample_rate)? else {
            return Ok(None);
        };
        let values = input.read::<i32>()?;
        let values = self
            .layout
            .ids(input.name(), input.shape(), &values, rows)?;
        let rate = |(row, value): (usize, i32)| {
            u32::try_from(value)
                .ok()
                .filter(|rate| (LOWEST_RATE..=HIGHEST_RATE).contains(rate))
                .ok_or_else(|| {
                    let message = format!(
                        "row {row} is {value}, expected {LOWEST_RATE} to {HIGHEST_RATE} (Hz)"
                    );
                    Error::input(input.name(), message)
                })
        };
        let rates: Result<Vec<u32>, Error> = values.into_iter().enumerate().map(rate).collect();
        rates.map(Some)
    }

    /// The channel that each row picks, if it does.
    fn picked(&self, request: &Request, rows: usize) -> Result<Vec<Option<usize>>, Error> {
        match find(request, self.channel)? {
            Some(input) => channels::picked(&input, self.layout, rows),
            None => Ok(vec![None; rows]),
        }
    }

    /// Refuses a channel that samples do not have: those of `wav` are one channel.
    pub(super) fn check_one_channel(
        &self,
        request: &Request,
        rows: usize,
        wav: &str,
    ) -> Result<(), Error> {
        let picked = self.picked(request, rows)?.into_iter().enumerate();
        for (row, channel) in picked {
            if let (Some(wanted @ 1..), Some(name)) = (channel, self.channel) {
                let message =
                    format!("row {row} is {wanted}, but '{wav}' has one channel, number 0");
                return Err(Error::input(name, message));
            }
        }
        Ok(())
    }

    /// The samples of each file, or of each of its channels, at `sample_rate`, and where they come from, as long as `admit` lets them in.
    pub(super) fn decode(
        &self,
        request: &Request,
        files: &Input<'_>,
        (sample_rate, limit): (u32, Limit),
        admit: &mut Admit<'_>,
    ) -> Result<(Vec<Origin>, Vec<Vec<f32>>), Error> {
        let name = files.name();
        let strings = files.string_slices()?;
        let rows = strings.len();
        let expected = self.layout.rows_of(files.shape());
        if expected != rows {
            return Err(Error::Shape {
                name: name.to_owned(),
                got: files.shape().to_vec(),
                expected: "one file for each row".to_owned(),
            });
        }
        let given = self.rates(request, rows)?;
        let picked = self.picked(request, rows)?;
        let (mut origins, mut decoded) = (Vec::new(), Vec::new());
        for (row, (file, picked)) in strings.iter().zip(picked).enumerate() {
            if request.is_cancelled() {
                return Err(Error::cancelled());
            }
            let options = Options::new(sample_rate)
                .channel(channels::one(picked))
                .max_seconds(limit.seconds);
            let apart = picked.is_none() && self.channels == Channels::Rows;
            let each = match apart {
                true => decode_each(file, &options, MOST_AS_ROWS),
                false => decode(file, &options).map(|one| vec![one]),
            };
            let each = each.map_err(|error| self.refused(name, row, &error))?;
            let stated = given.as_ref().and_then(|rates| rates.get(row));
            for (channel, audio) in each.into_iter().enumerate() {
                self.check(name, row, &audio, stated.copied())?;
                admit(audio.samples.len())?;
                origins.push(Origin {
                    row,
                    channel: apart.then_some(channel).or(picked),
                    warning: audio.incomplete.then(|| warning(&audio, sample_rate)),
                });
                decoded.push(audio.samples);
            }
        }
        Ok((origins, decoded))
    }

    /// Hands out the samples of a request's one file as they are decoded, at a sample rate, up to a limit, in pieces of `length`.
    pub(super) fn decode_pieces(
        &self,
        request: &Request,
        files: &Input<'_>,
        (sample_rate, limit): (u32, Limit),
        length: usize,
        take: &mut Take<'_>,
    ) -> Result<(), Error> {
        let name = files.name();
        let strings = files.string_slices()?;
        let file = strings.iter().next().unwrap_or_default();
        let given = self.rates(request, 1)?;
        let picked = self.picked(request, 1)?.first().copied().flatten();
        let options = Options::new(sample_rate)
            .channel(channels::one(picked))
            .max_seconds(limit.seconds);
        let mut refused = None;
        // A panic in here is none of the decoder's.
        let mut take = |piece: &[f32]| match guard(|| take(piece)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                refused = Some(error);
                ControlFlow::Break(())
            }
        };
        let outcome = decode_windows(file, &options, length, &mut take);
        match (refused, outcome) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(self.refused(name, 0, &error)),
            (None, Ok(audio)) => {
                let stated = given.as_ref().and_then(|rates| rates.first());
                self.check(name, 0, &audio, stated.copied())
            }
        }
    }

    /// Checks what came of a file.
    fn check(
        &self,
        name: &str,
        row: usize,
        audio: &Decoded,
        stated: Option<u32>,
    ) -> Result<(), Error> {
        let Decoded {
            format,
            sample_rate,
            incomplete,
            ..
        } = audio;
        if let (Some(stated), Some(input)) = (stated, self.sample_rate)
            && stated != *sample_rate
        {
            let message = format!(
                "row {row} is {stated} Hz, but the {format} file in '{name}' has {sample_rate} Hz; a file says its rate itself, leave it out"
            );
            return Err(Error::input(input, message));
        }
        if *incomplete && self.remedy == Remedy::Refuse {
            let message = format!(
                "row {row}: this {format} file is cut off or damaged; parameter {} = transcribe takes what can be read of it",
                INCOMPLETE_AUDIO.name()
            );
            return Err(Error::input(name, message));
        }
        Ok(())
    }

    /// What a client is told of a file that cannot be taken.
    fn refused(&self, name: &str, row: usize, error: &AudioError) -> Error {
        match error {
            AudioError::TooLong { .. } => {
                let parameter = MAX_AUDIO_SECONDS.name();
                Error::input(
                    name,
                    format!("row {row}: {error}, which parameter {parameter} allows"),
                )
                .because(parameter)
            }
            AudioError::Memory { .. } => Error::new(
                ErrorCode::Unavailable,
                format!("input '{name}': row {row}: {error}"),
            ),
            AudioError::NoChannel { .. } | AudioError::TooManyChannels { .. } => {
                Error::input(self.channel.unwrap_or(name), format!("row {row}: {error}"))
            }
            _ => Error::input(name, format!("row {row}: {error}")),
        }
    }
}

/// What the sender of an incomplete file should know.
fn warning(audio: &Decoded, sample_rate: u32) -> String {
    let seconds = audio.samples.len() as f64 / f64::from(sample_rate);
    format!(
        "this {} file is cut off or damaged; the text is of the {seconds:.2} s that could be read",
        audio.format
    )
}

/// The input of that name, if the config lists it and the request has it.
fn find<'r>(request: &'r Request, name: Option<&str>) -> Result<Option<Input<'r>>, Error> {
    let Some(name) = name else {
        return Ok(None);
    };
    match request.input(name) {
        Ok(input) => Ok(Some(input)),
        Err(Error::MissingInput { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
