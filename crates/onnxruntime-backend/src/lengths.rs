//! Inputs that say how much of another one counts, and are held to it.
//!
//! A model makes its masks as long as the largest length says. One that lies by a few digits makes ONNX Runtime allocate
//! gigabytes, and the system then ends the whole server.

use triton_backend::{DataType, Error, Input, ModelConfig};

/// The parameter that names them: `speech_lengths: speech`, several with commas between them.
pub(crate) const LENGTH_INPUTS: &str = "length_inputs";

/// An input of lengths, and the input that they are lengths of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LengthInput {
    name: String,
    of: String,
    /// Which dimension of the other input they count: the first behind the batch.
    axis: usize,
}

impl LengthInput {
    /// Those that a config names.
    pub(crate) fn from_config(config: &ModelConfig) -> Result<Vec<Self>, Error> {
        let Some(text) = config.parameters.text(LENGTH_INPUTS) else {
            return Ok(Vec::new());
        };
        text.split(',')
            .map(|pair| Self::parse(pair, config))
            .collect()
    }

    fn parse(pair: &str, config: &ModelConfig) -> Result<Self, Error> {
        let wrong = |message: String| Error::parameter(LENGTH_INPUTS, message);
        let Some((name, of)) = pair.split_once(':') else {
            let pair = pair.trim();
            let message = format!("'{pair}' is not a pair of inputs, as in 'lengths: tensor'");
            return Err(wrong(message));
        };
        let (name, of) = (name.trim(), of.trim());
        let lengths = config
            .input(name)
            .map_err(|error| wrong(error.to_string()))?;
        config.input(of).map_err(|error| wrong(error.to_string()))?;
        if !matches!(lengths.data_type(), Some(DataType::Int32 | DataType::Int64)) {
            let given = &lengths.data_type_name;
            return Err(wrong(format!(
                "'{name}' is {given}, expected TYPE_INT32 or TYPE_INT64"
            )));
        }
        Ok(Self {
            name: name.to_owned(),
            of: of.to_owned(),
            axis: usize::from(config.batches()),
        })
    }

    /// Checks a request's lengths; inputs that it lacks are not this one's affair.
    pub(crate) fn check(&self, inputs: &[Input<'_>]) -> Result<(), Error> {
        let find = |name: &str| inputs.iter().find(|input| input.name() == name);
        let (Some(lengths), Some(of)) = (find(&self.name), find(&self.of)) else {
            return Ok(());
        };
        let most = of.shape().get(self.axis).copied().unwrap_or(0);
        let values: Vec<i64> = match lengths.data_type() {
            DataType::Int32 => lengths
                .read::<i32>()?
                .iter()
                .map(|&value| value.into())
                .collect(),
            DataType::Int64 => lengths.read::<i64>()?.into_owned(),
            // What reads the tensor refuses it.
            _ => return Ok(()),
        };
        match first_beyond(&values, most) {
            None => Ok(()),
            Some((row, value)) => {
                let of = &self.of;
                let message =
                    format!("row {row} is {value}, expected 0 to {most}, as long as '{of}' is");
                Err(Error::input(&self.name, message))
            }
        }
    }
}

fn first_beyond(values: &[i64], most: i64) -> Option<(usize, i64)> {
    let rows = values.iter().copied().enumerate();
    rows.into_iter()
        .find(|(_, value)| !(0..=most).contains(value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn config(value: &str) -> ModelConfig {
        let json = serde_json::json!({
            "max_batch_size": 4,
            "input": [
                {"name": "speech", "data_type": "TYPE_FP32", "dims": [-1, 560]},
                {"name": "speech_lengths", "data_type": "TYPE_INT32", "dims": [1]},
                {"name": "enc", "data_type": "TYPE_FP32", "dims": [-1, 512]},
                {"name": "enc_len", "data_type": "TYPE_INT64", "dims": [1]},
            ],
            "parameters": {"length_inputs": {"string_value": value}},
        });
        ModelConfig::from_json(&json.to_string()).unwrap()
    }

    #[test]
    fn pairs_are_read() {
        let pair = |name: &str, of: &str| LengthInput {
            name: name.to_owned(),
            of: of.to_owned(),
            axis: 1,
        };
        let read =
            LengthInput::from_config(&config(" speech_lengths:speech, enc_len : enc ")).unwrap();
        assert_eq!(
            read,
            [pair("speech_lengths", "speech"), pair("enc_len", "enc")]
        );
        assert!(LengthInput::from_config(&config("")).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_pair_of_inputs_is_named() {
        for (value, words) in [
            ("speech_lengths", "'speech_lengths' is not a pair"),
            ("speech_lengths: speech,", "'' is not a pair"),
            ("lengths: speech", "'lengths' is missing"),
            ("speech_lengths: wav", "'wav' is missing"),
            ("speech: enc", "'speech' is TYPE_FP32"),
        ] {
            let error = LengthInput::from_config(&config(value))
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("parameter 'length_inputs'") && error.contains(words),
                "{error}"
            );
        }
    }

    #[test]
    fn lengths_beyond_the_tensor_are_found() {
        assert_eq!(first_beyond(&[0, 7, 3], 7), None);
        assert_eq!(first_beyond(&[7, 8, 9], 7), Some((1, 8)));
        assert_eq!(first_beyond(&[-1], 7), Some((0, -1)));
        assert_eq!(first_beyond(&[i64::MAX], 7), Some((0, i64::MAX)));
    }
}
