//! Options that all pipelines share.

use triton_backend::{Error, ModelContext};

use crate::pipelines::warmup::WARMUP;
use crate::tensors::parameters::{Count, Parameter, Table, Text};

/// The parameters about calls of models that mean the same in all pipelines.
pub(crate) const CALLS: Table = Table {
    name: "Calls",
    lines: &[&ENCODER, &MAX_ROWS_PER_CALL, &WARMUP],
};

pub(crate) const ENCODER: Parameter<Text> =
    Parameter::new("encoder", "the encoder model to call").default("encoder");

const MAX_ROWS_PER_CALL: Parameter<Count> = Parameter::new(
    "max_rows_per_call",
    "the most rows of one call; the called model's own `max_batch_size` must allow them",
)
.otherwise("`max_batch_size`");

/// The parameter `calls_in_flight` of a pipeline that has this default.
pub(crate) const fn calls_in_flight(default: usize) -> Parameter<Count> {
    Parameter::new(
        "calls_in_flight",
        "calls of a model under way at a time. What comes meanwhile waits, and shares the next calls. Fewer make fuller calls",
    )
    .default(default)
}

/// The most rows of one call.
pub(crate) fn max_rows_per_call(context: &ModelContext) -> Result<usize, Error> {
    let of_model = usize::try_from(context.config.max_batch_size).unwrap_or(0);
    Ok(MAX_ROWS_PER_CALL.find(context)?.unwrap_or(of_model.max(1)))
}
