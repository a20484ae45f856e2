//! What all requests share.

use std::sync::Arc;

use tokio::sync::watch;

use crate::keys::Keys;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::traces::Traces;
use crate::triton::Pool;

/// What all requests share.
pub(crate) type Shared = Arc<Common>;

pub(crate) struct Common {
    pub(crate) options: Options,
    pub(crate) pool: Pool,
    pub(crate) limits: Limits,
    /// Anybody may come where there are none.
    pub(crate) keys: Option<Arc<Keys>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) traces: Traces,
    /// Turns true when the gateway is to stop: what is under way is to come to its end.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Common {
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }
}
