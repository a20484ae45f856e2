//! Component `paraformer`: the whole of offline Paraformer, with the encoder called inside the server.
//!
//! The ensemble's tensors: `WAV`, `WAV_LENS` in, `TRANSCRIPTS` out. SeACo-Paraformer has `HOTWORDS` besides. With grammars for numbers,
//! `TEXT_NORM` says whether these are to be written.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use asr_decode::Transcript;
use triton_backend::{Call, Error, ModelContext, Request, info};

use crate::component::Component;
use crate::pipelines::offline::{OfflinePipeline, Prepared, Recogniser, max_padding_percent};
use crate::pipelines::warmup::Rehearsal;
use crate::steps::hotwords::{BIAS_EMBED, Bias, Hotwords, List};
use crate::steps::itn::{ITN_PATH, Itn, TEXT_NORM};
use crate::steps::paraformer_scoring::TokenDecoder;
use crate::steps::scoring::Decoder;
use crate::tensors::parameters::{Count, Parameter, Table};

/// The parameters of this component alone.
pub(crate) const PARAMETERS: Table = Table {
    name: "paraformer",
    lines: &[
        &Paraformer::MAX_PADDING_PERCENT,
        &SERVES_SILENCE,
        &ENCODER_TIMES,
        &MAX_HOTWORDS_SHARED,
    ],
};

const SERVES_SILENCE: Parameter<bool> = Parameter::new(
    "encoder_serves_silence",
    "true: the encoder answers a row in which it finds no token, alone and beside others, with a `token_num` of 0. \
     `triton-funasr repo` makes the encoder so and sets it",
)
.default(false);

const ENCODER_TIMES: Parameter<bool> = Parameter::new(
    "encoder_times",
    "true: the encoder has the output `us_alphas`, which tells when words were said. `triton-funasr repo --outputs` \
     sets it where the export has them",
)
.default(false);

// FunASR's export keeps 51 entries, one of which stands for no hot word.
const MAX_HOTWORDS_SHARED: Parameter<Count> = Parameter::new(
    "max_hotwords_shared",
    "a row with more hot words has a call of the encoder to itself, since of so many the model keeps those that fit a call's first row. See \
     [Hot words](#hot-words)",
)
.default(50);

/// The input with a request's own hot words.
const INPUT: &str = "HOTWORDS";

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    let serves_silence = SERVES_SILENCE.read(context)?;
    info!(
        "model '{}': {} is {serves_silence}: {}",
        context.name,
        SERVES_SILENCE.name(),
        if serves_silence {
            "rows share calls of the encoder"
        } else {
            "each row is a call of the encoder of its own, since one without words fails the others of its call"
        }
    );
    let decoder = TokenDecoder::load(context)?;
    let itn = Itn::load(context)?;
    if itn.is_none() && context.config.input(TEXT_NORM).is_ok() {
        return Err(Error::Config(format!(
            "input '{TEXT_NORM}' has no meaning without parameter {}",
            ITN_PATH.name()
        )));
    }
    let hotwords = match Hotwords::wanted(context, INPUT)? {
        true => Some(Hotwords::load(context, INPUT, &decoder.vocabulary)?),
        false => None,
    };
    OfflinePipeline::load(
        context,
        Paraformer {
            hotwords,
            itn,
            classes: Classes::new(MAX_HOTWORDS_SHARED.read(context)?),
            decoder,
            serves_silence,
            times: ENCODER_TIMES.read(context)?,
        },
    )
}

struct Paraformer {
    decoder: TokenDecoder,
    serves_silence: bool,
    /// The encoder tells when words were said.
    times: bool,
    /// Of a SeACo-Paraformer.
    hotwords: Option<Arc<Hotwords>>,
    classes: Classes,
    /// None without grammars for it.
    itn: Option<Arc<Itn>>,
}

/// What a row has beside its audio.
#[derive(Clone, Default)]
struct Wish {
    listens: Listens,
    /// Its numbers are to be written.
    written: bool,
}

/// What a row listens for.
#[derive(Clone, Default)]
enum Listens {
    /// The encoder knows no hot words.
    #[default]
    Not,
    /// For these words, of which the embeddings are to be found.
    For(List),
    As(Bias),
}

/// Which rows may share a call.
struct Classes {
    /// The most words of rows that share one.
    most_shared: usize,
    /// Rows with more, so far.
    alone: AtomicUsize,
}

impl Classes {
    fn new(most_hotwords: usize) -> Self {
        Self {
            // One more: that which stands for no hot word.
            most_shared: most_hotwords.saturating_add(1),
            alone: AtomicUsize::new(0),
        }
    }

    /// The class of a row that listens for so many words: rows of equally many are of one class, as far as they may share a call.
    fn of(&self, words: usize) -> usize {
        match words <= self.most_shared {
            true => words,
            false => {
                let before = self.alone.fetch_add(1, Ordering::Relaxed);
                self.most_shared.wrapping_add(1).wrapping_add(before)
            }
        }
    }
}

impl Recogniser for Paraformer {
    type Decoder = TokenDecoder;
    type Extra = Wish;
    const MAX_PADDING_PERCENT: Parameter<f64> = max_padding_percent("0");
    /// The predictor's convolution sees what lies behind a row's end, which can change its last token.
    const PADDING_PERCENT: [f64; 2] = [0.0, 0.0];

    fn extras(&self, request: &Request, rows: usize) -> Result<Vec<Wish>, Error> {
        let listens: Vec<Listens> = match &self.hotwords {
            Some(hotwords) => {
                let lists = hotwords.lists(request, rows)?;
                lists.into_iter().map(Listens::For).collect()
            }
            None => vec![Listens::Not; rows],
        };
        let written = match &self.itn {
            Some(itn) => itn.wanted(request, rows)?,
            None => vec![false; rows],
        };
        let wish = |(listens, written)| Wish { listens, written };
        Ok(listens.into_iter().zip(written).map(wish).collect())
    }

    fn prepare(&self, extras: Vec<Wish>, done: Prepared<Wish>) {
        let Some(hotwords) = &self.hotwords else {
            return done(Ok(extras));
        };
        let (mut lists, mut written) = (Vec::new(), Vec::new());
        for wish in extras {
            if let Listens::For(list) = wish.listens {
                lists.push(list);
                written.push(wish.written);
            }
        }
        hotwords.embed(lists, move |biases| {
            let wish = |(bias, written)| Wish {
                listens: Listens::As(bias),
                written,
            };
            done(biases.map(|biases| biases.into_iter().zip(written).map(wish).collect()));
        });
    }

    fn helpers(&self) -> Vec<&str> {
        let hotwords = self.hotwords.iter();
        hotwords.map(|hotwords| hotwords.model()).collect()
    }

    fn rehearse(&self, stage: &Rehearsal) -> Result<Wish, Error> {
        let Some(hotwords) = &self.hotwords else {
            return Ok(Wish::default());
        };
        let bias = hotwords.rehearse(|call| stage.call(hotwords.model(), call))?;
        Ok(Wish {
            listens: Listens::As(bias),
            written: false,
        })
    }

    fn class(&self, extra: &Wish) -> usize {
        match &extra.listens {
            Listens::As(bias) => self.classes.of(bias.words()),
            _ => 0,
        }
    }

    fn complete(&self, call: Call, extras: &[Wish]) -> Result<Call, Error> {
        if self.hotwords.is_none() {
            return Ok(call);
        }
        let bias = |extra: &Wish| match &extra.listens {
            Listens::As(bias) => bias.clone(),
            _ => Bias::default(),
        };
        let biases: Vec<Bias> = extras.iter().map(bias).collect();
        let (values, shape) = Bias::tensor(&biases)?;
        Ok(call.input(BIAS_EMBED, &shape, values))
    }

    /// The times of tokens and words stay those of what was spoken.
    fn finish(&self, extra: &Wish, mut heard: Transcript) -> Transcript {
        if let (Some(itn), true) = (&self.itn, extra.written) {
            heard.written = Some(itn.written(&heard.text()));
        }
        heard
    }

    fn decoder(&self) -> &TokenDecoder {
        &self.decoder
    }

    fn lacks(&self, tensor: &str) -> Option<String> {
        let told = self.times || !TokenDecoder::NAMES.times.contains(&tensor);
        (!told).then(|| {
            let parameter = ENCODER_TIMES.name();
            format!("the encoder's output '{tensor}', but parameter '{parameter}' is not true")
        })
    }

    fn rows_go_alone(&self) -> bool {
        !self.serves_silence
    }

    fn means_silence(&self, error: &Error) -> bool {
        !self.serves_silence && tells_of_no_tokens(&error.to_string())
    }
}

/// ONNX Runtime refuses to decode no tokens: that is how an encoder as it was exported says that it heard nothing. SeACo-Paraformer's stumbles
/// already where it collects them.
fn tells_of_no_tokens(message: &str) -> bool {
    ["Invalid input shape: {0}", "Input shape:{0,"]
        .iter()
        .any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_encoders_say_of_no_tokens_is_known() {
        let conv = "onnx runtime error 2: Non-zero status code returned while running Conv node. Status Message: Invalid input shape: {0}";
        let reshape = "Non-zero status code returned while running Reshape node. Name:'Reshape_1459' Status Message: \
                       input_shape_size == requested_shape_size was false. The input tensor cannot be reshaped to the requested shape. \
                       Input shape:{0,128}, requested shape:{1,128,128}";
        assert!(tells_of_no_tokens(conv) && tells_of_no_tokens(reshape));
        assert!(!tells_of_no_tokens(&reshape.replace("{0,", "{10,")));
        assert!(!tells_of_no_tokens("Invalid input shape: {10}"));
    }

    #[test]
    fn rows_of_equally_many_words_share_calls_up_to_a_number() {
        let classes = Classes::new(50);
        assert_eq!([1, 2, 2, 51].map(|words| classes.of(words)), [1, 2, 2, 51]);
        let (first, second) = (classes.of(52), classes.of(52));
        assert!(first != second && first.min(second) > 51);
    }
}
