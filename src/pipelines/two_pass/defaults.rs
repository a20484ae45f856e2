//! The inputs that are handed on to the recogniser: what a stream said of them last, or what the config says.

use triton_backend::{Call, DataType, Error, ModelContext, Request};

use crate::tensors::audio::Names;
use crate::tensors::parameters::{Parameter, Written};

pub(super) const DEFAULTS: Parameter<Defaults> = Parameter::new(
    "defaults",
    "what the recogniser is given for inputs of INT32 that a stream did not say, as in `LANGUAGE=0, TEXT_NORM=15`",
);

/// A stream keeps what its requests say; no input that is meant to be kept is larger.
const MOST_BYTES: usize = 1 << 20;

/// What the parameter `defaults` says.
pub(super) struct Defaults(Vec<(String, i32)>);

impl Written for Defaults {
    const KIND: &'static str = "inputs and whole numbers";

    fn parse(text: &str) -> Result<Self, &'static str> {
        let each = |part: &str| {
            let (name, number) = part.split_once('=')?;
            let name = name.trim();
            (!name.is_empty()).then_some(())?;
            Some((name.to_owned(), number.trim().parse().ok()?))
        };
        let parts = text.split(',').filter(|part| !part.trim().is_empty());
        parts
            .map(each)
            .collect::<Option<_>>()
            .map(Self)
            .ok_or("is no list as in 'LANGUAGE=0, TEXT_NORM=15'")
    }
}

/// The inputs that are no audio.
pub(super) struct Others(Vec<Other>);

struct Other {
    name: String,
    data_type: DataType,
    default: Option<i32>,
}

/// What a stream said of each of them; none of those that it has not mentioned.
#[derive(Clone, Default)]
pub(super) struct Said(Vec<Option<(Vec<i64>, Vec<u8>)>>);

impl Others {
    pub(super) fn load(context: &ModelContext) -> Result<Self, Error> {
        let Defaults(mut defaults) = DEFAULTS.find(context)?.unwrap_or(Defaults(Vec::new()));
        let names = &Names::PIPELINE;
        let audio = [names.wav, names.wav_lens, names.sample_rate];
        let inputs = context.config.input.iter();
        let inputs = inputs.filter(|input| !audio.contains(&input.name.as_str()));
        let other = |input: &triton_backend::TensorConfig| {
            let name = input.name.clone();
            let data_type = input.data_type().ok_or_else(|| {
                let data_type = &input.data_type_name;
                Error::Config(format!("input '{name}' has unknown type {data_type}"))
            })?;
            let place = defaults.iter().position(|(default, _)| *default == name);
            let default = place.map(|place| defaults.swap_remove(place).1);
            if default.is_some() && data_type != DataType::Int32 {
                let message = format!("input '{name}' is {data_type}, and defaults are INT32");
                return Err(Error::parameter(DEFAULTS.name(), message));
            }
            Ok(Other {
                name,
                data_type,
                default,
            })
        };
        let others = inputs.map(other).collect::<Result<_, Error>>()?;
        match defaults.first() {
            None => Ok(Self(others)),
            Some((name, _)) => Err(Error::parameter(
                DEFAULTS.name(),
                format!("the config lists no input '{name}'"),
            )),
        }
    }

    /// What a stream has said, with what a request adds.
    pub(super) fn read(&self, request: &Request, before: Option<&Said>) -> Result<Said, Error> {
        let mut said = before.cloned().unwrap_or_default();
        said.0.resize(self.0.len(), None);
        for (other, own) in self.0.iter().zip(&mut said.0) {
            let input = match request.input(&other.name) {
                Ok(input) => input,
                Err(Error::MissingInput { .. }) => continue,
                Err(error) => return Err(error),
            };
            let bytes = input.byte_size();
            if bytes > MOST_BYTES {
                let message = format!("has {bytes} bytes; a stream keeps up to {MOST_BYTES}");
                return Err(Error::input(&other.name, message));
            }
            *own = Some((input.shape().to_vec(), input.bytes()?.into_owned()));
        }
        Ok(said)
    }

    /// The call with them.
    pub(super) fn add_to(&self, call: Call, said: &Said) -> Call {
        let others = self.0.iter().zip(&said.0);
        others.fold(call, |call, (other, own)| match (own, other.default) {
            (Some((shape, bytes)), _) => {
                call.input_bytes(&other.name, other.data_type, shape, bytes.clone())
            }
            (None, Some(number)) => call.input(&other.name, &[1, 1], [number]),
            (None, None) => call,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_names_and_numbers() {
        let parsed = |text| Defaults::parse(text).map(|Defaults(parts)| parts);
        let named = |name: &str, number| (name.to_owned(), number);
        assert_eq!(
            parsed("LANGUAGE=0, TEXT_NORM = 15,").unwrap(),
            [named("LANGUAGE", 0), named("TEXT_NORM", 15)]
        );
        assert_eq!(parsed("").unwrap(), []);
        for wrong in ["LANGUAGE", "LANGUAGE=zh", "=1", "A=1;B=2"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
