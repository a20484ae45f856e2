//! What this backend does that the official one does not, each asked for by a parameter.
//!
//! Without them a model that loads here loads there, and a request that is answered here is answered there.

use triton_backend::{Error, ModelConfig};

/// The config may leave dimensions open that the file fixes, and more; see the README.
pub(crate) const LENIENT_CONFIG: &str = "lenient_config";
/// Requests of one execution whose shapes differ run group by group.
pub(crate) const GROUP_BY_SHAPE: &str = "group_by_shape";
/// A batch that fails runs again request by request.
pub(crate) const ISOLATE_FAILURES: &str = "isolate_failures";

/// What a model's config asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leniency {
    pub(crate) config: bool,
    pub(crate) group_by_shape: bool,
    pub(crate) isolate_failures: bool,
}

impl Leniency {
    /// Reads the three parameters.
    pub(crate) fn from_config(config: &ModelConfig) -> Result<Self, Error> {
        let flag = |key| Ok::<_, Error>(config.parameters.flag(key)?.unwrap_or(false));
        Ok(Self {
            config: flag(LENIENT_CONFIG)?,
            group_by_shape: flag(GROUP_BY_SHAPE)?,
            isolate_failures: flag(ISOLATE_FAILURES)?,
        })
    }
}
