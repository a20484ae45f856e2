//! Text that waits for the model, and whose answer it is.

use std::sync::Arc;
use std::time::Instant;

use speech_segments::punctuation::{Cache, Piece, Text};
use triton_backend::{Call, Error, Promise, Reply, Response};

use super::model::PunctuationModel;
use crate::pipelines::callee::Callee;
use crate::pipelines::chain::{Link, Place};
use crate::pipelines::rows::Rows;
use crate::pipelines::scheduler::admission::Permit;
use crate::pipelines::scheduler::batch::Size;
use crate::pipelines::scheduler::waiting::Item;
use crate::tensors::layout::Layout;
use crate::tensors::sequences::Lease;

/// Input and output.
pub(crate) const TEXT: &str = "TEXT";

pub(super) struct Shared {
    pub(super) model: PunctuationModel,
    pub(super) layout: Layout,
}

/// Text on its way.
pub(super) enum Work {
    /// A row of a request.
    Row {
        text: Text,
        rows: Arc<Rows<String, Permit<2>>>,
        place: usize,
    },
    /// A piece of a speech.
    Piece(Box<OfSpeech>),
}

pub(super) struct OfSpeech {
    pub(super) piece: Piece,
    /// As the piece before left it.
    pub(super) cache: Cache,
    /// Before the promise: dropped together, the speech is over when the client hears of it.
    pub(super) lease: Lease<Cache>,
    pub(super) promise: Promise,
    /// Given back before the answer: whoever has it may send the next request.
    pub(super) permit: Permit<2>,
    /// When the client does not wait for calls any more that have not gone out.
    pub(super) deadline: Option<Instant>,
}

impl Work {
    /// The ids of the words that the next call asks about.
    fn ids(&self) -> &[i32] {
        let ids = match self {
            Self::Row { text, .. } => text.ask(),
            Self::Piece(own) => own.piece.ask(),
        };
        ids.unwrap_or_default()
    }

    /// Itself if the model is to be called; else it is answered.
    pub(super) fn go_on(self, shared: &Shared) -> Option<Self> {
        if !self.ids().is_empty() {
            return Some(self);
        }
        let punctuator = &shared.model.punctuator;
        match self {
            Self::Row { text, rows, place } => rows.deliver(place, Ok(punctuator.finish(text))),
            Self::Piece(own) => {
                let OfSpeech {
                    piece,
                    mut cache,
                    lease,
                    promise,
                    permit,
                    ..
                } = *own;
                let text = punctuator.finish_piece(piece, &mut cache);
                lease.put_back(cache);
                drop(permit);
                promise.answer(|promise| {
                    let mut response = promise.response()?;
                    write(&mut response, shared.layout, &[text])?;
                    Ok(response)
                });
            }
        }
        None
    }
}

pub(super) fn write(
    response: &mut Response,
    layout: Layout,
    texts: &[String],
) -> Result<(), Error> {
    response.output_strings(TEXT, &layout.shape(texts.len(), &[1]), texts)
}

impl Item for Work {
    /// Rows of equally many words share a call: padding would cost, and need masks.
    fn size(&self) -> Size {
        Size {
            class: 0,
            rows: 1,
            length: self.ids().len(),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Row { rows, .. } => rows.deadline(),
            Self::Piece(own) => own.deadline,
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Row { rows, .. } => rows.is_over(),
            Self::Piece(own) => own.promise.is_cancelled(),
        }
    }
}

impl Link for Work {
    type Shared = Shared;

    fn call(shared: &Shared, callee: &Callee, links: &[Self]) -> Result<Call, Error> {
        let rows: Vec<&[i32]> = links.iter().map(Self::ids).collect();
        let old = match links.first() {
            Some(Self::Piece(own)) => Some(own.piece.old()),
            _ => None,
        };
        Ok(shared.model.call(callee, &rows, old))
    }

    fn compute_ends(&self) {
        match self {
            Self::Row { rows, .. } => rows.compute_ends(),
            Self::Piece(own) => own.promise.compute_ends(),
        }
    }

    fn answered(mut self, shared: &Shared, reply: &Reply, place: Place) -> Option<Self> {
        let model = &shared.model;
        let words = self.ids().len();
        let taken = model
            .best(reply, (place.row, place.rows), words)
            .and_then(|marks| {
                let taken = match &mut self {
                    Self::Row { text, .. } => model.punctuator.answer(text, &marks),
                    Self::Piece(own) => model.punctuator.answer_piece(&mut own.piece, &marks),
                };
                taken.map_err(|error| Error::internal(error.to_string()))
            });
        match taken {
            Ok(()) => self.go_on(shared),
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    /// A speech goes on without the piece.
    fn fail(self, error: Error) {
        match self {
            Self::Row { rows, place, .. } => rows.deliver(place, Err(error)),
            Self::Piece(own) => {
                let OfSpeech {
                    cache,
                    lease,
                    promise,
                    permit,
                    ..
                } = *own;
                match promise.is_cancelled() {
                    true => lease.cancel(),
                    false => lease.put_back(cache),
                }
                drop(permit);
                promise.fail(error);
            }
        }
    }
}
