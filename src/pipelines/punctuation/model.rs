//! What is the same for all texts: words, marks, and how the model is asked.

use speech_segments::punctuation::{
    MarkStyle, PunctuationOptions, PunctuationVocabulary, Punctuator, vad_mask,
};
use triton_backend::{Call, Error, ModelContext, Reply, warn};

use crate::pipelines::callee::Callee;
use crate::pipelines::options::calls_in_flight;
use crate::steps::decoded::check_finite;
use crate::tensors::layout::dim;
use crate::tensors::options::THREADS;
use crate::tensors::parameters::{Count, File, Parameter, Table, Text, Written};

/// The parameters of this component.
pub(crate) const PARAMETERS: Table = Table {
    name: "punctuation",
    lines: &[
        &PUNCTUATION_MODEL,
        &PUNCTUATION_CONFIG,
        &PUNCTUATION_WORDS,
        &MARKS,
        &MAX_WORDS,
        &MAX_WORDS_PER_CALL,
        &MAX_PENDING_TEXTS,
        &MAX_PENDING_TEXT_BYTES,
        &CALLS_IN_FLIGHT,
        &THREADS,
    ],
};

const PUNCTUATION_MODEL: Parameter<Text> =
    Parameter::new("punctuation_model", "the CT-Transformer model to call")
        .default("ct_transformer");
const PUNCTUATION_CONFIG: Parameter<File> = Parameter::new(
    "punctuation_config",
    "the model's config.yaml, whose `model_conf` has the marks (`punc_list`)",
)
.default("config.yaml");
const PUNCTUATION_WORDS: Parameter<File> = Parameter::new(
    "punctuation_words",
    "the model's tokens.json: the words that it knows",
)
.default("tokens.json");
const MARKS: Parameter<Style> = Parameter::new(
    "marks",
    "`chinese`: ，。？ behind all words, as FunASR's ONNX runtime; `by_word`: `,` `.` `?` behind English words",
)
.default("chinese");
const MAX_WORDS: Parameter<Count> = Parameter::new(
    "max_words",
    "a row of text with more words is refused; a Chinese character is a word",
)
.default(20_000);
const MAX_WORDS_PER_CALL: Parameter<usize> = Parameter::new(
    "max_words_per_call",
    "with more words in a call, and neither the end of a sentence nor a comma among them, what the model says counts as it is",
)
.default(2000)
.within("from 200 to 20000", |words| (200..=20_000).contains(words));
pub(super) const MAX_PENDING_TEXTS: Parameter<Count> = Parameter::new(
    "max_pending_texts",
    "rows of text that may be taken and not answered yet",
)
.default(4096);
pub(super) const MAX_PENDING_TEXT_BYTES: Parameter<Count> = Parameter::new(
    "max_pending_text_bytes",
    "bytes of text that may be, all rows together",
)
.default(64 << 20);
pub(super) const CALLS_IN_FLIGHT: Parameter<Count> =
    calls_in_flight("twice the called model's instances");

/// Which marks stand behind words.
struct Style(MarkStyle);

impl Written for Style {
    const KIND: &'static str = "`chinese` or `by_word`";

    fn parse(text: &str) -> Result<Self, &'static str> {
        match text.trim() {
            "chinese" => Ok(Self(MarkStyle::Chinese)),
            "by_word" => Ok(Self(MarkStyle::ByWord)),
            _ => Err("is neither 'chinese' nor 'by_word'"),
        }
    }
}

pub(super) struct PunctuationModel {
    pub(super) punctuator: Punctuator,
    pub(super) max_words: usize,
    /// The model's name.
    pub(super) name: String,
}

impl PunctuationModel {
    pub(super) fn load(context: &ModelContext) -> Result<Self, Error> {
        let path = PUNCTUATION_CONFIG.read(context)?;
        let wrong = |name: &str, error: &dyn std::error::Error| {
            Error::parameter(name, format!("{}: {error}", path.display()))
        };
        let name = PUNCTUATION_CONFIG.name();
        let options = PunctuationOptions::read(&path).map_err(|error| wrong(name, &error))?;
        let Style(style) = MARKS.read(context)?;
        let options = PunctuationOptions {
            style,
            longest_call: MAX_WORDS_PER_CALL.read(context)?,
            ..options
        };
        let words = PUNCTUATION_WORDS.read(context)?;
        if words.with_file_name("jieba_usr_dict").exists() {
            warn!(
                "model '{}': its Chinese words are split by jieba (jieba_usr_dict), which this component does not have; it takes each \
                 character as a word, and the model knows few of them",
                context.name
            );
        }
        let vocabulary = PunctuationVocabulary::read(&words)
            .map_err(|error| Error::parameter(PUNCTUATION_WORDS.name(), error.to_string()))?;
        Ok(Self {
            punctuator: Punctuator::new(options, vocabulary)
                .map_err(|error| Error::Config(error.to_string()))?,
            max_words: MAX_WORDS.read(context)?,
            name: PUNCTUATION_MODEL.read(context)?,
        })
    }

    /// The call for rows of equally many words; `old` is there if the model is of the realtime kind: how many of the words it was
    /// asked about before.
    pub(super) fn call(&self, callee: &Callee, rows: &[&[i32]], old: Option<usize>) -> Call {
        let words = rows.first().map_or(0, |ids| ids.len());
        let shape = [dim(rows.len()), dim(words)];
        // A model with a batch dimension has lengths of one value a row.
        let lengths: &[i64] = match callee.traits().most_rows {
            Some(_) => &[dim(rows.len()), 1],
            None => &[dim(rows.len())],
        };
        let length = i32::try_from(words).unwrap_or(i32::MAX);
        let call = Call::new(&self.name)
            .input("inputs", &shape, rows.concat())
            .input("text_lengths", lengths, vec![length; rows.len()])
            .output("logits");
        let Some(old) = old else {
            return call;
        };
        let shape = [1, 1, dim(words), dim(words)];
        let mask = vad_mask(words, old);
        call.input("vad_masks", &shape, mask.clone())
            .input("sub_masks", &shape, mask)
    }

    /// The best marks of row `row` of `rows`, of which each has `words` words.
    pub(super) fn best(
        &self,
        reply: &Reply,
        (row, rows): (usize, usize),
        words: usize,
    ) -> Result<Vec<usize>, Error> {
        let logits = reply.output("logits")?;
        let name = &self.name;
        let scores = logits.read::<f32>()?;
        let size = scores.len() / rows.max(1);
        let own = scores.get(row * size..(row + 1) * size).unwrap_or(&[]);
        check_finite(name, "logits", own)?;
        self.punctuator.best(own, words).map_err(|error| {
            let shape = logits.shape;
            Error::internal(format!(
                "model '{name}', 'logits' of shape {shape:?}: {error}"
            ))
        })
    }
}
