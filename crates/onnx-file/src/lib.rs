#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod cif;
mod depthwise;
mod edit;
mod error;
mod graph;
mod ids;
mod interface;
mod nodes;
mod proto;
mod prune;
mod scan;
mod silence;
mod table;
mod wire;

pub use cif::collect_at_once;
pub use depthwise::unroll_convolutions;
pub use edit::Edit;
pub use error::OnnxError;
pub use ids::{Ids, TOKEN_IDS, TOKEN_LOG_PROBS, keep_ids};
pub use interface::{Element, Interface, Tensor, config_fits};
pub use prune::{keep_outputs, output_names};
pub use scan::{name_state_dims, scan_windows};
pub use silence::{Silence, guard_silence};
pub use table::table_rows;
