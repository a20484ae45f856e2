//! Metrics of a backend, which the server shows beside its own.
//!
//! A family is declared once, as a constant, and made at the server when a model first asks for a member of it:
//!
//! ```
//! use triton_backend::{Counters, ModelContext};
//!
//! const ROWS: Counters = Counters::new("example_rows_total", "Rows that were computed.");
//!
//! fn load(context: &ModelContext) {
//!     let rows = context.counter(&ROWS, &[("kind", "long")]);
//!     rows.add(3.0);
//! }
//! ```
//!
//! Families belong to the backend and live until the server finalises it. Their members belong to the model whose context made them, are
//! labelled with its name and version, and are gone from the server when it finalises the model: a handle that is kept for longer does
//! nothing any more. It does nothing either on a server without metrics, or, for histograms, without those: nobody has to ask.
//!
//! A member is told of an event under a lock that only the end of the model takes for itself: a few atomic operations.

mod families;
mod functions;
mod handles;
mod series;

pub(crate) use self::families::Families;
pub use self::handles::{Counter, Counters, Gauge, Gauges, Held, Histogram, Histograms};
