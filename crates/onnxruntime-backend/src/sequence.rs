//! The tensors that a config's `sequence_batching` brings along.

use serde_json::Value;
use triton_backend::DataType;

/// The tensors that the server adds to requests of a sequence, and those it keeps for the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SequenceTensors {
    pub(crate) controls: Vec<Control>,
    pub(crate) states: Vec<State>,
}

/// A control input: START, END, READY or CORRID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) name: String,
    /// What the server will send, if the config makes that plain.
    pub(crate) data_type: Option<DataType>,
}

/// A tensor of implicit state: what goes out under one name comes in under the other with the sequence's next request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) data_type_name: String,
    pub(crate) dims: Vec<i64>,
}

impl SequenceTensors {
    /// Reads them from a model's config.
    pub(crate) fn from_config(config: &Value) -> Self {
        let Some(sequence) = config.get("sequence_batching") else {
            return Self::default();
        };
        Self {
            controls: list(sequence, "control_input")
                .filter_map(Control::from_config)
                .collect(),
            states: list(sequence, "state")
                .filter_map(State::from_config)
                .collect(),
        }
    }

    /// Whether the server itself gives the input called `name`.
    pub(crate) fn gives(&self, name: &str) -> bool {
        self.controls.iter().any(|control| control.name == name)
            || self.states.iter().any(|state| state.input == name)
    }

    /// Whether the server keeps the output called `name`.
    pub(crate) fn keeps(&self, name: &str) -> bool {
        self.states.iter().any(|state| state.output == name)
    }
}

impl Control {
    fn from_config(control: &Value) -> Option<Self> {
        let pairs = [
            ("fp32_false_true", DataType::Fp32),
            ("int32_false_true", DataType::Int32),
            ("bool_false_true", DataType::Bool),
        ];
        let data_type = list(control, "control").find_map(|kind| {
            let named = text(kind, "data_type").and_then(|name| DataType::from_config_name(&name));
            let paired = pairs
                .iter()
                .find(|(key, _)| list(kind, key).next().is_some());
            named.or(paired.map(|(_, data_type)| *data_type))
        });
        Some(Self {
            name: text(control, "name")?,
            data_type,
        })
    }
}

impl State {
    fn from_config(state: &Value) -> Option<Self> {
        let dims = list(state, "dims").filter_map(|dim| {
            let text = || dim.as_str()?.parse().ok();
            dim.as_i64().or_else(text)
        });
        Some(Self {
            input: text(state, "input_name")?,
            output: text(state, "output_name")?,
            data_type_name: text(state, "data_type")?,
            dims: dims.collect(),
        })
    }
}

fn list<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    let entries = value.get(key).and_then(Value::as_array);
    entries.into_iter().flatten()
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_controls_and_states() {
        let config = json!({"sequence_batching": {
            "control_input": [
                {"name": "START", "control": [{"kind": "CONTROL_SEQUENCE_START", "int32_false_true": [],
                    "fp32_false_true": [0, 1], "data_type": "TYPE_INVALID"}]},
                {"name": "CORRID", "control": [{"kind": "CONTROL_SEQUENCE_CORRID", "data_type": "TYPE_UINT64"}]},
            ],
            "state": [{"input_name": "cache", "output_name": "r_cache", "data_type": "TYPE_FP32", "dims": [10, "560"]}],
        }});
        let sequence = SequenceTensors::from_config(&config);
        let types: Vec<_> = sequence
            .controls
            .iter()
            .map(|control| (control.name.as_str(), control.data_type))
            .collect();
        assert_eq!(
            types,
            [
                ("START", Some(DataType::Fp32)),
                ("CORRID", Some(DataType::Uint64))
            ]
        );
        assert_eq!(
            sequence.states,
            [State {
                input: "cache".to_owned(),
                output: "r_cache".to_owned(),
                data_type_name: "TYPE_FP32".to_owned(),
                dims: vec![10, 560],
            }]
        );
        assert!(sequence.gives("START") && sequence.gives("cache") && !sequence.gives("r_cache"));
        assert!(sequence.keeps("r_cache") && !sequence.keeps("cache"));
    }

    #[test]
    fn without_sequences_there_are_none() {
        assert_eq!(
            SequenceTensors::from_config(&json!({})),
            SequenceTensors::default()
        );
    }
}
