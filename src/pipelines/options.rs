//! Options that all pipelines share.

use std::sync::Arc;

use triton_backend::{DataType, Error, ModelContext, Request};

use crate::metrics::{AudioMeter, CALLEE, PENDING_ROWS, QUEUE_ROWS, QUEUE_WAIT, Taken};
use crate::pipelines::callee::{Callee, Traits};
use crate::pipelines::rows::Hold;
use crate::pipelines::scheduler::admission::{self, Admission, Limit};
use crate::pipelines::scheduler::queue::{Queue, QueueMeter};
use crate::pipelines::scheduler::waiting::Item;
use crate::pipelines::warmup::WARMUP;
use crate::tensors::audio::Sizes;
use crate::tensors::parameters::{Count, Parameter, Table, Text};

/// The parameters about calls of models that mean the same in all pipelines.
pub(crate) const CALLS: Table = Table {
    name: "Calls",
    lines: &[
        &ENCODER,
        &MAX_ROWS_PER_CALL,
        &MAX_PENDING_ROWS,
        &MAX_PENDING_SECONDS,
        &MAX_PENDING_BYTES,
        &WARMUP,
    ],
};

pub(crate) const ENCODER: Parameter<Text> =
    Parameter::new("encoder", "the encoder model to call").default("encoder");

const MAX_ROWS_PER_CALL: Parameter<Count> = Parameter::new(
    "max_rows_per_call",
    "the most rows of one call. The called model's own `max_batch_size` is a limit in any case",
)
.otherwise("`max_batch_size`");

pub(crate) const MAX_PENDING_ROWS: Parameter<Count> = Parameter::new(
    "max_pending_rows",
    "rows, or chunks of streams, that may be taken and not answered yet. See [Overload](#overload)",
)
.default(4096);
pub(crate) const MAX_PENDING_SECONDS: Parameter<Count> = Parameter::new(
    "max_pending_seconds",
    "seconds of audio that may be, all rows together",
)
.default(14_400);
pub(crate) const MAX_PENDING_BYTES: Parameter<Count> = Parameter::new(
    "max_pending_bytes",
    "bytes that may be held for them: samples, padding included, files and texts, and features",
)
.default(2 << 30);

/// The parameter `calls_in_flight` of a pipeline that has at least so many.
pub(crate) const fn calls_in_flight(otherwise: &'static str) -> Parameter<Count> {
    Parameter::new(
        "calls_in_flight",
        "calls of a model under way at a time. What comes meanwhile waits, and shares the next calls. Fewer make fuller calls",
    )
    .otherwise(otherwise)
}

/// How many calls of a model may be under way.
#[derive(Clone, Copy)]
pub(crate) struct CallsInFlight {
    configured: Option<usize>,
    least: usize,
    full_on_processors: bool,
}

impl CallsInFlight {
    /// What a config says with this parameter; if it says nothing, twice the called model's instances, at least `least`.
    pub(crate) fn load(
        context: &ModelContext,
        parameter: &Parameter<Count>,
        least: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            configured: parameter.find(context)?,
            least,
            full_on_processors: false,
        })
    }

    /// If a config says nothing, one for each instance where the model runs on processors: a call costs less for each row the
    /// more rows it has, and where another one is there already, what comes meanwhile finds no room in it.
    pub(crate) fn full_on_processors(self) -> Self {
        Self {
            full_on_processors: true,
            ..self
        }
    }

    /// How many of a model like this. While each instance works on a call, another one is there for when it has done.
    pub(crate) fn of(self, traits: Traits) -> usize {
        let instances = traits.instances.unwrap_or(1);
        let usual = if self.full_on_processors && !traits.on_gpu {
            instances
        } else {
            instances.saturating_mul(2).max(self.least)
        };
        self.configured.unwrap_or(usual)
    }
}

/// The most rows of one call.
pub(crate) fn max_rows_per_call(context: &ModelContext) -> Result<usize, Error> {
    let of_model = usize::try_from(context.config.max_batch_size).unwrap_or(0);
    Ok(MAX_ROWS_PER_CALL.find(context)?.unwrap_or(of_model.max(1)))
}

/// The encoder to call.
pub(crate) fn encoder(context: &ModelContext) -> Result<Callee, Error> {
    Ok(Callee::new(context, ENCODER.read(context)?))
}

/// A queue for calls of a model.
pub(crate) fn queue<T: Item>(context: &ModelContext, callee: &Callee) -> Queue<T> {
    let labels = [(CALLEE, callee.name.as_str())];
    Queue::new(QueueMeter {
        length: context.gauge(&QUEUE_ROWS, &labels),
        wait: context.histogram(&QUEUE_WAIT, &labels),
    })
}

/// What is let into a pipeline.
pub(crate) struct Door {
    admission: Arc<Admission<3>>,
    meter: AudioMeter,
    sample_rate: u64,
}

/// What a request in a pipeline holds until it is answered.
pub(crate) struct Permit {
    _admitted: admission::Permit<3>,
    taken: Taken,
    samples: usize,
}

impl Permit {
    /// The request's samples are read, and nothing is wrong with them.
    pub(crate) fn samples_are_read(&mut self) {
        self.taken.takes(self.samples);
    }
}

impl Hold for Permit {
    fn answered(self) {
        self.taken.answered();
    }
}

impl<const N: usize> Hold for admission::Permit<N> {
    fn answered(self) {}
}

/// What a request in a pipeline holds while it waits for a thread.
pub(crate) type WaitingPermit = admission::Permit<3>;

impl Door {
    /// As a config has it.
    pub(crate) fn load(context: &ModelContext, sample_rate: u32) -> Result<Self, Error> {
        let limits = [
            limit(context, &MAX_PENDING_ROWS, "rows", 1)?,
            limit(context, &MAX_PENDING_SECONDS, "s", 1000)?,
            limit(context, &MAX_PENDING_BYTES, "bytes", 1)?,
        ];
        Ok(Self {
            admission: Admission::new(limits, context.gauge(&PENDING_ROWS, &[])),
            meter: match context.config.sequence_batching {
                Some(_) => AudioMeter::of_chunks(context, sample_rate),
                None => AudioMeter::of_recordings(context, sample_rate),
            },
            sample_rate: u64::from(sample_rate.max(1)),
        })
    }

    /// Lets a request wait until it is known how much audio it has.
    pub(crate) fn admit_waiting(&self, rows: usize, bytes: usize) -> Result<WaitingPermit, Error> {
        self.admission.admit([count(rows), 0, count(bytes)])
    }

    /// Lets so many samples more in of a request that waits, as they are decoded.
    pub(crate) fn grow(&self, waiting: &mut WaitingPermit, samples: usize) -> Result<(), Error> {
        let samples = count(samples);
        let milliseconds = samples.saturating_mul(1000).div_ceil(self.sample_rate);
        waiting.grow([
            0,
            milliseconds,
            samples.saturating_mul(size_of::<f32>() as u64),
        ])
    }

    /// Lets a request in, or says which limit is in its way, before its samples are looked at. `values` are the numbers that will be
    /// computed for it. Its texts, bytes and files count as they came: the server holds them until the answer.
    pub(crate) fn admit(
        &self,
        request: &Request,
        sizes: &Sizes,
        values: usize,
    ) -> Result<Permit, Error> {
        let samples = sizes
            .lengths
            .iter()
            .fold(0_usize, |sum, &length| sum.saturating_add(length));
        let floats = count(sizes.values).saturating_add(count(values));
        let inputs = request.inputs().unwrap_or_default();
        let as_came = inputs
            .iter()
            .filter(|input| input.data_type() == DataType::String)
            .fold(0, |sum: u64, input| {
                sum.saturating_add(count(input.byte_size()))
            });
        let admitted = self.admission.admit([
            count(sizes.lengths.len()),
            count(samples)
                .saturating_mul(1000)
                .div_ceil(self.sample_rate),
            floats
                .saturating_mul(size_of::<f32>() as u64)
                .saturating_add(as_came),
        ])?;
        Ok(Permit {
            _admitted: admitted,
            taken: self.meter.begins(request),
            samples,
        })
    }
}

/// What is let in to wait for a thread, where rows are worked on piece by piece.
pub(crate) struct Waiting(Arc<Admission<2>>);

impl Waiting {
    /// As a config has it.
    pub(crate) fn load(context: &ModelContext) -> Result<Self, Error> {
        let limits = [
            limit(context, &MAX_PENDING_ROWS, "rows", 1)?,
            limit(context, &MAX_PENDING_BYTES, "bytes", 1)?,
        ];
        let told = context.gauge(&PENDING_ROWS, &[]);
        Ok(Self(Admission::new(limits, told)))
    }

    /// Lets a request in, or says which limit is in its way.
    pub(crate) fn admit(&self, rows: usize, bytes: usize) -> Result<admission::Permit<2>, Error> {
        self.0.admit([count(rows), count(bytes)])
    }
}

/// A limit that a config sets.
fn limit(
    context: &ModelContext,
    parameter: &Parameter<Count>,
    unit: &'static str,
    per_unit: u64,
) -> Result<Limit, Error> {
    Ok(Limit {
        parameter: parameter.name(),
        most: count(parameter.read(context)?).saturating_mul(per_unit),
        unit,
        per_unit,
    })
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_in_flight_follow_the_instances_unless_a_config_says_otherwise() {
        let of = |configured, least, full_on_processors, on_gpu| {
            let calls = CallsInFlight {
                configured,
                least,
                full_on_processors,
            };
            [None, Some(1), Some(2), Some(4)].map(|instances| {
                calls.of(Traits {
                    instances,
                    on_gpu,
                    most_rows: None,
                })
            })
        };
        assert_eq!(of(None, 4, false, false), [4, 4, 4, 8]);
        assert_eq!(of(None, 2, false, false), [2, 2, 4, 8]);
        assert_eq!(of(None, 2, true, false), [1, 1, 2, 4]);
        assert_eq!(of(None, 2, true, true), [2, 2, 4, 8]);
        assert_eq!(of(Some(3), 4, true, false), [3, 3, 3, 3]);
    }
}
