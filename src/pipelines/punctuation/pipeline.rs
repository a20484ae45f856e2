//! The component: whole texts, or pieces of speeches where its config has `sequence_batching`.

use std::sync::Arc;
use std::time::Duration;

use speech_segments::punctuation::{Cache, words};
use triton_backend::{Batch, DataType, Error, ModelContext, Request, guard};

use super::model::{CALLS_IN_FLIGHT, MAX_PENDING_TEXT_BYTES, MAX_PENDING_TEXTS, PunctuationModel};
use super::work::{OfSpeech, Shared, TEXT, Work, write};
use crate::component::{Component, Worker};
use crate::metrics::PENDING_ROWS;
use crate::pipelines::callee::Callee;
use crate::pipelines::chain::Chain;
use crate::pipelines::options::CallsInFlight;
use crate::pipelines::rows::Rows;
use crate::pipelines::scheduler::admission::{Admission, Limit, Permit};
use crate::pipelines::scheduler::batch::Limits;
use crate::tensors::layout::{Layout, check_tensor};
use crate::tensors::options::threads;
use crate::tensors::parameters::{Count, Parameter};
use crate::tensors::sequences::{Ends, Lease, Streams};

/// What comes while one call is computed shares the next.
const LEAST_CALLS_IN_FLIGHT: usize = 2;
/// The most rows × words² of a call of several rows, as other pipelines have it by default.
const MAX_ATTENTION_PER_CALL: usize = 20_000_000;
/// Between two pieces of a speech a sentence may be spoken.
const ENDS: Ends = Ends {
    patience: Duration::from_secs(2),
    first_step: false,
};

/// The loaded component.
pub(crate) struct PunctuationPipeline {
    chain: Arc<Chain<Work>>,
    admission: Arc<Admission<2>>,
    /// None where requests are whole texts.
    speeches: Option<Streams<Cache>>,
    layout: Layout,
}

/// A piece that is taken.
struct Begun {
    lease: Lease<Cache>,
    /// As the piece before left it.
    cache: Cache,
    text: String,
    permit: Permit<2>,
}

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    let config = &context.config;
    check_tensor(config.input(TEXT)?, DataType::String, &[Some(1)])?;
    check_tensor(config.output(TEXT)?, DataType::String, &[Some(1)])?;
    let layout = Layout {
        batched: config.batches(),
    };
    let model = PunctuationModel::load(context)?;
    let callee = Callee::new(context, model.name.clone());
    let speeches = match config.sequence_batching {
        Some(_) => Some(Streams::new(context, &ENDS)?),
        None => None,
    };
    let limits = Limits {
        calls: LEAST_CALLS_IN_FLIGHT,
        // The masks of the realtime kind are of one row.
        rows: if speeches.is_some() { 1 } else { usize::MAX },
        frames: usize::MAX,
        attention: MAX_ATTENTION_PER_CALL,
        padding_percent: 0.0,
    };
    let limit = |parameter: &Parameter<Count>, unit| {
        let most = u64::try_from(parameter.read(context)?).unwrap_or(u64::MAX);
        Ok::<_, Error>(Limit {
            parameter: parameter.name(),
            most,
            unit,
            per_unit: 1,
        })
    };
    let limits_of_pending = [
        limit(&MAX_PENDING_TEXTS, "texts")?,
        limit(&MAX_PENDING_TEXT_BYTES, "bytes")?,
    ];
    let admission = Admission::new(limits_of_pending, context.gauge(&PENDING_ROWS, &[]));
    let calls = CallsInFlight::load(context, &CALLS_IN_FLIGHT, LEAST_CALLS_IN_FLIGHT)?;
    let shared = Shared { model, layout };
    let threads = threads(context)?.get();
    Ok(Arc::new(PunctuationPipeline {
        chain: Arc::new(Chain::new(context, shared, callee, calls, limits, threads)?),
        admission,
        speeches,
        layout,
    }))
}

impl PunctuationPipeline {
    /// Takes a request with whole texts up.
    fn texts(&self, request: Request) {
        let (texts, permit) = match guard(|| self.read(&request)) {
            Ok(read) => read,
            Err(error) => return request.fail(error),
        };
        request.compute_starts();
        let layout = self.layout;
        let write = move |request: &Request, texts: &[String]| {
            let mut response = request.response()?;
            if request.wants(TEXT) {
                write(&mut response, layout, texts)?;
            }
            Ok(response)
        };
        let deadline = request.deadline();
        let collector = Rows::new(request, deadline, permit, texts.len(), write);
        let shared = &self.chain.shared;
        for (place, text) in texts.into_iter().enumerate() {
            let rows = Arc::clone(&collector);
            let text = shared.model.punctuator.text(&text);
            let work = guard(|| Ok(Work::Row { text, rows, place }.go_on(shared)));
            // What panicked is dropped, and its request told so.
            self.chain.push(work.ok().flatten());
        }
    }

    /// The texts of a request, if there is room for it.
    fn read(&self, request: &Request) -> Result<(Vec<String>, Permit<2>), Error> {
        if request.is_cancelled() {
            return Err(Error::cancelled());
        }
        let input = request.input(TEXT)?;
        let (rows, [columns]) = self.layout.rows(TEXT, input.shape(), "1")?;
        if columns != 1 || rows == 0 {
            return Err(Error::Shape {
                name: TEXT.to_owned(),
                got: input.shape().to_vec(),
                expected: "one text a row".to_owned(),
            });
        }
        let texts = input.strings()?;
        let bytes: usize = texts.iter().map(Vec::len).sum();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let permit = self.admission.admit([count(rows), count(bytes)])?;
        let texts = texts.into_iter().enumerate();
        let texts = texts.map(|(row, text)| self.checked(row, text));
        Ok((texts.collect::<Result<_, Error>>()?, permit))
    }

    fn checked(&self, row: usize, text: Vec<u8>) -> Result<String, Error> {
        let wrong = |message: String| Error::input(TEXT, format!("row {row} {message}"));
        let text = String::from_utf8(text).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            wrong(format!("is not UTF-8: see the byte at offset {at}"))
        })?;
        let (count, most) = (words(&text).len(), self.chain.shared.model.max_words);
        if count > most {
            return Err(wrong(format!(
                "has {count} words; parameter max_words allows {most}"
            )));
        }
        Ok(text)
    }

    /// Takes a piece of a speech up.
    fn piece(&self, speeches: &Streams<Cache>, request: Request) {
        let Begun {
            lease,
            cache,
            text,
            permit,
        } = match guard(|| self.begin(speeches, &request)) {
            Ok(begun) => begun,
            Err(error) => return request.fail(error),
        };
        request.compute_starts();
        let shared = &self.chain.shared;
        let own = OfSpeech {
            piece: shared.model.punctuator.piece(&cache, &text),
            cache,
            lease,
            deadline: request.deadline(),
            promise: request.into(),
            permit,
        };
        let work = guard(|| Ok(Work::Piece(Box::new(own)).go_on(shared)));
        self.chain.push(work.ok().flatten());
    }

    fn begin(&self, speeches: &Streams<Cache>, request: &Request) -> Result<Begun, Error> {
        let leased = speeches.lease(&request.sequence()?)?;
        let admit = |_: Option<&_>| {
            let (texts, permit) = self.read(request)?;
            let [text]: [String; 1] = texts.try_into().map_err(|texts: Vec<String>| {
                let message = format!(
                    "has {} rows; a request carries one piece of one speech",
                    texts.len()
                );
                Error::input(TEXT, message)
            })?;
            Ok((text, permit))
        };
        let (lease, state, (text, permit)) = leased.read(request.is_cancelled(), admit)?;
        Ok(Begun {
            lease,
            cache: state.unwrap_or_default(),
            text,
            permit,
        })
    }
}

impl Component for PunctuationPipeline {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(self)
    }

    fn called(&self) -> Vec<&str> {
        vec![&self.chain.callee.name]
    }
}

impl Worker for Arc<PunctuationPipeline> {
    fn execute(&mut self, batch: Batch) {
        self.chain.callee.learn();
        for request in batch {
            match &self.speeches {
                None => self.texts(request),
                Some(speeches) => self.piece(speeches, request),
            }
            self.chain.pump();
        }
    }
}
