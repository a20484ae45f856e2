//! What requests bring to a run, and which of them can run as one.

use std::borrow::Cow;

use ort::session::SessionInputValue;
use triton_backend::{Error, ErrorCode, ModelConfig, Request};

use crate::describe::{self, Room};
use crate::group::group_equal;
use crate::lengths::LengthInput;
use crate::leniency::{GROUP_BY_SHAPE, Leniency};
use crate::signature::{Signature, Tensor};
use crate::tensor::{Data, join};
use crate::types::shape_text;

/// What a request brings to a run.
pub(crate) struct Job<'r> {
    /// Its place in the batch.
    pub(crate) index: usize,
    pub(crate) request: &'r Request,
    /// The rows it has; 1 if the model does not batch.
    pub(crate) rows: usize,
    /// The names of the outputs it asks for.
    pub(crate) outputs: Vec<String>,
    inputs: Vec<Given<'r>>,
}

/// An input that a request brings.
struct Given<'r> {
    /// Its place in the signature.
    tensor: usize,
    shape: Cow<'r, [i64]>,
    data: Data<'r>,
}

impl Job<'_> {
    /// The inputs that the request has, by their places in the signature, and the shapes of their rows.
    fn row_shapes(&self) -> Vec<(usize, &[i64])> {
        let inputs = self.inputs.iter();
        inputs
            .map(|input| (input.tensor, input.shape.get(1..).unwrap_or_default()))
            .collect()
    }
}

/// Jobs that run as one.
pub(crate) type Group<'j, 'r> = Vec<&'j Job<'r>>;

/// Inputs as a session takes them.
pub(crate) type SessionInputs<'j> = Vec<(Cow<'j, str>, SessionInputValue<'j>)>;

/// How requests of a model are read.
pub(crate) struct Reader<'m> {
    pub(crate) config: &'m ModelConfig,
    pub(crate) signature: &'m Signature,
    pub(crate) lengths: &'m [LengthInput],
    pub(crate) leniency: Leniency,
}

impl Reader<'_> {
    /// Reads a request and checks what would otherwise harm those it is batched with.
    pub(crate) fn read<'r>(&self, index: usize, request: &'r Request) -> Result<Job<'r>, Error> {
        if request.is_cancelled() {
            let message = "the client took the request back";
            return Err(Error::new(ErrorCode::Cancelled, message));
        }
        let given = request.inputs()?;
        self.lengths
            .iter()
            .try_for_each(|each| each.check(&given))?;
        let mut inputs = Vec::with_capacity(given.len());
        for (index, tensor) in self.signature.inputs.iter().enumerate() {
            let Some(input) = given.iter().find(|input| input.name() == tensor.name) else {
                if tensor.optional {
                    continue;
                }
                return Err(Error::MissingInput {
                    name: tensor.name.clone(),
                });
            };
            if let Ok(expected) = tensor.data_type
                && expected != input.data_type()
            {
                return Err(Error::DataType {
                    name: tensor.name.clone(),
                    got: input.data_type(),
                    expected,
                });
            }
            inputs.push(Given {
                tensor: index,
                shape: self.shape(tensor, input.shape()),
                data: Data::read(input)?,
            });
        }
        Ok(Job {
            index,
            request,
            rows: self.rows(&inputs)?,
            outputs: request.requested_outputs()?,
            inputs,
        })
    }

    /// The server has no scalars and sends `[1]`; the file may want one.
    fn shape<'r>(&self, tensor: &Tensor, shape: &'r [i64]) -> Cow<'r, [i64]> {
        match tensor.dims.is_empty() && !self.config.batches() && shape == [1] {
            true => Cow::Owned(Vec::new()),
            false => Cow::Borrowed(shape),
        }
    }

    /// The rows that all inputs of a request agree on.
    fn rows(&self, inputs: &[Given<'_>]) -> Result<usize, Error> {
        if !self.config.batches() {
            return Ok(1);
        }
        let mut agreed: Option<i64> = None;
        for input in inputs {
            let first = input.shape.first().copied().unwrap_or(-1);
            if first < 0 || agreed.is_some_and(|agreed| agreed != first) {
                let expected = match agreed {
                    Some(rows) => format!("{rows} rows like the inputs before it"),
                    None => "a batch dimension".to_owned(),
                };
                return Err(Error::Shape {
                    name: self.tensor(input).name.clone(),
                    got: input.shape.to_vec(),
                    expected,
                });
            }
            agreed = Some(first);
        }
        Ok(agreed.map_or(1, |rows| usize::try_from(rows).unwrap_or(0)))
    }

    fn tensor(&self, input: &Given<'_>) -> &Tensor {
        &self.signature.inputs[input.tensor]
    }

    /// Jobs that run together: all of them, or those whose inputs differ in nothing but the number of rows.
    pub(crate) fn groups<'j, 'r>(&self, jobs: &'j [Job<'r>]) -> Vec<Group<'j, 'r>> {
        if !self.config.batches() {
            return jobs.iter().map(|job| vec![job]).collect();
        }
        if !self.leniency.group_by_shape {
            return match jobs.is_empty() {
                true => Vec::new(),
                false => vec![jobs.iter().collect()],
            };
        }
        let keys: Vec<_> = jobs.iter().map(Job::row_shapes).collect();
        group_equal(&keys)
            .into_iter()
            .map(|group| group.into_iter().map(|index| &jobs[index]).collect())
            .collect()
    }

    /// The server puts no requests of different shapes together, but for ragged inputs and states.
    fn same_shapes(&self, group: &[&Job<'_>]) -> Result<(), Error> {
        let Some((first, others)) = group.split_first() else {
            return Ok(());
        };
        let expected = first.row_shapes();
        let differing = others
            .iter()
            .flat_map(|job| job.row_shapes().into_iter().zip(&expected))
            .find(|(got, expected)| got != *expected);
        if let Some(((tensor, got), (_, expected))) = differing {
            return Err(Error::internal(format!(
                "input '{}': a request's rows have the shape {}, those of another one in the same batch {}; with parameter \
                 {GROUP_BY_SHAPE}: true they run one after the other",
                self.signature.inputs[tensor].name,
                shape_text(got),
                shape_text(expected)
            )));
        }
        match others.iter().all(|job| job.inputs.len() == expected.len()) {
            true => Ok(()),
            false => Err(Error::internal(format!(
                "requests of one batch have different inputs; with parameter {GROUP_BY_SHAPE}: true they run one after the other"
            ))),
        }
    }

    /// The group's inputs, each as one tensor.
    pub(crate) fn join<'j>(&'j self, group: &[&'j Job<'_>]) -> Result<SessionInputs<'j>, Error> {
        let Some(first) = group.first() else {
            return Ok(Vec::new());
        };
        self.same_shapes(group)?;
        let mut joined = Vec::with_capacity(first.inputs.len());
        for (position, input) in first.inputs.iter().enumerate() {
            let tensor = self.tensor(input);
            let mut shape = input.shape.to_vec();
            if self.config.batches() {
                let rows: usize = group.iter().map(|job| job.rows).sum();
                shape[0] = i64::try_from(rows).unwrap_or(i64::MAX);
            }
            let parts: Vec<&Data<'_>> =
                group.iter().map(|job| &job.inputs[position].data).collect();
            let data_type = tensor.data_type.clone().map_err(Error::internal)?;
            let value = join(data_type, &shape, &parts)
                .map_err(|error| Error::input(&tensor.name, error.to_string()))?;
            joined.push((Cow::from(tensor.name.as_str()), value));
        }
        Ok(joined)
    }

    /// The inputs of a group in words, for error messages.
    pub(crate) fn describe(&self, group: &[&Job<'_>]) -> String {
        let mut room = Room::new();
        let inputs: Vec<String> = group
            .iter()
            .flat_map(|job| &job.inputs)
            .filter_map(|input| {
                let tensor = self.tensor(input);
                let data_type = tensor.data_type.clone().ok()?;
                let text = describe::input(
                    &tensor.name,
                    data_type,
                    &input.shape,
                    &input.data,
                    &mut room,
                );
                Some(text)
            })
            .collect();
        match group.len() {
            1 => format!("the request's inputs: {}", inputs.join(", ")),
            _ => format!("the inputs: {}", inputs.join(", ")),
        }
    }
}
