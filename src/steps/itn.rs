//! Component `itn`: numbers as they are written of numbers as they are spoken, and the same within pipelines.
//!
//! `TEXT` STRING `[rows, 1]` in and out. Within a pipeline, `TEXT_NORM` says whether a row is to have it, in the way of SenseVoice's.

use std::sync::Arc;

use itn::Rewriter;
use triton_backend::{Batch, DataType, Error, ModelContext, Request, Response, guard};

use crate::component::{Component, Worker};
use crate::tensors::layout::{Layout, check_tensor};
use crate::tensors::parameters::{File, Parameter, Table};
use crate::tensors::prompt::PromptInput;

/// The parameters of the component alone.
pub(crate) const PARAMETERS: Table = Table {
    name: "itn",
    lines: &[&ITN_PATH],
};

/// The parameters of pipelines that can do it.
pub(crate) const SWITCHED: Table = Table {
    name: "Written numbers",
    lines: &[&ITN_PATH, &ITN],
};

pub(crate) const ITN_PATH: Parameter<File> = Parameter::new(
    "itn_path",
    "a directory with WeTextProcessing's grammars: `zh/itn/tagger.fst` and `verbalizer.fst`, the same below `en`, or `zh_itn_tagger.fst` and \
     `zh_itn_verbalizer.fst`",
)
.otherwise("numbers stay as they are spoken");
const ITN: Parameter<bool> = Parameter::new(
    "itn",
    "true: numbers are written where a request does not say otherwise by its input `TEXT_NORM`",
)
.default(false);

/// The input of a pipeline that says for each row whether its numbers are to be written.
pub(crate) const TEXT_NORM: &str = "TEXT_NORM";
/// With, and without it, as SenseVoice has them.
const WITH: i32 = 14;
const WITHOUT: i32 = 15;
/// The component's tensor, in and out.
const TEXT: &str = "TEXT";

/// Whether and how numbers are written.
pub(crate) struct Itn {
    rewriter: Rewriter,
    /// Where a request does not say.
    wanted: bool,
    /// The input by which it may.
    input: Option<PromptInput>,
}

impl Itn {
    /// As a pipeline's config has it; `None` if it has no grammars.
    pub(crate) fn load(context: &ModelContext) -> Result<Option<Arc<Self>>, Error> {
        let wanted = ITN.read(context)?;
        let Some(rewriter) = rewriter(context)? else {
            let what = format!("is true, but there is no parameter {}", ITN_PATH.name());
            return match wanted {
                true => Err(Error::parameter(ITN.name(), what)),
                false => Ok(None),
            };
        };
        let input = match context.config.input(TEXT_NORM) {
            Ok(_) => Some(PromptInput::text_norm(context, TEXT_NORM)?),
            Err(_) => None,
        };
        Ok(Some(Arc::new(Self {
            rewriter,
            wanted,
            input,
        })))
    }

    /// Whether each of a request's rows is to have its numbers written.
    pub(crate) fn wanted(&self, request: &Request, rows: usize) -> Result<Vec<bool>, Error> {
        let Some(input) = &self.input else {
            return Ok(vec![self.wanted; rows]);
        };
        match input.read(request, rows) {
            Ok(ids) => ids.into_iter().enumerate().map(wanted).collect(),
            Err(Error::MissingInput { .. }) => Ok(vec![self.wanted; rows]),
            Err(error) => Err(error),
        }
    }

    /// The text with its numbers as they are written.
    pub(crate) fn written(&self, spoken: &str) -> String {
        self.rewriter.written(spoken)
    }
}

fn wanted((row, id): (usize, i32)) -> Result<bool, Error> {
    match id {
        WITH => Ok(true),
        WITHOUT => Ok(false),
        _ => Err(Error::input(
            TEXT_NORM,
            format!(
                "row {row} is {id}, expected {WITH} (numbers as they are written) or {WITHOUT} (as they are spoken)"
            ),
        )),
    }
}

fn rewriter(context: &ModelContext) -> Result<Option<Rewriter>, Error> {
    let directory = ITN_PATH.find(context)?;
    let read = |directory| {
        Rewriter::read(directory)
            .map_err(|error| Error::parameter(ITN_PATH.name(), error.to_string()))
    };
    directory.as_deref().map(read).transpose()
}

/// The component.
struct Step {
    rewriter: Rewriter,
    layout: Layout,
}

/// Loads the component.
pub(crate) fn load(context: &ModelContext) -> Result<Arc<dyn Component>, Error> {
    let config = &context.config;
    check_tensor(config.input(TEXT)?, DataType::String, &[Some(1)])?;
    check_tensor(config.output(TEXT)?, DataType::String, &[Some(1)])?;
    let rewriter = rewriter(context)?;
    Ok(Arc::new(Step {
        rewriter: rewriter.ok_or_else(|| Error::parameter(ITN_PATH.name(), "is missing"))?,
        layout: Layout {
            batched: config.batches(),
        },
    }))
}

impl Step {
    fn answer(&self, request: &Request) -> Result<Response, Error> {
        let texts = request.input(TEXT)?.strings()?;
        let written = |(row, text): (usize, &[u8])| {
            let text = std::str::from_utf8(text)
                .map_err(|_| Error::input(TEXT, format!("row {row} is not UTF-8")))?;
            Ok(self.rewriter.written(text))
        };
        let texts = texts.iter().map(AsRef::as_ref).enumerate();
        let texts: Vec<String> = texts.map(written).collect::<Result<_, Error>>()?;
        let mut response = request.response()?;
        if request.wants(TEXT) {
            let shape = self.layout.shape(texts.len(), &[1]);
            response.output_strings(TEXT, &shape, &texts)?;
        }
        Ok(response)
    }
}

impl Component for Step {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Box::new(self)
    }
}

impl Worker for Arc<Step> {
    fn execute(&mut self, batch: Batch) {
        batch.compute_starts();
        let answers = batch.requests().iter();
        let outcomes: Vec<_> = answers
            .map(|request| guard(|| self.answer(request)))
            .collect();
        batch.compute_ends();
        batch.finish(outcomes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_norms_are_those_of_sensevoice() {
        assert!(wanted((0, 14)).is_ok_and(|wanted| wanted));
        assert!(wanted((0, 15)).is_ok_and(|wanted| !wanted));
        let error = wanted((2, 3)).unwrap_err().to_string();
        assert!(
            error.starts_with("input 'TEXT_NORM': row 2 is 3, expected 14"),
            "{error}"
        );
    }
}
