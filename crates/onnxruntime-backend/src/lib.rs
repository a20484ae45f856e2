//! Triton backend that runs ONNX models with ONNX Runtime.
