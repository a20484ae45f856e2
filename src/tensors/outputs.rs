//! The outputs that are filled from transcripts: one table says which there are and what each holds.

use std::borrow::Cow;

use asr_decode::Transcript;
use triton_backend::{DataType, Error, ModelConfig, Response};

use crate::tensors::layout::{Layout, check_tensor};

/// Every output: its name in a config, and what a row of it holds.
const OUTPUTS: &[Output] = &[
    Output("TRANSCRIPTS", raw),
    // What the steps' outputs have always been called.
    Output("OUTPUT0", raw),
    Output("transcripts", raw),
    Output("TEXT", |transcript| Cow::Owned(transcript.text())),
];

/// A STRING output `[rows, 1]`.
struct Output(&'static str, fn(&Transcript) -> Cow<'_, str>);

/// The text as the model has it, tags included.
fn raw(transcript: &Transcript) -> Cow<'_, str> {
    Cow::Borrowed(&transcript.raw)
}

/// The outputs that a model's config lists.
pub(crate) struct Outputs {
    chosen: Vec<&'static Output>,
    layout: Layout,
}

impl Outputs {
    /// Those that `config` lists.
    ///
    /// # Errors
    /// If there is one that cannot be filled, or of another type or shape; the message lists what there is.
    pub(crate) fn of(config: &ModelConfig) -> Result<Self, Error> {
        let choose = |listed: &triton_backend::TensorConfig| {
            let known = OUTPUTS.iter().find(|output| output.0 == listed.name);
            let output = known.ok_or_else(|| {
                let names: Vec<&str> = OUTPUTS.iter().map(|output| output.0).collect();
                Error::Config(format!(
                    "there is no output '{}' here; there are {}",
                    listed.name,
                    names.join(", ")
                ))
            })?;
            check_tensor(listed, DataType::String, &[Some(1)])?;
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
            chosen,
            layout: Layout {
                batched: config.batches(),
            },
        })
    }

    /// Writes those that are wanted into a response, a row for each transcript.
    pub(crate) fn write(
        &self,
        response: &mut Response,
        wants: impl Fn(&str) -> bool,
        transcripts: &[Transcript],
    ) -> Result<(), Error> {
        for Output(name, fill) in self.chosen.iter().filter(|output| wants(output.0)) {
            let texts: Vec<Cow<'_, str>> = transcripts.iter().map(fill).collect();
            let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
            response.output_strings(name, &self.layout.shape(texts.len(), &[1]), &texts)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(outputs: serde_json::Value) -> ModelConfig {
        let json = serde_json::json!({"max_batch_size": 8, "output": outputs});
        ModelConfig::from_json(&json.to_string()).unwrap()
    }

    #[test]
    fn an_output_that_cannot_be_filled_is_refused_with_those_that_can() {
        let text = |name: &str, data_type: &str, dims: &[i64]| serde_json::json!({"name": name, "data_type": data_type, "dims": dims});
        let of = |outputs: serde_json::Value| Outputs::of(&config(outputs));
        let good = text("TRANSCRIPTS", "TYPE_STRING", &[1]);
        assert_eq!(of(serde_json::json!([good])).unwrap().chosen.len(), 1);
        let error = of(serde_json::json!([
            good,
            text("WORDS", "TYPE_STRING", &[1])
        ]));
        let error = error.err().unwrap().to_string();
        assert!(
            error.starts_with(
                "model config: there is no output 'WORDS' here; there are TRANSCRIPTS, OUTPUT0, transcripts, TEXT"
            ),
            "{error}"
        );
        let error = of(serde_json::json!([text("TRANSCRIPTS", "TYPE_FP32", &[1])]));
        assert!(error.err().unwrap().to_string().contains("is TYPE_FP32"));
        assert!(of(serde_json::json!([])).is_err());
    }
}
