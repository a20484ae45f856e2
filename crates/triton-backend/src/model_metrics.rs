//! The metrics of a model: made while it loads, gone when the server finalises it.

use crate::{Counter, Counters, Gauge, Gauges, Histogram, Histograms, ModelContext};

/// Runs when it is dropped, which is when the server finalises the model.
struct AtTheEnd<F: FnMut()>(F);

impl<F: FnMut()> Drop for AtTheEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl ModelContext {
    /// The model's counter of a family; `labels` come beside `model` and `version`. Does nothing where the server has no metrics.
    pub fn counter(&self, family: &Counters, labels: &[(&str, &str)]) -> Counter {
        let counter = self.labelled(labels, |labels| family.member(&self.families, labels));
        let kept = counter.clone();
        self.keep(AtTheEnd(move || kept.close()));
        counter
    }

    /// The model's gauge of a family, as [`ModelContext::counter`].
    pub fn gauge(&self, family: &Gauges, labels: &[(&str, &str)]) -> Gauge {
        let gauge = self.labelled(labels, |labels| family.member(&self.families, labels));
        let kept = gauge.clone();
        self.keep(AtTheEnd(move || kept.close()));
        gauge
    }

    /// The model's histogram of a family, as [`ModelContext::counter`]. Does nothing on older servers, which have none.
    pub fn histogram(&self, family: &Histograms, labels: &[(&str, &str)]) -> Histogram {
        let histogram = self.labelled(labels, |labels| family.member(&self.families, labels));
        let kept = histogram.clone();
        self.keep(AtTheEnd(move || kept.close()));
        histogram
    }

    /// Calls `make` with these labels and the model's own.
    fn labelled<T>(&self, labels: &[(&str, &str)], make: impl FnOnce(&[(&str, &str)]) -> T) -> T {
        let version = self.version.to_string();
        let own = [("model", self.name.as_str()), ("version", &version)];
        let labels: Vec<_> = own.into_iter().chain(labels.iter().copied()).collect();
        make(&labels)
    }
}
