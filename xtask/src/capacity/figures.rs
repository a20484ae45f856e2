//! What a chunk of a stream and a second of a recording cost, as it was measured.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::simulation::Machine;

/// What was measured of one form of the models.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) name: String,
    pub(super) machine: Machine,
    /// Chunks at a time, and processor milliseconds a chunk.
    pub(super) measured: Vec<(f64, f64)>,
    /// Processor milliseconds a second of audio, by kind of recording.
    pub(super) offline: Vec<(String, f64)>,
    /// The streams that the bench found, and the p99 it measured by number of streams.
    pub(super) held: Option<usize>,
    pub(super) curve: Vec<(f64, f64)>,
}

/// The forms that a file tells of.
pub(super) fn read(file: &Path) -> Result<Vec<Form>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let value: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))?;
    forms(&value).with_context(|| format!("in {}", file.display()))
}

fn forms(value: &Value) -> Result<Vec<Form>> {
    let cores = value["cores"]
        .as_f64()
        .context("`cores` is how many there are")?;
    let forms = value["forms"]
        .as_object()
        .context("`forms` has the measured forms by name")?;
    forms
        .iter()
        .map(|(name, told)| form(cores, name, told).with_context(|| format!("in {name}")))
        .collect()
}

fn form(cores: f64, name: &str, told: &Value) -> Result<Form> {
    let numbers = |key: &str| -> Result<Vec<(String, f64)>> {
        let object = told[key].as_object();
        let pairs = object.into_iter().flatten().map(|(key, value)| {
            let value = value.as_f64().filter(|value| *value > 0.0);
            Ok((
                key.clone(),
                value.with_context(|| format!("{key} is not above zero"))?,
            ))
        });
        pairs.collect()
    };
    let points = |key: &str| -> Result<Vec<(f64, f64)>> {
        let pairs = numbers(key)?.into_iter().map(|(at, value)| {
            let at: f64 = at.parse().with_context(|| format!("{at} is no number"))?;
            Ok((at, value))
        });
        let mut points = pairs.collect::<Result<Vec<_>>>()?;
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        Ok(points)
    };
    let measured = points("chunk_core_ms")?;
    if measured.len() < 2 {
        bail!("`chunk_core_ms` has at least two numbers of chunks at a time");
    }
    let held = told["held"].as_u64().map(usize::try_from).transpose()?;
    Ok(Form {
        name: name.to_owned(),
        machine: Machine::fitted(cores, &measured),
        measured,
        offline: numbers("audio_core_ms_per_s")?,
        held,
        curve: points("p99_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_and_mistakes_told() {
        let told = serde_json::json!({"cores": 2, "forms": {"pipeline": {
            "chunk_core_ms": {"16": 3.25, "1": 7.0}, "audio_core_ms_per_s": {"10 s": 1.5}, "held": 512}}});
        let forms = forms(&told).unwrap();
        assert_eq!(forms[0].measured, [(1.0, 7.0), (16.0, 3.25)]);
        assert!((forms[0].machine.chunk - 3.0).abs() < 1e-9);
        assert_eq!(forms[0].held, Some(512));
        let error = super::forms(
            &serde_json::json!({"cores": 2, "forms": {"pipeline": {"chunk_core_ms": {"1": 0}}}}),
        );
        assert_eq!(
            format!("{:#}", error.unwrap_err()),
            "in pipeline: 1 is not above zero"
        );
    }
}
