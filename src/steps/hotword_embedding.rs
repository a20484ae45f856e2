//! Component `hotword_embedding`: hot words to what SeACo-Paraformer's encoder takes of them.
//!
//! `wav_lens` INT32 `[rows, 1]`, of which only the rows count, and `hotwords` STRING `[rows, words]`, which a request need not have,
//! become `bias_embed` FP32 `[rows, words + 1, dim]`. In an ensemble it runs beside the front end.
//!
//! `execute` does not wait for the model that it calls: its callback answers the request.

use std::sync::Arc;

use triton_backend::{Batch, DataType, Error, ModelContext, Request, Response, guard};

use crate::component::{Component, Worker};
use crate::steps::hotwords::{BIAS_EMBED, Bias, Hotwords, List};
use crate::steps::paraformer_scoring::{VOCABULARY, vocabulary};
use crate::tensors::layout::{Layout, check_tensor, check_type};
use crate::tensors::parameters::Table;

/// The parameters of this component alone.
pub(crate) const PARAMETERS: Table = Table {
    name: "hotword_embedding",
    lines: &[&VOCABULARY],
};

/// The loaded component.
pub(crate) struct HotwordEmbedding {
    hotwords: Arc<Hotwords>,
    layout: Layout,
}

const ROWS: &str = "wav_lens";
const INPUT: &str = "hotwords";

impl HotwordEmbedding {
    pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
        let config = &context.config;
        check_type(config.input(ROWS)?, DataType::Int32)?;
        check_tensor(config.output(BIAS_EMBED)?, DataType::Fp32, &[None, None])?;
        Ok(Arc::new(Self {
            hotwords: Hotwords::load(context, INPUT, &vocabulary(context)?)?,
            layout: Layout {
                batched: config.batches(),
            },
        }))
    }

    /// Starts the work on a request; what ends it may come later, from the callback of the model called.
    fn start(&self, request: Request) {
        let lists = guard(|| self.lists(&request));
        request.compute_starts();
        let layout = self.layout;
        match lists {
            Ok(lists) => self.hotwords.embed(lists, move |biases| {
                request.compute_ends();
                request.answer(|request| respond(request, layout, &biases?));
            }),
            Err(error) => request.fail(error),
        }
    }

    fn lists(&self, request: &Request) -> Result<Vec<List>, Error> {
        if request.is_cancelled() {
            return Err(Error::cancelled());
        }
        let lengths = request.input(ROWS)?;
        let rows = match self.layout.batched {
            true => lengths.batch_size().unwrap_or(1),
            false => 1,
        };
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let lists = self.hotwords.lists(request, rows)?;
        // One tensor cannot hold lists of different lengths, and the model would listen to whatever filled the shorter ones up.
        let counts = || lists.iter().map(|list| list.len() - 1);
        let differs = counts().position(|count| Some(count) != counts().next());
        if let (Some(row), Some(first)) = (differs, counts().next()) {
            let other = lists[row].len() - 1;
            let message = format!(
                "row {row} has {other} hot words, row 0 has {first}: rows of a request have equally many in an ensemble; send them as requests of \
                 their own, or serve the pipeline"
            );
            return Err(Error::input(INPUT, message));
        }
        Ok(lists)
    }
}

fn respond(request: &Request, layout: Layout, biases: &[Bias]) -> Result<Response, Error> {
    let (values, shape) = Bias::tensor(biases)?;
    let mut response = request.response()?;
    if request.wants(BIAS_EMBED) {
        let shape = match layout.batched {
            true => &shape[..],
            false => &shape[1..],
        };
        response
            .output::<f32>(BIAS_EMBED, shape)?
            .copy_from_slice(&values);
    }
    Ok(response)
}

impl Component for HotwordEmbedding {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(self)
    }

    fn called(&self) -> Vec<&str> {
        vec![self.hotwords.model()]
    }
}

impl Worker for Arc<HotwordEmbedding> {
    fn execute(&mut self, batch: Batch) {
        for request in batch {
            self.start(request);
        }
    }
}
