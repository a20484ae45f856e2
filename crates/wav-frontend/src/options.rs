//! The front end's options and their limits.

use crate::error::{OptionsError, invalid};
use crate::lanes::Number;
use crate::mel::MelBank;

/// Largest frame in samples, which bounds the FFT: four seconds at 16 kHz.
const MAX_FRAME_SAMPLES: f64 = 65_536.0;
/// Largest stacked frame in values.
const MAX_FEATURE_DIM: usize = 65_536;

/// Shape of the analysis window, with Kaldi's names and formulas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Window {
    /// `0.54 - 0.46 cos(2πi/(N-1))`
    #[default]
    Hamming,
    /// `0.5 - 0.5 cos(2πi/(N-1))`
    Hanning,
    /// The Hanning window to the power of 0.85.
    Povey,
    /// 1 everywhere.
    Rectangular,
    /// `0.42 - 0.5 cos(2πi/(N-1)) + 0.08 cos(4πi/(N-1))`
    Blackman,
}

impl Window {
    const ALL: [(&'static str, Window); 5] = [
        ("hamming", Window::Hamming),
        ("hanning", Window::Hanning),
        ("povey", Window::Povey),
        ("rectangular", Window::Rectangular),
        ("blackman", Window::Blackman),
    ];

    /// The window with Kaldi's `name`, e.g. `hamming`; an unknown name is an error that lists the known ones.
    pub fn from_name(name: &str) -> Result<Self, OptionsError> {
        let known = Self::ALL.iter().find(|(known, _)| *known == name);
        known.map(|(_, window)| *window).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|(name, _)| *name).collect();
            invalid(
                "window",
                shown(name),
                format!("one of {}", names.join(", ")),
            )
        })
    }

    /// The weight of each of a frame's `len` samples (at least 2).
    pub(crate) fn weights(self, len: usize) -> Vec<f64> {
        let step = std::f64::consts::TAU / (len - 1) as f64;
        (0..len)
            .map(|i| {
                let phase = step * i as f64;
                match self {
                    Window::Hamming => 0.54 - 0.46 * phase.cos(),
                    Window::Hanning => 0.5 - 0.5 * phase.cos(),
                    Window::Povey => (0.5 - 0.5 * phase.cos()).powf(0.85),
                    Window::Rectangular => 1.0,
                    Window::Blackman => {
                        // Kaldi keeps this coefficient in single precision.
                        let level = f64::from(0.42f32);
                        level - 0.5 * phase.cos() + (0.5 - level) * (2.0 * phase).cos()
                    }
                }
            })
            .collect()
    }
}

/// How samples become features. The default is what SenseVoice and Paraformer were trained with.
///
/// ```
/// use wav_frontend::FrontendOptions;
///
/// let options = FrontendOptions { dither: 1.0, dither_seed: 7, ..FrontendOptions::default() };
/// assert_eq!(options.frame_length_samples(), 400);
/// assert!(FrontendOptions { num_mel_bins: 0, ..options }.validate().is_err());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct FrontendOptions {
    /// Samples per second (`fs`), 16000.
    pub sample_rate: u32,
    /// Shape of the analysis window (`window`), Hamming.
    pub window: Window,
    /// Mel filters (`n_mels`), 80.
    pub num_mel_bins: usize,
    /// Length of a frame in ms (`frame_length`), 25.
    pub frame_length_ms: f64,
    /// Distance between the starts of two frames in ms (`frame_shift`), 10.
    pub frame_shift_ms: f64,
    /// Lower edge of the first mel filter in Hz, 20.
    pub low_freq_hz: f64,
    /// Upper edge of the last mel filter in Hz; 0 is Nyquist and a negative value is relative to it. 0.
    pub high_freq_hz: f64,
    /// Preemphasis coefficient, 0.97.
    pub preemphasis: f32,
    /// Frames stacked into one (`lfr_m`), 7.
    pub lfr_m: usize,
    /// Frames between two stacked ones (`lfr_n`), 6.
    pub lfr_n: usize,
    /// Standard deviation of the Gaussian noise added to each frame's samples, in 16-bit sample steps
    /// (`dither`). 0, so that the same audio gives the same features.
    pub dither: f32,
    /// Seed of the noise: the same seed gives the same audio the same noise, whatever its company.
    pub dither_seed: u64,
}

impl Default for FrontendOptions {
    fn default() -> Self {
        Self {
            sample_rate: 16_000,
            window: Window::Hamming,
            num_mel_bins: 80,
            frame_length_ms: 25.0,
            frame_shift_ms: 10.0,
            low_freq_hz: 20.0,
            high_freq_hz: 0.0,
            preemphasis: 0.97,
            lfr_m: 7,
            lfr_n: 6,
            dither: 0.0,
            dither_seed: 0,
        }
    }
}

impl FrontendOptions {
    /// Reads the `frontend_conf` section of a model's config.yaml: `fs`, `window`, `n_mels`,
    /// `frame_length`, `frame_shift`, `lfr_m`, `lfr_n` and `dither`. Other keys are ignored, missing
    /// ones keep their default.
    ///
    /// # Errors
    /// When there is no such section, the YAML before its end is broken, or a value makes no sense;
    /// the error names the key.
    ///
    /// ```
    /// use wav_frontend::FrontendOptions;
    ///
    /// let options = FrontendOptions::from_yaml("frontend_conf:\n    fs: 8000\n    n_mels: 40\n")?;
    /// assert_eq!((options.sample_rate, options.num_mel_bins, options.lfr_m), (8000, 40, 7));
    ///
    /// let error = FrontendOptions::from_yaml("frontend_conf: {lfr_n: zero}").unwrap_err();
    /// assert_eq!(error.to_string(), "lfr_n is \"zero\", expected a whole number");
    /// # Ok::<(), wav_frontend::OptionsError>(())
    /// ```
    pub fn from_yaml(text: &str) -> Result<Self, OptionsError> {
        let mut options = Self::default();
        for (key, value) in crate::yaml::section(text, "frontend_conf")? {
            options.set(&key, value.as_deref())?;
        }
        options.validate()?;
        Ok(options)
    }

    /// Sets the option that `frontend_conf` calls `key`; `None` is a value which is not a scalar.
    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), OptionsError> {
        match key {
            "fs" => self.sample_rate = whole("fs", value)?,
            "window" => self.window = Window::from_name(scalar("window", value)?)?,
            "n_mels" => self.num_mel_bins = whole("n_mels", value)? as usize,
            "frame_length" => self.frame_length_ms = number("frame_length", value)?,
            "frame_shift" => self.frame_shift_ms = number("frame_shift", value)?,
            "lfr_m" => self.lfr_m = whole("lfr_m", value)? as usize,
            "lfr_n" => self.lfr_n = whole("lfr_n", value)? as usize,
            "dither" => self.dither = number("dither", value)? as f32,
            _ => {}
        }
        Ok(())
    }

    /// Samples in a frame, 400 by default.
    pub fn frame_length_samples(&self) -> usize {
        self.samples_in(self.frame_length_ms)
    }

    /// Samples between the starts of two frames, 160 by default.
    pub fn frame_shift_samples(&self) -> usize {
        self.samples_in(self.frame_shift_ms)
    }

    /// Values in a stacked frame, 560 by default.
    pub fn feature_dim(&self) -> usize {
        self.num_mel_bins.saturating_mul(self.lfr_m)
    }

    /// Frequencies of the first filter's lower and the last one's upper edge, in Hz.
    pub(crate) fn band(&self) -> (f64, f64) {
        let nyquist = f64::from(self.sample_rate) / 2.0;
        let high = self.high_freq_hz;
        (
            self.low_freq_hz,
            if high > 0.0 { high } else { nyquist + high },
        )
    }

    /// The mel filters.
    pub(crate) fn mel_bank<T: Number>(&self) -> Result<MelBank<T>, OptionsError> {
        let frame_length = self.frame_length_samples();
        MelBank::new(
            self.num_mel_bins,
            self.band(),
            self.sample_rate,
            frame_length,
        )
    }

    fn samples_in(&self, ms: f64) -> usize {
        // 20 ms at 22050 Hz are 441 samples, also where the product falls just short of it.
        (f64::from(self.sample_rate) * ms / 1000.0 + 1e-6) as usize
    }

    /// Checks every option; [`Frontend::new`](crate::Frontend::new) does it too.
    ///
    /// # Errors
    /// Names the first option that makes no sense, as `frontend_conf` calls it, and its limits.
    pub fn validate(&self) -> Result<(), OptionsError> {
        check("fs", self.sample_rate, 100, 1_000_000)?;
        let per_sample = 1000.0 / f64::from(self.sample_rate);
        let longest = MAX_FRAME_SAMPLES * per_sample;
        check(
            "frame_length",
            self.frame_length_ms,
            2.0 * per_sample,
            longest,
        )?;
        check("frame_shift", self.frame_shift_ms, per_sample, longest)?;
        check("n_mels", self.num_mel_bins, 3, 4096)?;
        check("lfr_m", self.lfr_m, 1, 1024)?;
        check("lfr_n", self.lfr_n, 1, 1024)?;
        if self.feature_dim() > MAX_FEATURE_DIM {
            let given = format!("{} with {} mel bins", self.lfr_m, self.num_mel_bins);
            return Err(invalid(
                "lfr_m",
                given,
                format!("lfr_m x n_mels up to {MAX_FEATURE_DIM}"),
            ));
        }
        check("dither", self.dither, 0.0, 32_768.0)?;
        check("preemphasis", self.preemphasis, 0.0, 1.0)?;
        let nyquist = f64::from(self.sample_rate) / 2.0;
        let (low, high) = self.band();
        check("high_freq", high, 1.0, nyquist)?;
        check("low_freq", low, 0.0, high - 1.0)?;
        self.mel_bank::<f64>().map(drop)
    }
}

/// Whether `min <= value <= max`; NaN is not.
fn check<T: PartialOrd + std::fmt::Display>(
    key: &'static str,
    value: T,
    min: T,
    max: T,
) -> Result<(), OptionsError> {
    if value >= min && value <= max {
        return Ok(());
    }
    Err(invalid(key, value.to_string(), format!("{min} to {max}")))
}

fn scalar<'a>(key: &'static str, value: Option<&'a str>) -> Result<&'a str, OptionsError> {
    value.ok_or_else(|| invalid(key, "not a scalar".into(), "one plain value"))
}

fn number(key: &'static str, value: Option<&str>) -> Result<f64, OptionsError> {
    let text = scalar(key, value)?;
    let parsed = text.parse::<f64>().ok().filter(|number| number.is_finite());
    parsed.ok_or_else(|| invalid(key, shown(text), "a number"))
}

/// A whole number, also when it is written `16000.0`.
fn whole(key: &'static str, value: Option<&str>) -> Result<u32, OptionsError> {
    let text = scalar(key, value)?;
    let parsed = text.parse::<f64>().ok();
    let fits = |number: &f64| number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(number);
    let number = parsed
        .filter(fits)
        .ok_or_else(|| invalid(key, shown(text), "a whole number"))?;
    Ok(number as u32)
}

/// `text` quoted, and cut where it is too long for a message.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
