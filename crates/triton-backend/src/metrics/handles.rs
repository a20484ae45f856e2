//! What a backend declares, and what its models tell of events.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::families::{Description, Families, Kind};
use super::series::Series;

macro_rules! family {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name(Description);

        impl $name {
            /// What it is called at the server.
            pub const fn name(&self) -> &'static str {
                self.0.name
            }

            /// What it says, for people.
            pub const fn help(&self) -> &'static str {
                self.0.help
            }
        }
    };
}

family!(
    /// A family of counters. By Prometheus' convention the name ends in the unit and `_total`.
    Counters
);
family!(
    /// A family of gauges.
    Gauges
);
family!(
    /// A family of histograms.
    Histograms
);

impl Counters {
    /// A family of this name.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        let kind = Kind::Counter;
        Self(Description { name, help, kind })
    }

    /// The member with these labels.
    pub(crate) fn member(&self, families: &Families, labels: &[(&str, &str)]) -> Counter {
        Counter(Series::of(families, self.0, labels).map(Arc::new))
    }
}

impl Gauges {
    /// A family of this name.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        let kind = Kind::Gauge;
        Self(Description { name, help, kind })
    }

    /// The member with these labels.
    pub(crate) fn member(&self, families: &Families, labels: &[(&str, &str)]) -> Gauge {
        Gauge(Arc::new(Level {
            own: AtomicI64::new(0),
            series: Series::of(families, self.0, labels),
        }))
    }
}

impl Histograms {
    /// A family of this name with these upper bounds of buckets, which ascend; what is above the last is counted, too.
    pub const fn new(name: &'static str, help: &'static str, buckets: &'static [f64]) -> Self {
        let kind = Kind::Histogram(buckets);
        Self(Description { name, help, kind })
    }

    /// The member with these labels.
    pub(crate) fn member(&self, families: &Families, labels: &[(&str, &str)]) -> Histogram {
        Histogram(Series::of(families, self.0, labels).map(Arc::new))
    }
}

/// What only grows. The default counts nothing.
#[derive(Clone, Debug, Default)]
pub struct Counter(Option<Arc<Series>>);

impl Counter {
    /// Counts so much, which is not negative.
    pub fn add(&self, amount: f64) {
        if let Some(series) = &self.0 {
            series.add(amount, || ());
        }
    }

    /// Takes it from the server.
    pub(crate) fn close(&self) {
        if let Some(series) = &self.0 {
            series.close(|| 0.0);
        }
    }
}

/// How much there is of something now. The default is at no server, and only knows its own value.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<Level>);

#[derive(Debug, Default)]
struct Level {
    /// What this model has added: at the server others may have the same labels, and what is left of a model goes with it.
    own: AtomicI64,
    series: Option<Series>,
}

impl Gauge {
    /// Changes it by so much.
    pub fn add(&self, change: i64) {
        let count = || {
            self.0.own.fetch_add(change, Ordering::Relaxed);
        };
        match &self.0.series {
            Some(series) => series.add(change as f64, count),
            None => count(),
        }
    }

    /// What all changes through this handle and its clones come to.
    pub fn value(&self) -> i64 {
        self.0.own.load(Ordering::Relaxed)
    }

    /// One more, as long as what is returned lives.
    #[must_use]
    pub fn hold(&self) -> Held {
        self.add(1);
        Held(self.clone())
    }

    /// Takes it from the server, and what it has added there.
    pub(crate) fn close(&self) {
        if let Some(series) = &self.0.series {
            series.close(|| -self.value() as f64);
        }
    }
}

/// One that a [`Gauge`] counts.
#[derive(Debug)]
pub struct Held(Gauge);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// How values are distributed. The default observes nothing.
#[derive(Clone, Debug, Default)]
pub struct Histogram(Option<Arc<Series>>);

impl Histogram {
    /// Counts a value.
    pub fn observe(&self, value: f64) {
        if let Some(series) = &self.0 {
            series.observe(value);
        }
    }

    /// Takes it from the server.
    pub(crate) fn close(&self) {
        if let Some(series) = &self.0 {
            series.close(|| 0.0);
        }
    }
}
