//! Mean and variance normalisation from an am.mvn file.

use std::path::Path;
use std::str::SplitWhitespace;

use crate::error::CmvnError;
use crate::options::shown;

const SHIFT: &str = "<AddShift>";
const SCALE: &str = "<Rescale>";
/// Largest file that is read: the usual 560 values take 11 kB.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// Most values per frame.
const MAX_DIM: usize = 65_536;

/// Per-value normalisation of a feature frame, `y = (x + shift) * scale`.
///
/// ```
/// use wav_frontend::Cmvn;
///
/// let cmvn = Cmvn::parse(
///     "<Nnet>
///      <AddShift> 2 2
///      <LearnRateCoef> 0 [ -8.5 -9.25 ]
///      <Rescale> 2 2
///      <LearnRateCoef> 0 [ 0.5 0.25 ]
///      </Nnet>",
/// )?;
/// assert_eq!(cmvn.dim(), 2);
/// assert_eq!(cmvn.shift(), [-8.5, -9.25]);
/// assert_eq!(cmvn.scale(), [0.5, 0.25]);
/// # Ok::<(), wav_frontend::CmvnError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Cmvn {
    shift: Vec<f32>,
    scale: Vec<f32>,
}

impl Cmvn {
    /// Reads an am.mvn file.
    ///
    /// # Errors
    /// See [`CmvnError`]; files over 4 MB are refused unread, and so is what is no file but a pipe, say.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, CmvnError> {
        let path = path.as_ref();
        let bytes = model_files::read(path, MAX_FILE_BYTES).map_err(|source| CmvnError::Io {
            path: path.to_owned(),
            source,
        })?;
        if bytes.contains(&0) {
            return Err(CmvnError::NotText);
        }
        Self::parse(std::str::from_utf8(&bytes).map_err(|_| CmvnError::NotText)?)
    }

    /// Reads the text of an am.mvn file: a Kaldi nnet, of which the vectors of `<AddShift>` and `<Rescale>`
    /// count, and anything else (`<Nnet>`, `<Splice>` …) does not.
    ///
    /// # Errors
    /// When a section is missing, repeated, cut off or holds something else than as many finite numbers as
    /// it says, or when the two have different lengths.
    pub fn parse(text: &str) -> Result<Self, CmvnError> {
        let mut tokens = Tokens::new(text);
        let (mut shift, mut scale) = (None, None);
        while let Some(token) = tokens.next() {
            let (section, vector) = match token {
                SHIFT => (SHIFT, &mut shift),
                SCALE => (SCALE, &mut scale),
                _ => continue,
            };
            if vector.is_some() {
                return Err(CmvnError::RepeatedSection {
                    section,
                    line: tokens.line,
                });
            }
            *vector = Some(
                Reader {
                    section,
                    tokens: &mut tokens,
                }
                .vector()?,
            );
        }
        let shift = shift.ok_or(CmvnError::MissingSection { section: SHIFT })?;
        let scale = scale.ok_or(CmvnError::MissingSection { section: SCALE })?;
        if shift.len() != scale.len() {
            return Err(CmvnError::WidthMismatch {
                shift: shift.len(),
                scale: scale.len(),
            });
        }
        Ok(Self { shift, scale })
    }

    /// Values per frame.
    pub fn dim(&self) -> usize {
        self.shift.len()
    }

    /// What is added to each value, the negative means: `[dim]`.
    pub fn shift(&self) -> &[f32] {
        &self.shift
    }

    /// What each shifted value is multiplied with, the inverse standard deviations: `[dim]`.
    pub fn scale(&self) -> &[f32] {
        &self.scale
    }
}

/// White-space separated tokens that know their line.
struct Tokens<'a> {
    lines: std::str::Lines<'a>,
    current: SplitWhitespace<'a>,
    line: usize,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            lines: text.lines(),
            current: "".split_whitespace(),
            line: 0,
        }
    }

    fn next(&mut self) -> Option<&'a str> {
        loop {
            if let Some(token) = self.current.next() {
                return Some(token);
            }
            self.current = self.lines.next()?.split_whitespace();
            self.line += 1;
        }
    }
}

/// Reads what follows a section's name: `560 560 <LearnRateCoef> 0 [ … ]`.
struct Reader<'r, 'a> {
    section: &'static str,
    tokens: &'r mut Tokens<'a>,
}

impl Reader<'_, '_> {
    fn vector(&mut self) -> Result<Vec<f32>, CmvnError> {
        let outputs = self.dim("the number of outputs")?;
        let inputs = self.dim("the number of inputs")?;
        if inputs != outputs {
            return Err(self.unexpected(
                Some(&inputs.to_string()),
                format!("{outputs} inputs, as outputs"),
            ));
        }
        self.word("<LearnRateCoef>")?;
        let rate = self.tokens.next();
        if rate.and_then(|rate| rate.parse::<f32>().ok()).is_none() {
            return Err(self.unexpected(rate, "the learn rate coefficient, a number"));
        }
        self.word("[")?;
        let mut values = Vec::with_capacity(outputs);
        while values.len() < outputs {
            let token = self.tokens.next();
            let value = token.and_then(|token| token.parse::<f32>().ok());
            match value.filter(|value| value.is_finite()) {
                Some(value) => values.push(value),
                None => {
                    let nth = values.len() + 1;
                    return Err(self.unexpected(token, format!("finite number {nth} of {outputs}")));
                }
            }
        }
        match self.tokens.next() {
            Some("]") => Ok(values),
            other => Err(self.unexpected(other, format!("] after {outputs} numbers"))),
        }
    }

    fn dim(&mut self, what: &str) -> Result<usize, CmvnError> {
        let token = self.tokens.next();
        let dim = token.and_then(|token| token.parse::<usize>().ok());
        dim.filter(|dim| (1..=MAX_DIM).contains(dim))
            .ok_or_else(|| self.unexpected(token, format!("{what}, 1 to {MAX_DIM}")))
    }

    fn word(&mut self, word: &str) -> Result<(), CmvnError> {
        match self.tokens.next() {
            Some(token) if token == word => Ok(()),
            other => Err(self.unexpected(other, word)),
        }
    }

    fn unexpected(&self, found: Option<&str>, expected: impl Into<String>) -> CmvnError {
        CmvnError::Unexpected {
            section: self.section,
            line: self.tokens.line,
            found: found.map_or_else(|| "the end of the file".to_owned(), shown),
            expected: expected.into(),
        }
    }
}
