//! What a person says of a repository to assemble.

use std::path::PathBuf;

use super::device::Device;

/// What to assemble from what.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The directory as FunASR or ModelScope exports it
    #[arg(long, value_name = "EXPORT_DIR")]
    pub from: PathBuf,
    /// Where to, and how.
    #[command(flatten)]
    pub common: Common,
}

/// What is said of every repository, whatever is in it.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// The model repository to make; files of 64 MB or more become hard links to the export's where they can
    #[arg(long, value_name = "REPO")]
    pub to: PathBuf,
    /// Take the files named _quant.onnx (int8), as in model_quant.onnx instead of model.onnx
    #[arg(long)]
    pub quantized: bool,
    /// Let the models hand out the scores of their whole vocabularies, as they were exported, in place of the best id of each frame
    #[arg(long)]
    pub keep_logits: bool,
    /// What the models tell beside the text: all that they can, or names as in TEXT,WORDS,WORD_START_MS (docs/results.md has them)
    #[arg(long, value_name = "all|LIST", value_delimiter = ',')]
    pub outputs: Vec<String>,
    /// Let the models take whole files (AUDIO), samples of other rates (SAMPLE_RATE) and one of several channels (CHANNEL) too
    #[arg(long)]
    pub audio: bool,
    /// Where the ONNX models run [default: on GPUs where there are any]
    #[arg(long, value_enum, value_name = "DEVICE")]
    pub device: Option<Device>,
    /// Replace a repository that is there already
    #[arg(long)]
    pub force: bool,
    /// Copy large files too, so that changing the export's in place changes nothing in the repository
    #[arg(long)]
    pub copy: bool,
}

impl Common {
    /// A new repository at `to`.
    pub fn new(to: PathBuf) -> Self {
        Self {
            to,
            quantized: false,
            keep_logits: false,
            outputs: Vec::new(),
            audio: false,
            device: None,
            force: false,
            copy: false,
        }
    }

    /// How large files get into the repository.
    pub(super) fn large(&self) -> Large {
        match self.copy {
            true => Large::Copied,
            false => Large::Linked,
        }
    }
}

/// What becomes of large files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Large {
    /// A hard link where the file system can do that.
    Linked,
    Copied,
}
