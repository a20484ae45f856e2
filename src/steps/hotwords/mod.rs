//! Hot words of SeACo-Paraformer: from lists of words to what its encoder takes as `bias_embed`.
//!
//! A list ends in the token `<s>`, which stands for "none of them", so that a row without hot words has a list of one. The model
//! [`encoder`] makes an embedding of each word; embeddings are remembered, so that a call is made only for words that are new.

mod cache;
mod encoder;
mod lists;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use asr_decode::vocabulary::Vocabulary;
use triton_backend::{Call, Caller, DataType, Error, ModelContext, Reply, Request, info};

use self::cache::{Cache, Embedding, Limits, Word};
use self::encoder::{HOTWORD_ENCODER, HOTWORD_IDS, HotwordEncoder};
pub(crate) use self::lists::List;
use self::lists::{
    HOTWORDS, HOTWORDS_FILE, MAX_HOTWORD_LENGTH, MAX_HOTWORDS, Reader, SEG_DICT, UNKNOWN_HOTWORDS,
};
use crate::tensors::layout::{Layout, check_tensor, dim};
use crate::tensors::memory::room;
use crate::tensors::parameters::{Count, Parameter, Table};

/// The encoder's input for hot words, `[rows, words, dim]`.
pub(crate) const BIAS_EMBED: &str = "bias_embed";

/// The parameters that [`Hotwords`] reads.
pub(crate) const PARAMETERS: Table = Table {
    name: "Hot words",
    lines: &[
        &HOTWORD_ENCODER,
        &HOTWORDS,
        &HOTWORDS_FILE,
        &SEG_DICT,
        &UNKNOWN_HOTWORDS,
        &MAX_HOTWORDS,
        &MAX_HOTWORD_LENGTH,
        &HOTWORD_IDS,
        &HOTWORD_CACHE_WORDS,
        &HOTWORD_CACHE_BYTES,
    ],
};

const HOTWORD_CACHE_WORDS: Parameter<Count> = Parameter::new(
    "hotword_cache_words",
    "hot words whose embeddings are remembered; the one that was not wanted for the longest time goes first",
)
.default(10_000);
// Of 512 numbers, 10 000 are 20 MB.
const HOTWORD_CACHE_BYTES: Parameter<Count> =
    Parameter::new("hotword_cache_bytes", "the most bytes of these embeddings").default(64 << 20);

/// What is known of the hot words of a model.
pub(crate) struct Hotwords {
    /// The input with a request's own.
    input: &'static str,
    layout: Layout,
    reader: Reader,
    default: List,
    encoder: HotwordEncoder,
    cache: Mutex<Cache>,
    caller: Caller,
}

/// What a row is to listen for, as the encoder takes it.
#[derive(Clone, Default)]
pub(crate) struct Bias(Arc<[Embedding]>);

/// Lists, and what is known of their words.
struct Known {
    lists: Vec<List>,
    embeddings: HashMap<Word, Embedding>,
    /// Words without an embedding, each once.
    missing: Vec<Word>,
}

impl Hotwords {
    /// Whether a config asks for hot words: with the input called `input`, or with the name of the model to call.
    ///
    /// # Errors
    /// If it has hot words, but nothing that listens for them.
    pub(crate) fn wanted(context: &ModelContext, input: &str) -> Result<bool, Error> {
        let has = |name: &str| context.config.parameters.text(name).is_some();
        if context.config.input(input).is_ok() || has(HOTWORD_ENCODER.name()) {
            return Ok(true);
        }
        match [HOTWORDS.name(), HOTWORDS_FILE.name()]
            .into_iter()
            .find(|name| has(name))
        {
            None => Ok(false),
            Some(name) => {
                let message = format!(
                    "has no meaning in a config without an input '{input}' and without parameter {}, which are for SeACo-Paraformer",
                    HOTWORD_ENCODER.name()
                );
                Err(Error::parameter(name, message))
            }
        }
    }

    /// As a config has it; `input` is what its input for hot words is called.
    pub(crate) fn load(
        context: &ModelContext,
        input: &'static str,
        vocabulary: &Vocabulary,
    ) -> Result<Arc<Self>, Error> {
        let config = &context.config;
        if let Ok(listed) = config.input(input) {
            check_tensor(listed, DataType::String, &[None])?;
        }
        let reader = Reader::load(context, vocabulary)?;
        let default = reader.default_list(context)?;
        let limits = Limits {
            words: HOTWORD_CACHE_WORDS.read(context)?,
            bytes: HOTWORD_CACHE_BYTES.read(context)?,
        };
        if default.len() > limits.words {
            let message = format!(
                "is {}, but the config's own list has {} hot words, which every request would compute anew: raise it",
                limits.words,
                default.len() - 1
            );
            return Err(Error::parameter(HOTWORD_CACHE_WORDS.name(), message));
        }
        let encoder = HotwordEncoder::load(context, MAX_HOTWORD_LENGTH.read(context)?)?;
        info!(
            "model '{}' asks '{}' for hot words",
            context.name, encoder.model
        );
        Ok(Arc::new(Self {
            input,
            layout: Layout {
                batched: config.batches(),
            },
            reader,
            default,
            encoder,
            cache: Mutex::new(Cache::new(limits)),
            caller: Caller::new(context)?,
        }))
    }

    /// The model that is called for them.
    pub(crate) fn model(&self) -> &str {
        &self.encoder.model
    }

    /// The lists of a request's rows; the config's own for a request without any.
    pub(crate) fn lists(&self, request: &Request, rows: usize) -> Result<Vec<List>, Error> {
        let input = match request.input(self.input) {
            Ok(input) => input,
            Err(Error::MissingInput { .. }) => return Ok(vec![Arc::clone(&self.default); rows]),
            Err(error) => return Err(error),
        };
        let (given, [words]) = self.layout.rows(self.input, input.shape(), "words")?;
        if given != rows {
            return Err(Error::Shape {
                name: self.input.to_owned(),
                got: input.shape().to_vec(),
                expected: format!("a list of words for each of the {rows} rows"),
            });
        }
        let texts = input.strings()?;
        let list = |row: usize| {
            let own = texts[row * words..][..words].iter().map(Vec::as_slice);
            self.reader
                .list(own)
                .map_err(|message| Error::input(self.input, format!("row {row}: {message}")))
        };
        (0..rows).map(list).collect()
    }

    /// Finds what the encoder takes for these lists, and tells `done`: at once if all words are known, else from a thread of the server's
    /// when the model that is called has answered.
    pub(crate) fn embed(
        self: &Arc<Self>,
        lists: Vec<List>,
        done: impl FnOnce(Result<Vec<Bias>, Error>) + Send + 'static,
    ) {
        let known = self.known(lists);
        if known.missing.is_empty() {
            return done(known.biases());
        }
        match self.encoder.call(&known.missing) {
            Ok(call) => {
                let hotwords = Arc::clone(self);
                self.caller
                    .call(call, move |reply| done(hotwords.learn(known, reply)));
            }
            Err(error) => done(Err(error)),
        }
    }

    /// What the encoder takes for the config's own list; `call` makes a call and waits for its answer.
    pub(crate) fn rehearse(
        &self,
        call: impl FnOnce(&dyn Fn() -> Result<Call, Error>) -> Result<Reply, Error>,
    ) -> Result<Bias, Error> {
        let known = self.known(vec![Arc::clone(&self.default)]);
        let biases = match known.missing.is_empty() {
            true => known.biases(),
            false => {
                let reply = call(&|| self.encoder.call(&known.missing));
                self.learn(known, reply)
            }
        };
        Ok(biases?.pop().unwrap_or_default())
    }

    fn known(&self, lists: Vec<List>) -> Known {
        let mut embeddings = HashMap::new();
        let mut missing: Vec<Word> = Vec::new();
        let mut seen = HashSet::new();
        let mut cache = self.cache();
        let mut last: Option<&List> = None;
        for list in &lists {
            // Most often all rows have the same one.
            if last.is_some_and(|last| Arc::ptr_eq(last, list)) {
                continue;
            }
            last = Some(list);
            for word in list.iter().filter(|&word| seen.insert(word)) {
                match cache.get(word) {
                    Some(embedding) => drop(embeddings.insert(Arc::clone(word), embedding)),
                    None => missing.push(Arc::clone(word)),
                }
            }
        }
        drop(cache);
        drop(seen);
        Known {
            lists,
            embeddings,
            missing,
        }
    }

    /// Takes the answer of a call for the words that are missing.
    fn learn(&self, mut known: Known, reply: Result<Reply, Error>) -> Result<Vec<Bias>, Error> {
        let missing = std::mem::take(&mut known.missing);
        let embeddings = self.encoder.embeddings(&missing, reply)?;
        let mut cache = self.cache();
        for (word, embedding) in missing.into_iter().zip(embeddings) {
            cache.insert(&word, &embedding);
            known.embeddings.insert(word, embedding);
        }
        drop(cache);
        known.biases()
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        // Whatever a panic leaves half done, each embedding is its word's.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The embeddings of each list, in its order.
    fn biases(&self) -> Result<Vec<Bias>, Error> {
        let of = |list: &List| {
            let embedding = |word: &Word| {
                let known = self.embeddings.get(word).map(Arc::clone);
                known.ok_or_else(|| Error::internal("a hot word has no embedding"))
            };
            let embeddings: Result<Arc<[Embedding]>, Error> = list.iter().map(embedding).collect();
            embeddings.map(Bias)
        };
        let mut biases: Vec<Bias> = Vec::with_capacity(self.lists.len());
        for (index, list) in self.lists.iter().enumerate() {
            let before = index.checked_sub(1).map(|before| &self.lists[before]);
            let bias = match before {
                Some(before) if Arc::ptr_eq(before, list) => biases[index - 1].clone(),
                _ => of(list)?,
            };
            biases.push(bias);
        }
        Ok(biases)
    }
}

impl Bias {
    /// How many words it has, the one for none of them included.
    pub(crate) fn words(&self) -> usize {
        self.0.len()
    }

    /// The values of an encoder's input for rows that have equally many words, and its shape: `[rows, words, dim]`.
    pub(crate) fn tensor(rows: &[Self]) -> Result<(Vec<f32>, [i64; 3]), Error> {
        let words = rows.first().map_or(0, Self::words);
        let width = rows.first().and_then(|row| row.0.first());
        let width = width.map_or(0, |embedding| embedding.len());
        let fits = |row: &Self| {
            row.words() == words && row.0.iter().all(|embedding| embedding.len() == width)
        };
        if !rows.iter().all(fits) {
            return Err(Error::internal(
                "embeddings of hot words differ in size: was the model that makes them loaded anew? Load this one anew, too",
            ));
        }
        let count = rows.len().saturating_mul(words).saturating_mul(width);
        let mut values = room(count, "hot words")?;
        for embedding in rows.iter().flat_map(|row| &*row.0) {
            values.extend_from_slice(embedding);
        }
        Ok((values, [dim(rows.len()), dim(words), dim(width)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bias(words: &[&[f32]]) -> Bias {
        Bias(words.iter().map(|&word| Arc::from(word)).collect())
    }

    #[test]
    fn rows_of_equally_many_words_are_one_tensor() {
        let rows = [
            bias(&[&[1.0, 2.0], &[0.0, 0.5]]),
            bias(&[&[3.0, 4.0], &[0.0, 0.5]]),
        ];
        let (values, shape) = Bias::tensor(&rows).unwrap();
        assert_eq!(values, [1.0, 2.0, 0.0, 0.5, 3.0, 4.0, 0.0, 0.5]);
        assert_eq!(shape, [2, 2, 2]);
    }

    #[test]
    fn rows_that_do_not_fit_each_other_are_refused() {
        for other in [bias(&[&[1.0, 2.0]]), bias(&[&[1.0, 2.0], &[1.0]])] {
            let rows = [bias(&[&[1.0, 2.0], &[0.0, 0.5]]), other];
            let error = Bias::tensor(&rows).unwrap_err();
            assert!(error.to_string().contains("differ in size"), "{error}");
        }
    }

    #[test]
    fn embeddings_follow_the_order_of_their_list() {
        let word = |id: i32| Word::from([id]);
        let known = Known {
            lists: vec![
                Arc::from([word(2), word(1)]),
                Arc::from([word(1), word(2), word(1)]),
            ],
            embeddings: [1, 2]
                .map(|id| (word(id), Embedding::from([id as f32])))
                .into(),
            missing: Vec::new(),
        };
        let biases = known.biases().unwrap();
        let values = |bias: &Bias| bias.0.iter().map(|each| each[0]).collect::<Vec<f32>>();
        assert_eq!(values(&biases[0]), [2.0, 1.0]);
        assert_eq!(values(&biases[1]), [1.0, 2.0, 1.0]);
    }
}
