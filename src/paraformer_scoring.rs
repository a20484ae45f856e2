//! Component `paraformer_scoring`: an offline Paraformer's scores to text.
//!
//! `logits` FP32 `[rows, tokens, vocabulary]` and `token_num` INT32 `[rows]` (or `[rows, 1]`) become `OUTPUT0` STRING
//! `[rows, 1]`. Every row is decoded by itself, over its own tokens.

use std::sync::Arc;

use asr_decode::paraformer;
use asr_decode::vocabulary::Vocabulary;
use asr_decode::words::Join;
use triton_backend::{Batch, DataType, Error, ModelContext, Request, Response, guard, warn};

use crate::component::{Component, Worker, check_tensor, check_type};
use crate::rows::Layout;

/// The loaded component.
pub(crate) struct ParaformerScoring {
    vocabulary: Vocabulary,
    layout: Layout,
    join: Join,
}

impl ParaformerScoring {
    pub(crate) const PARAMETERS: &'static [&'static [&'static str]] =
        &[&["vocabulary", "raw", "ignore_id", "lm_path"]];

    pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
        let config = &context.config;
        let vocabulary = vocabulary(context)?;
        check_tensor(
            config.input("logits")?,
            DataType::Fp32,
            &[None, Some(vocabulary.len())],
        )
        .map_err(|error| {
            error.context(format_args!(
                "the vocabulary has {} tokens",
                vocabulary.len()
            ))
        })?;
        check_type(config.input("token_num")?, DataType::Int32)?;
        check_tensor(config.output("OUTPUT0")?, DataType::String, &[Some(1)])?;
        Ok(Arc::new(Self {
            layout: Layout {
                batched: config.batches(),
            },
            join: join(context)?,
            vocabulary,
        }))
    }

    fn score(&self, request: &Request) -> Result<Response, Error> {
        let logits = request.input("logits")?;
        let (rows, [tokens, width]) = self.layout.rows(&logits, "tokens, vocabulary")?;
        if width != self.vocabulary.len() {
            return Err(Error::Shape {
                name: "logits".to_owned(),
                got: logits.shape().to_vec(),
                expected: format!(
                    "{} scores a token, one for each of the vocabulary",
                    self.vocabulary.len()
                ),
            });
        }
        let counts = request.input("token_num")?;
        let counts =
            self.layout
                .lengths(&counts, rows, 0, tokens, "tokens in the row of 'logits'")?;
        let scores = logits.read::<f32>()?;
        let mut ids = Vec::new();
        let texts: Vec<String> = counts
            .iter()
            .enumerate()
            .map(|(row, &count)| {
                let row = &scores[row * tokens * width..][..tokens * width];
                paraformer::greedy(row, width, count, &mut ids)
                    .map_err(|error| Error::internal(error.to_string()))?;
                paraformer::text(&ids, &self.vocabulary, self.join)
                    .map_err(|error| Error::internal(error.to_string()))
            })
            .collect::<Result<_, _>>()?;
        let mut response = request.response()?;
        if request.wants("OUTPUT0") {
            response.output_strings("OUTPUT0", &self.layout.shape(rows, &[1]), &texts)?;
        }
        Ok(response)
    }
}

/// The vocabulary that the parameter of that name points at.
pub(crate) fn vocabulary(context: &ModelContext) -> Result<Vocabulary, Error> {
    let vocabulary = Vocabulary::from_file(context.file("vocabulary")?)
        .map_err(|error| Error::parameter("vocabulary", error.to_string()))?;
    if vocabulary.subwords().is_none() {
        warn!(
            "model '{}': no token of its vocabulary is marked as a part of a word (@@); if it should have such tokens, \
             use the tokens.json of the model's export",
            context.name
        );
    }
    Ok(vocabulary)
}

/// How tokens become text, by the parameter `raw`.
pub(crate) fn join(context: &ModelContext) -> Result<Join, Error> {
    Ok(match context.config.parameters.flag("raw")? {
        Some(true) => Join::Raw,
        _ => Join::Words,
    })
}

impl Component for ParaformerScoring {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(self)
    }
}

impl Worker for Arc<ParaformerScoring> {
    fn execute(&mut self, batch: Batch) {
        batch.compute_starts();
        let outcomes: Vec<_> = batch
            .requests()
            .iter()
            .map(|request| guard(|| self.score(request)))
            .collect();
        batch.compute_ends();
        batch.finish(outcomes);
    }
}
