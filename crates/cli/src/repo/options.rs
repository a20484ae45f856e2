//! What a person says of a repository to assemble.

use std::path::PathBuf;

/// What to assemble from what.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The directory as FunASR or ModelScope exports it
    #[arg(long, value_name = "EXPORT_DIR")]
    pub from: PathBuf,
    /// The model repository to make
    #[arg(long, value_name = "REPO")]
    pub to: PathBuf,
    /// Take the files named _quant.onnx (int8), as in model_quant.onnx instead of model.onnx
    #[arg(long)]
    pub quantized: bool,
    /// Replace a repository that is there already
    #[arg(long)]
    pub force: bool,
}
