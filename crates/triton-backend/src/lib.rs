//! Safe SDK for Triton Inference Server's backend C API.
