//! What comes in and goes out: tensors as audio and rows, sequences, parameters.

pub(crate) mod audio;
pub(crate) mod form;
pub(crate) mod layout;
pub(crate) mod memory;
pub(crate) mod options;
pub(crate) mod outputs;
pub(crate) mod parameters;
pub(crate) mod prompt;
pub(crate) mod sequences;
