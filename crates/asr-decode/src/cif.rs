//! Continuous integrate-and-fire over the chunks of a stream: encoder frames to one embedding per token
//! (Dong and Xu, *CIF: Continuous Integrate-and-Fire for End-to-End Speech Recognition*, 2020).

use std::ops::Range;

use crate::transcript::Frames;

/// What CIF is run with; the defaults are those of FunASR's streaming Paraformer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CifOptions {
    /// Encoder frames of a chunk that look back, that belong to it, and that look ahead: only the middle ones fire.
    pub chunk_size: [usize; 3],
    /// The sum of alphas at which a token fires.
    pub threshold: f32,
    /// The alpha added after a stream's last chunk, so that a nearly complete token still fires.
    pub tail_threshold: f32,
    /// Values per encoder frame and embedding.
    pub hidden_size: usize,
}

impl Default for CifOptions {
    fn default() -> Self {
        Self {
            chunk_size: [5, 10, 5],
            threshold: 1.0,
            tail_threshold: 0.45,
            hidden_size: 512,
        }
    }
}

/// Options or a chunk that CIF cannot be run with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CifError {
    /// The threshold is not a positive number.
    #[error("the CIF threshold is {value}, expected a positive number")]
    Threshold {
        /// The threshold given.
        value: f32,
    },
    /// The tail threshold is not a number from 0.
    #[error("the CIF tail threshold is {value}, expected a number from 0")]
    TailThreshold {
        /// The tail threshold given.
        value: f32,
    },
    /// The chunk has no frames of its own, or more than can be counted.
    #[error(
        "the CIF chunk size is {value:?}, expected the frames that look back, that belong to the chunk (1 or more), and that look ahead"
    )]
    ChunkSize {
        /// The chunk size given.
        value: [usize; 3],
    },
    /// Embeddings have no values.
    #[error("the CIF hidden size is 0")]
    HiddenSize,
    /// Encoder frames and alphas do not fit each other.
    #[error(
        "{alphas} alphas call for as many encoder frames of {hidden_size} values, but there are {hidden} values"
    )]
    Shape {
        /// Alphas given.
        alphas: usize,
        /// Encoder output values given.
        hidden: usize,
        /// Values per frame.
        hidden_size: usize,
    },
    /// The frames to consume are not all in the window.
    #[error("frames {start} to {end} of a window of {frames} cannot be consumed")]
    Consume {
        /// The first frame to consume.
        start: usize,
        /// The frame after the last one.
        end: usize,
        /// Frames in the window.
        frames: usize,
    },
    /// NaN or infinity in the encoder's output.
    #[error("{what} of frame {frame} of the chunk is not a finite number")]
    NotFinite {
        /// `alpha` or `the encoder output`.
        what: &'static str,
        /// The frame, from 0.
        frame: usize,
    },
}

/// A call of the decoder that a chunk leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderCall {
    /// Embeddings to send; never 0, since a decoder in ONNX Runtime refuses an empty sequence.
    pub tokens: usize,
    /// The first call of the stream.
    pub start: bool,
    /// The last call of the stream.
    pub end: bool,
    /// No token fired: the one embedding is zeros, there only to carry `end`, and the answer is not to be used.
    pub discard: bool,
}

impl DecoderCall {
    /// Triton's sequence flags of the call: 1 for the start, 2 for the end.
    #[must_use]
    pub fn flags(&self) -> u32 {
        u32::from(self.start) | u32::from(self.end) << 1
    }
}

/// The state of one stream.
///
/// A stream whose windows are all cut alike and whose decoder is a sequence of its own is [pushed](Self::push) window by
/// window:
///
/// ```
/// use asr_decode::cif::{Cif, CifOptions};
/// let options = CifOptions { chunk_size: [1, 2, 1], hidden_size: 2, ..CifOptions::default() };
/// let mut stream = Cif::new(options)?;
/// let hidden = [9.0, 9.0, 1.0, 0.0, 0.0, 1.0, 9.0, 9.0];
/// let mut embeddings = Vec::new();
///
/// // Only the two frames in the middle count: 0.5 * (1, 0) is not enough to fire, 0.5 * (0, 1) on top of it is.
/// let call = stream.push(&hidden, &[0.9, 0.5, 0.75, 0.9], false, &mut embeddings)?;
/// assert_eq!(embeddings, [0.5, 0.5]);
/// assert_eq!(call.map(|call| (call.tokens, call.start, call.end)), Some((1, true, false)));
///
/// // The rest, 0.25, and the tail do not fire, but the decoder must hear of the end.
/// let call = stream.push(&hidden, &[0.0; 4], true, &mut embeddings)?;
/// assert_eq!(call.map(|call| (call.tokens, call.discard, call.flags())), Some((1, true, 2)));
/// # Ok::<(), asr_decode::cif::CifError>(())
/// ```
///
/// One whose windows say themselves which of their frames are new is [integrated](Self::integrate), and its
/// [tail](Self::tail) added:
///
/// ```
/// use asr_decode::cif::{Cif, CifOptions};
/// let mut stream = Cif::new(CifOptions { hidden_size: 2, ..CifOptions::default() })?;
/// let hidden = [9.0, 9.0, 1.0, 0.0, 0.0, 1.0];
/// let mut embeddings = Vec::new();
///
/// assert_eq!(stream.integrate(&hidden, &[0.9, 0.5, 0.75], 1..3, &mut embeddings)?, 1);
/// assert_eq!(embeddings, [0.5, 0.5]);
/// // 0.25 of the last frame is left; 0.4 of the next and the 0.45 of the tail complete it.
/// assert_eq!(stream.integrate(&[4.0, 0.0], &[0.4], 0..1, &mut embeddings)?, 0);
/// assert_eq!(stream.tail(&mut embeddings), 1);
/// assert_eq!(embeddings, [0.5, 0.5, 1.6, 0.25]);
/// # Ok::<(), asr_decode::cif::CifError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cif {
    options: CifOptions,
    /// The sum of alphas since the last token.
    alpha: f32,
    /// `[hidden_size]`: their weighted mean frame.
    hidden: Vec<f32>,
    /// `[hidden_size]`: their weighted sum, as it was when the last window was integrated.
    sum: Vec<f32>,
    /// The decoder was called since the stream began.
    decoding: bool,
    /// Frames consumed since the stream began.
    frames: u64,
    /// The first frame of the token that is being put together.
    token_start: u64,
    /// Where the last tokens fired.
    fires: Vec<Frames>,
}

impl Cif {
    /// The state at the start of a stream.
    ///
    /// # Errors
    /// An option is out of its range.
    pub fn new(options: CifOptions) -> Result<Self, CifError> {
        let CifOptions {
            chunk_size,
            threshold,
            tail_threshold,
            hidden_size,
        } = options;
        if !(threshold.is_finite() && threshold > 0.0) {
            return Err(CifError::Threshold { value: threshold });
        }
        if !(tail_threshold.is_finite() && tail_threshold >= 0.0) {
            return Err(CifError::TailThreshold {
                value: tail_threshold,
            });
        }
        if chunk_size[1] == 0 || chunk_size[0].checked_add(chunk_size[1]).is_none() {
            return Err(CifError::ChunkSize { value: chunk_size });
        }
        if hidden_size == 0 {
            return Err(CifError::HiddenSize);
        }
        let zeros = vec![0.0; hidden_size];
        Ok(Self {
            options,
            alpha: 0.0,
            hidden: zeros.clone(),
            sum: zeros,
            decoding: false,
            frames: 0,
            token_start: 0,
            fires: Vec::new(),
        })
    }

    /// The options the stream is run with.
    #[must_use]
    pub fn options(&self) -> &CifOptions {
        &self.options
    }

    /// Begins another stream.
    pub fn reset(&mut self) {
        self.alpha = 0.0;
        self.hidden.fill(0.0);
        self.sum.fill(0.0);
        self.decoding = false;
        self.frames = 0;
        self.token_start = 0;
    }

    /// The frames of the tokens of the last [`push`](Self::push), or of the last [`integrate`](Self::integrate) and the
    /// [`tail`](Self::tail) behind it, one for each embedding: from the one after the token before fired to the one it fired
    /// in, however windows are cut. A call that is to be discarded has none.
    ///
    /// Counted are the frames consumed since the stream began, and those [skipped](Self::skip_to). Where the first window begins
    /// before the stream, as that of the streaming Paraformer does, these are the first to be counted.
    #[must_use]
    pub fn fires(&self) -> &[Frames] {
        &self.fires
    }

    /// Says that the next frame to be integrated has this number in the stream, where those before it are lost: the frames of tokens
    /// are counted on from there. One that has been counted already changes nothing.
    pub fn skip_to(&mut self, frame: u64) {
        self.frames = self.frames.max(frame);
    }

    /// Lets the next decoder call carry the start again, after a call that failed and left the decoder without state.
    pub fn restart_decoder(&mut self) {
        self.decoding = false;
    }

    /// Integrates a chunk and says how to call the decoder, if at all.
    ///
    /// `hidden` is `[frames, hidden_size]`, the encoder's output, and `alphas` `[frames]`. The embeddings to send,
    /// `[tokens, hidden_size]`, replace what was in `embeddings`; once that has its size, nothing is allocated. After
    /// the `last` chunk the state is that of a new stream.
    ///
    /// # Errors
    /// The lengths do not fit each other, or a value that would be used is not finite; the state is left as it was.
    pub fn push(
        &mut self,
        hidden: &[f32],
        alphas: &[f32],
        last: bool,
        embeddings: &mut Vec<f32>,
    ) -> Result<Option<DecoderCall>, CifError> {
        let first = self.options.chunk_size[0].min(alphas.len());
        let end = (self.options.chunk_size[0] + self.options.chunk_size[1]).min(alphas.len());
        embeddings.clear();
        self.consume(hidden, alphas, first..end, embeddings)?;
        if last {
            self.add_tail(embeddings);
        }
        let call = self.decoder_call(embeddings.len() / self.options.hidden_size, last);
        if call.is_some_and(|call| call.discard) {
            embeddings.resize(self.options.hidden_size, 0.0);
        }
        if last {
            self.reset();
        }
        Ok(call)
    }

    /// Integrates the frames `consume` of a window, whatever the options' chunk size, and returns how many tokens fired.
    ///
    /// `hidden` is `[frames, hidden_size]`, the encoder's output, and `alphas` `[frames]`. The embeddings of the tokens,
    /// `[tokens, hidden_size]`, are appended to `embeddings`. A decoder call for them takes the whole of `hidden`, as
    /// the encoder gave it.
    ///
    /// # Errors
    /// The lengths do not fit each other, or a value that would be used is not finite; the state is left as it was.
    pub fn integrate(
        &mut self,
        hidden: &[f32],
        alphas: &[f32],
        consume: Range<usize>,
        embeddings: &mut Vec<f32>,
    ) -> Result<usize, CifError> {
        let before = embeddings.len();
        self.consume(hidden, alphas, consume, embeddings)?;
        Ok((embeddings.len() - before) / self.options.hidden_size)
    }

    /// Ends the stream: adds a frame of zeros with the tail's alpha, and returns 1 if a token fired with it, which is
    /// appended to `embeddings` and belongs to the last window integrated, else 0. Begins another stream.
    pub fn tail(&mut self, embeddings: &mut Vec<f32>) -> usize {
        let before = embeddings.len();
        self.add_tail(embeddings);
        self.reset();
        (embeddings.len() - before) / self.options.hidden_size
    }

    #[inline(always)]
    fn check(&self, hidden: &[f32], alphas: &[f32], frames: &Range<usize>) -> Result<(), CifError> {
        let hidden_size = self.options.hidden_size;
        if alphas.len().checked_mul(hidden_size) != Some(hidden.len()) {
            return Err(CifError::Shape {
                alphas: alphas.len(),
                hidden: hidden.len(),
                hidden_size,
            });
        }
        if frames.start > frames.end || frames.end > alphas.len() {
            return Err(CifError::Consume {
                start: frames.start,
                end: frames.end,
                frames: alphas.len(),
            });
        }
        for frame in frames.clone() {
            if !alphas[frame].is_finite() {
                return Err(CifError::NotFinite {
                    what: "alpha",
                    frame,
                });
            }
            // Looks at all values whatever they are: an early end would keep them from being looked at side by side.
            let values = &hidden[frame * hidden_size..][..hidden_size];
            if !values
                .iter()
                .fold(true, |finite, value| finite & value.is_finite())
            {
                return Err(CifError::NotFinite {
                    what: "the encoder output",
                    frame,
                });
            }
        }
        Ok(())
    }

    /// Checks and adds frames, with the instructions of the CPU at hand.
    fn consume(
        &mut self,
        hidden: &[f32],
        alphas: &[f32],
        frames: Range<usize>,
        embeddings: &mut Vec<f32>,
    ) -> Result<(), CifError> {
        pulp::Arch::new().dispatch(Consume {
            cif: self,
            hidden,
            alphas,
            frames,
            embeddings,
        })
    }

    #[inline(always)]
    fn add_frames(
        &mut self,
        hidden: &[f32],
        alphas: &[f32],
        frames: Range<usize>,
        embeddings: &mut Vec<f32>,
    ) {
        let hidden_size = self.options.hidden_size;
        let mut fires = Fires {
            start: &mut self.token_start,
            fires: &mut self.fires,
        };
        fires.fires.clear();
        let mut sum = Sum {
            alpha: 0.0,
            frames: &mut self.sum,
            threshold: self.options.threshold,
        };
        sum.frames.fill(0.0);
        if sum.add(self.alpha, &self.hidden, embeddings) {
            fires.add(self.frames.saturating_sub(1));
        }
        for frame in frames {
            let hidden = &hidden[frame * hidden_size..][..hidden_size];
            if sum.add(alphas[frame], hidden, embeddings) {
                fires.add(self.frames);
            }
            self.frames += 1;
        }
        self.alpha = sum.alpha;
        // A token that fired exactly leaves nothing, and the sum is all zeros then.
        let scale = if self.alpha > 0.0 {
            self.alpha.recip()
        } else {
            1.0
        };
        for (hidden, sum) in self.hidden.iter_mut().zip(&self.sum) {
            *hidden = sum * scale;
        }
    }

    /// Adds a frame of zeros: the token fires if it is nearly complete.
    fn add_tail(&mut self, embeddings: &mut Vec<f32>) {
        if self.alpha + self.options.tail_threshold >= self.options.threshold {
            embeddings.extend_from_slice(&self.sum);
            Fires {
                start: &mut self.token_start,
                fires: &mut self.fires,
            }
            .add(self.frames.saturating_sub(1));
        }
    }

    fn decoder_call(&mut self, fired: usize, last: bool) -> Option<DecoderCall> {
        let start = !self.decoding;
        if fired > 0 {
            self.decoding = true;
            return Some(DecoderCall {
                tokens: fired,
                start,
                end: last,
                discard: false,
            });
        }
        // A stream that never reached the decoder has no state there to be freed.
        (last && self.decoding).then_some(DecoderCall {
            tokens: 1,
            start,
            end: true,
            discard: true,
        })
    }
}

/// What [`Cif::consume`] does. A type, since what a closure does is not always compiled for the CPU at hand.
struct Consume<'a> {
    cif: &'a mut Cif,
    hidden: &'a [f32],
    alphas: &'a [f32],
    frames: Range<usize>,
    embeddings: &'a mut Vec<f32>,
}

impl pulp::WithSimd for Consume<'_> {
    type Output = Result<(), CifError>;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> Self::Output {
        self.cif.check(self.hidden, self.alphas, &self.frames)?;
        self.cif
            .add_frames(self.hidden, self.alphas, self.frames, self.embeddings);
        Ok(())
    }
}

/// The token that is being put together.
struct Sum<'a> {
    /// The sum of its alphas.
    alpha: f32,
    /// The sum of its frames, each times its alpha.
    frames: &'a mut [f32],
    threshold: f32,
}

impl Sum<'_> {
    /// Adds a frame. A frame that reaches the threshold completes the token, which is appended to `embeddings`, and
    /// what is left of its alpha begins the next one. Says whether it did.
    #[inline(always)]
    fn add(&mut self, alpha: f32, hidden: &[f32], embeddings: &mut Vec<f32>) -> bool {
        if self.alpha + alpha < self.threshold {
            self.alpha += alpha;
            for (sum, value) in self.frames.iter_mut().zip(hidden) {
                *sum += alpha * value;
            }
            return false;
        }
        let needed = self.threshold - self.alpha;
        embeddings.extend(
            self.frames
                .iter()
                .zip(hidden)
                .map(|(sum, value)| sum + needed * value),
        );
        self.alpha = self.alpha + alpha - self.threshold;
        for (sum, value) in self.frames.iter_mut().zip(hidden) {
            *sum = self.alpha * value;
        }
        true
    }
}

/// Where tokens fire.
struct Fires<'a> {
    /// The first frame of the token that is being put together.
    start: &'a mut u64,
    fires: &'a mut Vec<Frames>,
}

impl Fires<'_> {
    /// A token fired in the stream's frame `frame`.
    fn add(&mut self, frame: u64) {
        self.fires.push(Frames {
            first: (*self.start).min(frame),
            last: frame,
        });
        *self.start = frame + 1;
    }
}

#[cfg(test)]
#[path = "cif_tests.rs"]
mod tests;
