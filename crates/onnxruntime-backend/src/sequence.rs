//! The tensors that a config's `sequence_batching` brings along.

use serde_json::Value;

/// The names of the tensors that the server adds to or takes from requests of a sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SequenceTensors {
    /// Controls (START, END, READY, CORRID).
    pub(crate) controls: Vec<String>,
    /// Implicit state as it comes in.
    pub(crate) state_inputs: Vec<String>,
    /// Implicit state as it goes out.
    pub(crate) state_outputs: Vec<String>,
}

impl SequenceTensors {
    /// Reads them from a model's config.
    pub(crate) fn from_config(config: &Value) -> Self {
        let Some(sequence) = config.get("sequence_batching") else {
            return Self::default();
        };
        Self {
            controls: names(sequence, "control_input", "name"),
            state_inputs: names(sequence, "state", "input_name"),
            state_outputs: names(sequence, "state", "output_name"),
        }
    }

    /// Whether the server itself gives the input called `name`.
    pub(crate) fn gives(&self, name: &str) -> bool {
        let mut given = self.controls.iter().chain(&self.state_inputs);
        given.any(|given| given == name)
    }
}

fn names(sequence: &Value, list: &str, key: &str) -> Vec<String> {
    let entries = sequence.get(list).and_then(Value::as_array);
    entries
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.get(key)?.as_str())
        .map(str::to_owned)
        .collect()
}
