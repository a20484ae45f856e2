//! What can go wrong, as one enum per stage.

use std::path::PathBuf;

/// A front end option, or the `frontend_conf` it was read from, is not usable.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The text is not YAML up to the end of `frontend_conf`.
    #[error("not valid YAML at line {line}, column {column}: {message}")]
    Yaml {
        /// Line in the text, from 1.
        line: usize,
        /// Column in the line, from 1.
        column: usize,
        /// The parser's own words.
        message: String,
    },
    /// The YAML has no such section at its top level.
    #[error("no `{section}` section at the top level: is this the model's config.yaml?")]
    MissingSection {
        /// The section looked for.
        section: String,
    },
    /// The section is something else than a mapping.
    #[error("`{section}` (line {line}) must be a mapping of option names to values")]
    SectionNotMapping {
        /// The section.
        section: String,
        /// Line, from 1.
        line: usize,
    },
    /// A value cannot be read or is outside of what makes sense.
    #[error("{key} is {value}, expected {expected}")]
    InvalidValue {
        /// The option's name in `frontend_conf`.
        key: &'static str,
        /// What was given.
        value: String,
        /// What would have been accepted.
        expected: String,
    },
}

/// A Kaldi am.mvn file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CmvnError {
    /// The file cannot be opened or read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The content is not text.
    #[error(
        "not text: expected a Kaldi nnet in text form, with <AddShift> and <Rescale> (a binary \
         nnet can be converted with Kaldi's nnet-copy --binary=false)"
    )]
    NotText,
    /// `<AddShift>` or `<Rescale>` does not occur.
    #[error("no {section} section found, expected one <AddShift> and one <Rescale>")]
    MissingSection {
        /// The section that is missing.
        section: &'static str,
    },
    /// `<AddShift>` or `<Rescale>` occurs twice.
    #[error("line {line}: a second {section} section, expected one")]
    RepeatedSection {
        /// The section.
        section: &'static str,
        /// Line in the text, from 1.
        line: usize,
    },
    /// Something else stands where a part of a section should.
    #[error("line {line}: {section}: found {found}, expected {expected}")]
    Unexpected {
        /// The section being read.
        section: &'static str,
        /// Line in the text, from 1.
        line: usize,
        /// The token there, shortened, or "the end of the file".
        found: String,
        /// What should have been there.
        expected: String,
    },
    /// Shift and scale have different lengths.
    #[error("<AddShift> has {shift} values and <Rescale> has {scale}, expected the same number")]
    WidthMismatch {
        /// Values of `<AddShift>`.
        shift: usize,
        /// Values of `<Rescale>`.
        scale: usize,
    },
}

/// A front end cannot be built or was called with buffers that do not fit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrontendError {
    /// An option makes no sense.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The am.mvn belongs to another feature size.
    #[error(
        "CMVN has {given} values per frame, expected {expected} (n_mels {num_mel_bins} x lfr_m \
         {lfr_m})"
    )]
    CmvnWidth {
        /// Values in the am.mvn.
        given: usize,
        /// `num_mel_bins * lfr_m`.
        expected: usize,
        /// Mel bins per frame.
        num_mel_bins: usize,
        /// Frames per stacked frame.
        lfr_m: usize,
    },
    /// A buffer for features does not have the size of the features.
    #[error("{what} has {given} values, expected {expected} ({frames} frames x {dim})")]
    BufferSize {
        /// Which buffer.
        what: &'static str,
        /// Its number of values.
        given: usize,
        /// The number needed.
        expected: usize,
        /// Frames that will be written or read.
        frames: usize,
        /// Values per frame.
        dim: usize,
    },
    /// A stream was given much more audio than was taken from it as windows.
    #[error(
        "the stream holds {held} samples and {given} more were given, expected no more than \
         {limit} that wait"
    )]
    Backlog {
        /// Samples waiting.
        held: usize,
        /// Samples of this push.
        given: usize,
        /// Most samples that may wait.
        limit: usize,
    },
    /// A stream that was finished was given more.
    #[error(
        "{given} {what} were given to a stream that is finished, expected none before it is reset"
    )]
    Finished {
        /// Samples or frames.
        what: &'static str,
        /// Their number.
        given: usize,
    },
}

/// The error for an option with a value that makes no sense.
pub(crate) fn invalid(
    key: &'static str,
    value: String,
    expected: impl Into<String>,
) -> OptionsError {
    OptionsError::InvalidValue {
        key,
        value,
        expected: expected.into(),
    }
}

/// Checks that a buffer holds `frames` frames of `dim` values.
pub(crate) fn check_size(
    what: &'static str,
    given: usize,
    frames: usize,
    dim: usize,
) -> Result<(), FrontendError> {
    let expected = frames.saturating_mul(dim);
    if given == expected {
        return Ok(());
    }
    Err(FrontendError::BufferSize {
        what,
        given,
        expected,
        frames,
        dim,
    })
}
