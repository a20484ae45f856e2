//! What an ONNX file takes and gives.

use ort::session::Session;
use ort::value::ValueType;
use triton_backend::DataType;

use crate::tensor::Data;
use crate::types::data_type;

/// The inputs and outputs of an ONNX file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) outputs: Vec<Tensor>,
}

/// An input or output of an ONNX file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    /// The data type, or in words what it is that the server has no type for.
    pub(crate) data_type: Result<DataType, String>,
    /// The shape with -1 for what varies. Empty for a scalar and where the file says nothing of the rank.
    pub(crate) dims: Vec<i64>,
    /// The file has a default value for it.
    pub(crate) optional: bool,
}

impl Signature {
    /// Reads what a session says of its model.
    pub(crate) fn of(session: &Session) -> Self {
        let defaults = session.overridable_initializers();
        let required = session
            .inputs()
            .iter()
            .map(|input| Tensor::new(input.name(), input.dtype(), false));
        let optional = defaults
            .iter()
            .map(|input| Tensor::new(input.name(), input.dtype(), true));
        Self {
            inputs: required.chain(optional).collect(),
            outputs: session
                .outputs()
                .iter()
                .map(|output| Tensor::new(output.name(), output.dtype(), false))
                .collect(),
        }
    }

    /// What a session has to be given, as small as can be: names, data types, shapes and zeros.
    pub(crate) fn smallest_inputs(&self) -> Vec<(&str, DataType, Vec<i64>, Data<'static>)> {
        let needed = self.inputs.iter().filter(|input| !input.optional);
        needed
            .filter_map(|tensor| {
                let data_type = tensor.data_type.clone().ok()?;
                let shape: Vec<i64> = tensor.dims.iter().map(|dim| dim.abs()).collect();
                let zeros = Data::zeros(data_type, &shape);
                Some((tensor.name.as_str(), data_type, shape, zeros))
            })
            .collect()
    }
}

impl Tensor {
    fn new(name: &str, value_type: &ValueType, optional: bool) -> Self {
        let (data_type, dims) = match value_type {
            ValueType::Tensor { ty, shape, .. } => {
                let known = data_type(*ty).ok_or_else(|| format!("a tensor of {ty}"));
                (known, shape.to_vec())
            }
            other => (Err(other.to_string()), Vec::new()),
        };
        Self {
            name: name.to_owned(),
            data_type,
            dims,
            optional,
        }
    }
}
