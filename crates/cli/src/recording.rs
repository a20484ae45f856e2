//! The demo's recordings as clients send them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hound::{SampleFormat, WavReader};

/// Samples per second of everything the models hear.
const RATE: u32 = 16_000;
/// Clients pad audio to a multiple of this many seconds, so that the server can batch equal shapes.
const PADDED_TO_SECONDS: usize = 10;

/// Mono audio.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Samples in [-1, 1] at 16 kHz.
    pub samples: Vec<f32>,
}

impl Recording {
    /// Reads a 16 kHz, 16-bit mono wav file.
    pub fn read(path: &Path) -> Result<Self> {
        let context = || format!("cannot read {}", path.display());
        let mut reader = WavReader::open(path).with_context(context)?;
        let spec = reader.spec();
        if (
            spec.channels,
            spec.sample_rate,
            spec.bits_per_sample,
            spec.sample_format,
        ) != (1, RATE, 16, SampleFormat::Int)
        {
            bail!("{} is not 16 kHz mono PCM16: {spec:?}", path.display());
        }
        let samples = reader
            .samples::<i16>()
            .map(|sample| Ok(f32::from(sample?) / 32768.0))
            .collect::<Result<_>>()
            .with_context(context)?;
        Ok(Self { samples })
    }

    /// How long it lasts.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(RATE))
    }

    /// How many samples, as a tensor of lengths has them.
    pub fn length(&self) -> Result<[i32; 1]> {
        Ok([i32::try_from(self.samples.len())?])
    }

    /// The samples, followed by silence up to the next full ten seconds.
    pub fn padded(&self) -> Vec<f32> {
        let unit = PADDED_TO_SECONDS * RATE as usize;
        let mut samples = self.samples.clone();
        samples.resize(samples.len().next_multiple_of(unit), 0.0);
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_recording_is_read_and_padded() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/recordings/08_en.wav");
        let recording = Recording::read(&path).unwrap();
        assert_eq!(recording.samples.len(), (39334 - 44) / 2);
        assert_eq!(recording.duration().as_millis(), 1227);
        assert!(recording.samples.iter().any(|sample| sample.abs() > 0.01));
        assert!(recording.samples.iter().all(|sample| sample.abs() <= 1.0));
        let padded = recording.padded();
        assert_eq!(padded.len(), 160_000);
        assert_eq!(padded[..recording.samples.len()], recording.samples);
    }

    #[test]
    fn other_formats_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stereo.wav");
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 8000,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        hound::WavWriter::create(&path, spec)
            .unwrap()
            .finalize()
            .unwrap();
        let error = Recording::read(&path).unwrap_err().to_string();
        assert!(error.contains("not 16 kHz mono PCM16"), "{error}");
    }
}
