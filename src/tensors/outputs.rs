//! The outputs that are filled from what was heard: one table says which there are and what each holds.

mod document;
mod needs;
mod padded;
mod told;

use std::borrow::Cow;

use asr_decode::Transcript;
use triton_backend::{DataType, Error, ModelConfig, Request, Response, TensorConfig};

pub(crate) use self::needs::{Needs, Times};
use self::padded::Fill;
pub(crate) use self::told::{StreamText, Told};
use crate::tensors::audio::Origin;
use crate::tensors::layout::{Layout, check_tensor};

/// Every output: its name in a config, what it needs to be known, and what a row of it holds.
const OUTPUTS: &[Output] = &[
    text("TRANSCRIPTS", raw),
    // What the steps' outputs have always been called.
    text("OUTPUT0", raw),
    text("transcripts", raw),
    text("TEXT", |row| Cow::Owned(row.heard.text())),
    text("LANGUAGE_ID", |row| tag(row.heard.tags.language.as_deref())),
    text("EMOTION", |row| tag(row.heard.tags.emotion.as_deref())),
    text("AUDIO_EVENT", |row| tag(row.heard.tags.event.as_deref())),
    Output::new(
        "CONFIDENCE",
        Needs::PROBABILITIES,
        Fill::Number(|row| row.heard.confidence().unwrap_or(0.0)),
    ),
    Output::new(
        "TOKENS",
        Needs::NONE,
        Fill::Texts(|row| row.tokens().map(|token| &*token.piece).collect()),
    ),
    Output::new(
        "TOKEN_START_MS",
        Needs::TIMES,
        Fill::Times(|row| row.tokens().map(|token| told::start(token.time)).collect()),
    ),
    Output::new(
        "TOKEN_END_MS",
        Needs::TIMES,
        Fill::Times(|row| row.tokens().map(|token| told::end(token.time)).collect()),
    ),
    Output::new(
        "TOKEN_CONFIDENCE",
        Needs::PROBABILITIES,
        Fill::Numbers(|row| {
            row.tokens()
                .map(|token| token.probability.unwrap_or(0.0))
                .collect()
        }),
    ),
    Output::new(
        "TOKEN_COUNT",
        Needs::NONE,
        Fill::Count(|row| row.tokens().count()),
    ),
    Output::new(
        "WORDS",
        Needs::WORDS,
        Fill::Texts(|row| row.words.iter().map(|word| &*word.text).collect()),
    ),
    Output::new(
        "WORD_START_MS",
        Needs::WORD_TIMES,
        Fill::Times(|row| {
            row.words
                .iter()
                .map(|word| told::start(word.time))
                .collect()
        }),
    ),
    Output::new(
        "WORD_END_MS",
        Needs::WORD_TIMES,
        Fill::Times(|row| row.words.iter().map(|word| told::end(word.time)).collect()),
    ),
    Output::new(
        "IS_FINAL",
        Needs::STREAM,
        Fill::Flag(|row| row.stream.is_some_and(|stream| stream.ended)),
    ),
    Output::new(
        "FULL_TEXT",
        Needs::STREAM,
        Fill::Text(|row| Cow::Borrowed(row.stream.map_or("", |stream| stream.text))),
    ),
    Output::new(
        "AUDIO_ROW",
        Needs::ORIGIN,
        Fill::Integer(|row| told::number(row.origin.map(|origin| origin.row))),
    ),
    Output::new(
        "AUDIO_CHANNEL",
        Needs::ORIGIN,
        Fill::Integer(|row| told::number(row.origin.and_then(|origin| origin.channel))),
    ),
    Output::new(
        "WARNING",
        Needs::ORIGIN,
        Fill::Text(|row| tag(row.warning())),
    ),
    Output::new(
        "RESULT_JSON",
        Needs::ALL,
        Fill::Text(|row| Cow::Owned(document::of(row))),
    ),
];

/// An output of a row.
pub(crate) struct Output {
    name: &'static str,
    needs: Needs,
    fill: Fill,
}

const fn text(name: &'static str, fill: for<'a> fn(&'a Told<'_>) -> Cow<'a, str>) -> Output {
    Output::new(name, Needs::NONE, Fill::Text(fill))
}

/// The text as the model has it, tags included; or with its numbers as they are written, where that is wanted.
fn raw<'a>(row: &'a Told<'_>) -> Cow<'a, str> {
    Cow::Borrowed(row.heard.written.as_ref().unwrap_or(&row.heard.raw))
}

/// A tag, or an empty text where the model says nothing of the kind.
fn tag(tag: Option<&str>) -> Cow<'_, str> {
    Cow::Borrowed(tag.unwrap_or_default())
}

impl Output {
    const fn new(name: &'static str, needs: Needs, fill: Fill) -> Self {
        Self { name, needs, fill }
    }

    /// The type and dims that a config must give it.
    fn kind(&self) -> (DataType, Option<usize>) {
        match self.fill {
            Fill::Text(_) => (DataType::String, Some(1)),
            Fill::Number(_) => (DataType::Fp32, Some(1)),
            Fill::Flag(_) => (DataType::Bool, Some(1)),
            Fill::Count(_) | Fill::Integer(_) => (DataType::Int32, Some(1)),
            Fill::Texts(_) => (DataType::String, None),
            Fill::Times(_) => (DataType::Int32, None),
            Fill::Numbers(_) => (DataType::Fp32, None),
        }
    }

    /// The output that a config lists.
    fn listed(listed: &TensorConfig) -> Result<&'static Self, Error> {
        let known = OUTPUTS.iter().find(|output| output.name == listed.name);
        known.ok_or_else(|| {
            let names: Vec<&str> = OUTPUTS.iter().map(|output| output.name).collect();
            Error::Config(format!(
                "there is no output '{}' here; there are {}",
                listed.name,
                names.join(", ")
            ))
        })
    }
}

/// The outputs that a model's config lists.
pub(crate) struct Outputs {
    chosen: Vec<&'static Output>,
    needs: Needs,
    layout: Layout,
}

impl Outputs {
    /// Those that `config` lists.
    ///
    /// # Errors
    /// If there is one that cannot be filled, or of another type or shape; the message lists what there is.
    pub(crate) fn of(config: &ModelConfig) -> Result<Self, Error> {
        let choose = |listed: &TensorConfig| {
            let output = Output::listed(listed)?;
            let (data_type, dim) = output.kind();
            check_tensor(listed, data_type, &[dim])?;
            Ok(output)
        };
        let chosen: Vec<&'static Output> = config
            .output
            .iter()
            .map(choose)
            .collect::<Result<_, Error>>()?;
        if chosen.is_empty() {
            return Err(Error::Config("it has no output".to_owned()));
        }
        Ok(Self {
            needs: chosen.iter().fold(Needs::NONE, |needs, output| {
                needs.and(output.needs, output.name)
            }),
            chosen,
            layout: Layout {
                batched: config.batches(),
            },
        })
    }

    /// What has to be known of a row to fill them.
    pub(crate) fn needs(&self) -> Needs {
        self.needs
    }

    /// An error if there is one that only streams have.
    pub(crate) fn of_recordings(self) -> Result<Self, Error> {
        match self
            .chosen
            .iter()
            .find(|output| output.needs == Needs::STREAM)
        {
            None => Ok(self),
            Some(Output { name, .. }) => Err(Error::Config(format!(
                "output '{name}' is one of streams; this component transcribes whole recordings"
            ))),
        }
    }

    /// An error if there is one that tells of the audio, which this component does not see.
    pub(crate) fn without_audio(self) -> Result<Self, Error> {
        match self
            .chosen
            .iter()
            .find(|output| output.needs == Needs::ORIGIN)
        {
            None => Ok(self),
            Some(Output { name, .. }) => Err(Error::Config(format!(
                "output '{name}' tells of the request's audio files; the pipelines sensevoice and paraformer have it"
            ))),
        }
    }

    /// A response with what was heard in each row of a request for whole recordings; `origins` says where the rows come from, if
    /// that is known.
    pub(crate) fn respond(
        &self,
        request: &Request,
        heard: &[Transcript],
        origins: &[Origin],
    ) -> Result<Response, Error> {
        let told = |(row, heard)| Told::of_recording(heard, origins.get(row), self.needs);
        let told: Vec<Told<'_>> = heard.iter().enumerate().map(told).collect();
        let mut response = request.response()?;
        self.write(&mut response, |name| request.wants(name), &told)?;
        Ok(response)
    }

    /// Writes those that are wanted into a response.
    pub(crate) fn write(
        &self,
        response: &mut Response,
        wants: impl Fn(&str) -> bool,
        rows: &[Told<'_>],
    ) -> Result<(), Error> {
        let wanted = self.chosen.iter().filter(|output| wants(output.name));
        wanted.into_iter().try_for_each(|output| {
            padded::write(response, self.layout, output.name, &output.fill, rows)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(outputs: serde_json::Value) -> ModelConfig {
        let json = serde_json::json!({"max_batch_size": 8, "output": outputs});
        ModelConfig::from_json(&json.to_string()).unwrap()
    }

    fn listed(name: &str, data_type: &str, dims: &[i64]) -> serde_json::Value {
        serde_json::json!({"name": name, "data_type": data_type, "dims": dims})
    }

    fn of(outputs: serde_json::Value) -> Result<Outputs, String> {
        Outputs::of(&config(outputs)).map_err(|error| error.to_string())
    }

    #[test]
    fn an_output_that_cannot_be_filled_is_refused_with_those_that_can() {
        let good = listed("TRANSCRIPTS", "TYPE_STRING", &[1]);
        assert_eq!(of(serde_json::json!([good])).unwrap().chosen.len(), 1);
        let error = of(serde_json::json!([
            good,
            listed("SENTENCES", "TYPE_STRING", &[1])
        ]));
        let error = error.err().unwrap();
        assert!(
            error.starts_with(
                "model config: there is no output 'SENTENCES' here; there are TRANSCRIPTS, OUTPUT0, transcripts, TEXT, LANGUAGE_ID"
            ),
            "{error}"
        );
        let error = of(serde_json::json!([listed(
            "TRANSCRIPTS",
            "TYPE_FP32",
            &[1]
        )]));
        assert!(error.err().unwrap().contains("is TYPE_FP32"));
        assert!(of(serde_json::json!([])).is_err());
    }

    #[test]
    fn types_and_dims_are_those_of_the_values() {
        for (name, data_type, dims) in [
            ("CONFIDENCE", "TYPE_FP32", 1),
            ("TOKENS", "TYPE_STRING", -1),
            ("TOKEN_START_MS", "TYPE_INT32", -1),
            ("TOKEN_CONFIDENCE", "TYPE_FP32", -1),
            ("TOKEN_COUNT", "TYPE_INT32", 1),
            ("WORDS", "TYPE_STRING", -1),
            ("IS_FINAL", "TYPE_BOOL", 1),
            ("FULL_TEXT", "TYPE_STRING", 1),
            ("RESULT_JSON", "TYPE_STRING", 1),
        ] {
            let good = of(serde_json::json!([listed(name, data_type, &[dims])]));
            assert!(good.is_ok(), "{name}: {:?}", good.err());
            let error = of(serde_json::json!([listed(name, data_type, &[-1, -1])]));
            assert!(error.err().unwrap().contains("dims"), "{name}");
            let error = of(serde_json::json!([listed(name, "TYPE_INT64", &[dims])]));
            assert!(error.err().unwrap().contains("TYPE_INT64"), "{name}");
        }
    }

    #[test]
    fn what_needs_to_be_known_is_what_is_listed() {
        let needs = |names: &[(&str, &str, i64)]| {
            let outputs: Vec<_> = names
                .iter()
                .map(|&(name, kind, dim)| listed(name, kind, &[dim]))
                .collect();
            of(serde_json::json!(outputs)).unwrap().needs()
        };
        let text = ("TEXT", "TYPE_STRING", 1);
        assert_eq!(needs(&[text]), Needs::NONE);
        let count = ("TOKEN_COUNT", "TYPE_INT32", 1);
        assert_eq!(needs(&[text, count]), Needs::NONE);
        let told = needs(&[("CONFIDENCE", "TYPE_FP32", 1)]);
        assert_eq!((told.probabilities, told.times), (true, Times::Unused));
        let json = ("RESULT_JSON", "TYPE_STRING", 1);
        let told = needs(&[json]);
        assert!(told.probabilities && told.words);
        assert_eq!(told.times, Times::IfKnown);
        let told = needs(&[("WORD_END_MS", "TYPE_INT32", -1), json]);
        assert_eq!(told.times, Times::Needed("WORD_END_MS"));
    }

    #[test]
    fn only_who_sees_the_audio_tells_of_it() {
        for (name, kind) in [("WARNING", "TYPE_STRING"), ("AUDIO_ROW", "TYPE_INT32")] {
            let outputs = of(serde_json::json!([listed(name, kind, &[1])])).unwrap();
            let error = outputs.without_audio().err().unwrap().to_string();
            assert!(
                error.contains(&format!("output '{name}' tells of")),
                "{error}"
            );
        }
        let text = of(serde_json::json!([listed("TEXT", "TYPE_STRING", &[1])])).unwrap();
        assert!(text.without_audio().is_ok());
    }

    #[test]
    fn streams_have_outputs_of_their_own() {
        let text = listed("TEXT", "TYPE_STRING", &[1]);
        let outputs = of(serde_json::json!([text])).unwrap();
        assert!(outputs.of_recordings().is_ok());
        let outputs = of(serde_json::json!([
            text,
            listed("IS_FINAL", "TYPE_BOOL", &[1])
        ]))
        .unwrap();
        let error = outputs.of_recordings().err().unwrap().to_string();
        assert!(
            error.contains("output 'IS_FINAL' is one of streams"),
            "{error}"
        );
    }
}
