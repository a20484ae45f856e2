//! The parameters of end-point detection, with FunASR's names.

use std::path::Path;
use std::str::FromStr;

use crate::config::{self, ConfigError, Section, Value, invalid};

/// Where a config.yaml has them.
const SECTIONS: [&str; 2] = ["vad_post_conf", "model_conf"];
/// What FunASR's configs have beside them, which has no effect in FunASR's own detector either.
#[cfg(test)]
const WITHOUT_EFFECT: &[&str] = &[
    "snr_mode",
    "do_start_point_detection",
    "do_end_point_detection",
    "nn_eval_block_size",
    "dcd_block_size",
    "speech_noise_thresh_low",
    "speech_noise_thresh_high",
    "output_frame_probs",
];
/// No time is longer: a day.
const LONGEST_MS: u32 = 86_400_000;

/// How many utterances are looked for (`detect_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Utterances {
    /// 0: the first; after `max_start_silence_time` without speech, none.
    One,
    /// 1: all of them.
    #[default]
    All,
}

/// How end points are found. Times are in ms.
///
/// ```
/// use speech_segments::vad::VadOptions;
///
/// let options = VadOptions::from_yaml("model_conf: {max_end_silence_time: 500, sil_pdf_ids: [0]}")?;
/// assert_eq!((options.max_end_silence_time, options.speech_noise_thres), (500, 0.6));
/// # Ok::<(), speech_segments::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct VadOptions {
    /// Samples per second, 16000.
    pub sample_rate: u32,
    /// How many utterances are looked for, all.
    pub detect_mode: Utterances,
    /// So much silence ends a segment, 800. `speech_to_sil_time_thres` of it pass before it is noticed.
    pub max_end_silence_time: u32,
    /// With [`Utterances::One`]: after so much silence nothing is expected any more, 3000.
    pub max_start_silence_time: u32,
    /// The window that is looked at to tell speech from silence, 200.
    pub window_size_ms: u32,
    /// So much speech in the window begins speech, 150.
    pub sil_to_speech_time_thres: u32,
    /// With so little speech in the window it ends, 150.
    pub speech_to_sil_time_thres: u32,
    /// Exponent of the probability of silence before it is compared, 1.
    pub speech_2_noise_ratio: f64,
    /// Whether segments are extended at both ends by the two times that follow, yes.
    pub do_extend: bool,
    /// A segment begins so much before its window of speech, 200.
    pub lookback_time_start_point: u32,
    /// A segment ends so much behind its last speech, 100.
    pub lookahead_time_end_point: u32,
    /// No segment is longer, 60000.
    pub max_single_segment_time: u32,
    /// A frame is speech only if it is louder than the noise by so many dB, -100: always.
    pub snr_thres: f64,
    /// Frames without speech over which the noise is averaged, 100.
    pub noise_frame_num_used_for_snr: u32,
    /// A frame of fewer dB is silence whatever the model says, -100: none is.
    pub decibel_thres: f64,
    /// A frame is speech if that is more probable than silence by so much, 0.6.
    pub speech_noise_thres: f64,
    /// From 1 on, no frame is speech, 0.0001.
    pub fe_prior_thres: f64,
    /// The model's classes that are silence, the first.
    pub sil_pdf_ids: Vec<usize>,
    /// From one frame to the next, 10.
    pub frame_in_ms: u32,
    /// What a frame spans, 25.
    pub frame_length_ms: u32,
}

impl Default for VadOptions {
    fn default() -> Self {
        Self {
            sample_rate: 16_000,
            detect_mode: Utterances::All,
            max_end_silence_time: 800,
            max_start_silence_time: 3000,
            window_size_ms: 200,
            sil_to_speech_time_thres: 150,
            speech_to_sil_time_thres: 150,
            speech_2_noise_ratio: 1.0,
            do_extend: true,
            lookback_time_start_point: 200,
            lookahead_time_end_point: 100,
            max_single_segment_time: 60_000,
            snr_thres: -100.0,
            noise_frame_num_used_for_snr: 100,
            decibel_thres: -100.0,
            speech_noise_thres: 0.6,
            fe_prior_thres: 1.0e-4,
            sil_pdf_ids: vec![0],
            frame_in_ms: 10,
            frame_length_ms: 25,
        }
    }
}

impl VadOptions {
    /// Reads `vad_post_conf` or `model_conf` of the config.yaml at `path`.
    ///
    /// # Errors
    /// As [`VadOptions::from_yaml`], and when the file cannot be read.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Self::from_yaml(&config::read(path.as_ref())?)
    }

    /// Reads `vad_post_conf` or `model_conf` of a config.yaml, whichever comes first. Other keys are ignored, missing ones keep
    /// their default.
    ///
    /// # Errors
    /// When there is no such section, the YAML before its end is broken, or a value makes no sense.
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        Self::of_section(&config::section(text, &SECTIONS)?)
    }

    fn of_section(section: &Section) -> Result<Self, ConfigError> {
        let mut options = Self::default();
        let mut silence_classes = None;
        for (key, value) in section {
            match key.as_str() {
                "sil_pdf_ids" => options.sil_pdf_ids = classes(value)?,
                "silence_pdf_num" => {
                    silence_classes = Some(number::<usize>("silence_pdf_num", value)?)
                }
                "detect_mode" => {
                    options.detect_mode = match number::<u32>("detect_mode", value)? {
                        0 => Utterances::One,
                        1 => Utterances::All,
                        other => return Err(invalid("detect_mode", other, "0 (one) or 1 (all)")),
                    }
                }
                "do_extend" => options.do_extend = switch("do_extend", value)?,
                _ => {
                    if let Some((key, place)) =
                        options.times().into_iter().find(|(name, _)| name == key)
                    {
                        *place = number(key, value)?;
                    } else if let Some((key, place)) =
                        options.levels().into_iter().find(|(name, _)| name == key)
                    {
                        *place = number(key, value)?;
                    }
                }
            }
        }
        if let Some(count) = silence_classes
            && count != options.sil_pdf_ids.len()
        {
            let expected = format!("{}, the number of sil_pdf_ids", options.sil_pdf_ids.len());
            return Err(invalid("silence_pdf_num", count, expected));
        }
        options.validate()?;
        Ok(options)
    }

    /// Checks that the values make sense together.
    ///
    /// # Errors
    /// Names the first that does not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        // The lists of numbers hand them out to be written.
        let mut copy = self.clone();
        for (key, time) in copy.times() {
            if *time > LONGEST_MS {
                return Err(invalid(key, time, format!("no more than {LONGEST_MS}")));
            }
        }
        for (key, level) in copy.levels() {
            if !level.is_finite() {
                return Err(invalid(key, *level, "a finite number"));
            }
        }
        for (key, number) in [
            ("frame_in_ms", self.frame_in_ms),
            (
                "noise_frame_num_used_for_snr",
                self.noise_frame_num_used_for_snr,
            ),
        ] {
            if number == 0 {
                return Err(invalid(key, number, "at least 1"));
            }
        }
        if !(0.0..=100.0).contains(&self.speech_2_noise_ratio) {
            return Err(invalid(
                "speech_2_noise_ratio",
                self.speech_2_noise_ratio,
                "0 to 100",
            ));
        }
        let window = self.window_size_ms;
        if window < self.frame_in_ms || self.window_frames() > 100_000 {
            let expected = "at least one frame and no more than 100000 (frame_in_ms)";
            return Err(invalid("window_size_ms", window, expected));
        }
        if self.frame_samples() == 0 || self.shift_samples() == 0 {
            let expected = "a frame of at least one sample (frame_in_ms, frame_length_ms)";
            return Err(invalid("sample_rate", self.sample_rate, expected));
        }
        if self.sil_pdf_ids.is_empty() {
            return Err(invalid("sil_pdf_ids", "[]", "at least one class"));
        }
        Ok(())
    }

    /// Samples of a frame.
    #[must_use]
    pub fn frame_samples(&self) -> usize {
        samples(self.frame_length_ms, self.sample_rate)
    }

    /// Samples from the beginning of a frame to that of the next.
    #[must_use]
    pub fn shift_samples(&self) -> usize {
        samples(self.frame_in_ms, self.sample_rate)
    }

    /// Whole frames of a time.
    pub(super) fn frames(&self, ms: u32) -> usize {
        usize::try_from(ms / self.frame_in_ms.max(1)).unwrap_or(usize::MAX)
    }

    pub(super) fn window_frames(&self) -> usize {
        self.frames(self.window_size_ms)
    }

    /// The whole numbers.
    fn times(&mut self) -> [(&'static str, &mut u32); 12] {
        [
            ("sample_rate", &mut self.sample_rate),
            ("max_end_silence_time", &mut self.max_end_silence_time),
            ("max_start_silence_time", &mut self.max_start_silence_time),
            ("window_size_ms", &mut self.window_size_ms),
            (
                "sil_to_speech_time_thres",
                &mut self.sil_to_speech_time_thres,
            ),
            (
                "speech_to_sil_time_thres",
                &mut self.speech_to_sil_time_thres,
            ),
            (
                "lookback_time_start_point",
                &mut self.lookback_time_start_point,
            ),
            (
                "lookahead_time_end_point",
                &mut self.lookahead_time_end_point,
            ),
            ("max_single_segment_time", &mut self.max_single_segment_time),
            (
                "noise_frame_num_used_for_snr",
                &mut self.noise_frame_num_used_for_snr,
            ),
            ("frame_in_ms", &mut self.frame_in_ms),
            ("frame_length_ms", &mut self.frame_length_ms),
        ]
    }

    /// The other numbers.
    fn levels(&mut self) -> [(&'static str, &mut f64); 5] {
        [
            ("speech_2_noise_ratio", &mut self.speech_2_noise_ratio),
            ("snr_thres", &mut self.snr_thres),
            ("decibel_thres", &mut self.decibel_thres),
            ("speech_noise_thres", &mut self.speech_noise_thres),
            ("fe_prior_thres", &mut self.fe_prior_thres),
        ]
    }
}

fn samples(ms: u32, sample_rate: u32) -> usize {
    let samples = u64::from(ms) * u64::from(sample_rate) / 1000;
    usize::try_from(samples).unwrap_or(usize::MAX)
}

fn number<T: FromStr>(key: &'static str, value: &Value) -> Result<T, ConfigError> {
    let kind = std::any::type_name::<T>();
    let expected = if kind.starts_with('f') {
        "a number"
    } else {
        "a whole number"
    };
    match value {
        Value::Scalar(text) => {
            let number = text.trim().parse();
            number.map_err(|_| invalid(key, format_args!("'{text}'"), expected))
        }
        _ => Err(invalid(key, "no scalar", expected)),
    }
}

/// `do_extend` is a number in FunASR.
fn switch(key: &'static str, value: &Value) -> Result<bool, ConfigError> {
    match value {
        Value::Scalar(text) => match text.trim().to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(invalid(key, format_args!("'{text}'"), "1 or 0")),
        },
        _ => Err(invalid(key, "no scalar", "1 or 0")),
    }
}

fn classes(value: &Value) -> Result<Vec<usize>, ConfigError> {
    let key = "sil_pdf_ids";
    match value {
        Value::List(items) => items
            .iter()
            .map(|item| number(key, &Value::Scalar(item.clone())))
            .collect(),
        _ => Err(invalid(key, "no list of numbers", "a list such as [0]")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_config_is_read() {
        let text = "frontend_conf: {fs: 16000}\nmodel_conf:\n    sample_rate: 16000\n    detect_mode: 1\n    snr_mode: 0\n    \
            max_end_silence_time: 650\n    do_start_point_detection: True\n    do_extend: 0\n    snr_thres: -99.5\n    \
            silence_pdf_num: 2\n    sil_pdf_ids: [0, 3]\n    output_frame_probs: False\nencoder: FSMN\n";
        let expected = VadOptions {
            max_end_silence_time: 650,
            do_extend: false,
            snr_thres: -99.5,
            sil_pdf_ids: vec![0, 3],
            ..VadOptions::default()
        };
        assert_eq!(VadOptions::from_yaml(text).unwrap(), expected);
    }

    #[test]
    fn keys_without_effect_are_no_error() {
        for key in WITHOUT_EFFECT {
            let text = format!("vad_post_conf: {{{key}: anything}}");
            assert_eq!(VadOptions::from_yaml(&text).unwrap(), VadOptions::default());
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (line, words) in [
            (
                "max_end_silence_time: soon",
                "max_end_silence_time is 'soon', expected a whole number",
            ),
            ("max_end_silence_time: -1", "max_end_silence_time is '-1'"),
            (
                "window_size_ms: 9",
                "window_size_ms is 9, expected at least one frame",
            ),
            ("frame_in_ms: 0", "frame_in_ms is 0, expected at least 1"),
            ("noise_frame_num_used_for_snr: 0", "expected at least 1"),
            (
                "speech_noise_thres: .nan",
                "speech_noise_thres is '.nan', expected a number",
            ),
            (
                "snr_thres: nan",
                "snr_thres is NaN, expected a finite number",
            ),
            ("detect_mode: 2", "detect_mode is 2"),
            ("sil_pdf_ids: []", "sil_pdf_ids is []"),
            ("sil_pdf_ids: 0", "expected a list"),
            ("silence_pdf_num: 2", "silence_pdf_num is 2, expected 1"),
            ("sample_rate: 10", "expected a frame of at least one sample"),
            ("frame_length_ms: 90000000", "no more than 86400000"),
        ] {
            let error = VadOptions::from_yaml(&format!("model_conf: {{{line}}}"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(words), "{line}: {error}");
        }
    }
}
