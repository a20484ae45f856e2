//! The fields of onnx.proto that are looked at; everything else stays as it is, byte by byte.

/// `ModelProto`
pub(crate) mod model {
    pub(crate) const IR_VERSION: u64 = 1;
    pub(crate) const GRAPH: u64 = 7;
    pub(crate) const OPSET_IMPORT: u64 = 8;
}

/// `OperatorSetIdProto`
pub(crate) mod opset {
    pub(crate) const DOMAIN: u64 = 1;
    pub(crate) const VERSION: u64 = 2;
}

/// `GraphProto`
pub(crate) mod graph {
    pub(crate) const NODE: u64 = 1;
    pub(crate) const NAME: u64 = 2;
    pub(crate) const INITIALIZER: u64 = 5;
    pub(crate) const INPUT: u64 = 11;
    pub(crate) const OUTPUT: u64 = 12;
}

/// `NodeProto`
pub(crate) mod node {
    pub(crate) const INPUT: u64 = 1;
    pub(crate) const OUTPUT: u64 = 2;
    pub(crate) const NAME: u64 = 3;
    pub(crate) const OP_TYPE: u64 = 4;
    pub(crate) const ATTRIBUTE: u64 = 5;
    pub(crate) const DOMAIN: u64 = 7;
}

/// `AttributeProto`
pub(crate) mod attribute {
    pub(crate) const NAME: u64 = 1;
    pub(crate) const INT: u64 = 3;
    pub(crate) const TENSOR: u64 = 5;
    pub(crate) const GRAPH: u64 = 6;
    pub(crate) const INTS: u64 = 8;
    pub(crate) const TENSORS: u64 = 10;
    pub(crate) const GRAPHS: u64 = 11;
    pub(crate) const TYPE: u64 = 20;
    /// `AttributeType.INT`
    pub(crate) const TYPE_INT: u64 = 2;
    /// `AttributeType.TENSOR`
    pub(crate) const TYPE_TENSOR: u64 = 4;
    /// `AttributeType.GRAPH`
    pub(crate) const TYPE_GRAPH: u64 = 5;
    /// `AttributeType.INTS`
    pub(crate) const TYPE_INTS: u64 = 7;
}

/// `TensorProto`
pub(crate) mod tensor {
    pub(crate) const DIMS: u64 = 1;
    pub(crate) const DATA_TYPE: u64 = 2;
    pub(crate) const NAME: u64 = 8;
    pub(crate) const RAW_DATA: u64 = 9;
    pub(crate) const EXTERNAL_DATA: u64 = 13;
}

/// `StringStringEntryProto`
pub(crate) mod entry {
    pub(crate) const KEY: u64 = 1;
    pub(crate) const VALUE: u64 = 2;
}

/// `ValueInfoProto`
pub(crate) mod value_info {
    pub(crate) const NAME: u64 = 1;
    pub(crate) const TYPE: u64 = 2;
}

/// `TypeProto`, `TypeProto.Tensor`, `TensorShapeProto` and its `Dimension`
pub(crate) mod shape {
    pub(crate) const TENSOR_TYPE: u64 = 1;
    pub(crate) const ELEM_TYPE: u64 = 1;
    pub(crate) const SHAPE: u64 = 2;
    pub(crate) const DIM: u64 = 1;
    pub(crate) const DIM_VALUE: u64 = 1;
    pub(crate) const DIM_PARAM: u64 = 2;
}

/// How deep graphs may be nested, as far as the parsers of protobuf go.
pub(crate) const DEEPEST: usize = 100;
