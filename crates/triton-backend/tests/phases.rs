//! What the server's statistics are told of the phases of requests and batches.
#![allow(clippy::unwrap_used)]

mod fake_host;

use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use fake_host::{BATCH_PHASES, BATCHES, FakeInput, FakeRequest, Host, Phases};
use triton_backend::{
    Backend, BackendContext, Batch, Error, Instance, InstanceContext, Model, ModelContext, Promise,
    Request,
};

/// Works as the first values of the batch's requests say.
struct Phased;
struct PhasedModel;
struct PhasedInstance;

/// The batch marks its phases.
const TOGETHER: f32 = 1.0;
/// The request marks its own, in order, and twice: the input ends once, the inference with the last of its parts.
const ALONE: f32 = 2.0;
/// Nobody marks anything.
const UNMARKED: f32 = 3.0;
/// It is refused before anything is marked.
const REFUSED: f32 = 4.0;
/// It is released when it is read, and answered later.
const EARLY: f32 = 5.0;
/// Marked in an order that cannot be.
const WRONG: f32 = 6.0;

const INPUT: Duration = Duration::from_millis(30);
const INFER: Duration = Duration::from_millis(50);
const OUTPUT: Duration = Duration::from_millis(20);

impl Backend for Phased {
    type Model = PhasedModel;

    fn new(_: &BackendContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Model for PhasedModel {
    type Backend = Phased;
    type Instance = PhasedInstance;

    fn new(_: &Phased, _: &ModelContext) -> Result<Self, Error> {
        Ok(Self)
    }
}

fn mood(request: &Request) -> f32 {
    request.input("x").unwrap().read::<f32>().unwrap()[0]
}

fn alone(promise: Promise) {
    sleep(INPUT);
    promise.compute_starts();
    sleep(INFER / 2);
    promise.compute_ends();
    promise.compute_starts();
    sleep(INFER / 2);
    promise.compute_ends();
    sleep(OUTPUT);
    promise.answer(Promise::response);
}

impl Instance for PhasedInstance {
    type Model = PhasedModel;

    fn new(_: &Arc<PhasedModel>, _: &InstanceContext) -> Result<Self, Error> {
        Ok(Self)
    }

    fn execute(&mut self, batch: Batch) {
        if batch
            .requests()
            .iter()
            .all(|request| mood(request) == TOGETHER)
        {
            sleep(INPUT);
            batch.compute_starts();
            sleep(INFER);
            batch.compute_ends();
            sleep(OUTPUT);
            let outcomes: Vec<_> = batch.requests().iter().map(Request::response).collect();
            return batch.finish(outcomes);
        }
        for request in batch {
            match mood(&request) {
                ALONE => alone(request.into()),
                REFUSED => request.fail(Error::invalid("no")),
                WRONG => {
                    request.compute_ends();
                    request.compute_starts();
                    request.answer(Request::response);
                }
                EARLY => {
                    sleep(INPUT);
                    alone(request.release_early());
                }
                _ => request.answer(Request::response),
            }
        }
    }
}

/// The phases of requests that share an execution, and of the batch.
fn phases(moods: &[f32]) -> (Vec<Phases>, Phases) {
    let mut host = Host::<Phased>::load(r#"{"max_batch_size":8}"#).unwrap();
    let request = |mood: &f32| {
        let input = FakeInput::floats("x", &[1, 1], &[*mood]);
        Some(FakeRequest::new(vec![input]))
    };
    let records = host.execute(moods.iter().map(request).collect());
    let own = |record: &Arc<std::sync::Mutex<fake_host::Record>>| {
        let record = record.lock().unwrap();
        assert_eq!(record.phases.len(), 1);
        record.phases[0]
    };
    let own: Vec<Phases> = records.iter().map(own).collect();
    assert_eq!(*BATCHES.lock().unwrap(), [moods.len() as u64]);
    let batch = BATCH_PHASES.lock().unwrap()[0];
    for phases in own.iter().chain([&batch]) {
        assert!(
            durations(phases).iter().all(|took| !took.is_zero()),
            "{phases:?}"
        );
    }
    (own, batch)
}

fn durations(phases: &Phases) -> [Duration; 3] {
    [0, 1, 2].map(|phase| Duration::from_nanos(phases[phase + 1] - phases[phase]))
}

/// Each phase took at least as long as it had to: none has another one's time, which then would lack it.
fn assert_times(phases: &Phases, expected: [Duration; 3]) {
    let took = durations(phases);
    let enough = took
        .iter()
        .zip(expected)
        .all(|(took, least)| *took >= least);
    assert!(enough, "{took:?} instead of {expected:?}");
}

#[test]
fn a_batch_has_the_phases_of_its_requests() {
    let (own, batch) = phases(&[TOGETHER, TOGETHER]);
    for phases in own.iter().chain([&batch]) {
        assert_times(phases, [INPUT, INFER, OUTPUT]);
    }
    let (own, batch) = phases(&[ALONE]);
    assert_times(&own[0], [INPUT, INFER, OUTPUT]);
    assert_times(&batch, [INPUT, INFER, OUTPUT]);
}

#[test]
fn the_phases_of_a_batch_end_with_those_of_its_last_request() {
    let (own, batch) = phases(&[ALONE, REFUSED, ALONE, UNMARKED]);
    let whole = INPUT + INFER + OUTPUT;
    assert_times(&own[0], [INPUT, INFER, OUTPUT]);
    assert_times(&own[2], [whole + INPUT, INFER, OUTPUT]);
    assert_times(&batch, [whole + INPUT, INFER, OUTPUT]);
    assert_eq!(batch[0], own[0][0]);
    assert!(batch[3] >= own[3][3]);
}

#[test]
fn no_phase_is_ever_empty() {
    for mood in [UNMARKED, REFUSED, WRONG, EARLY] {
        phases(&[mood]);
        phases(&[mood, mood]);
    }
}

#[test]
fn of_a_request_that_is_released_early_reading_counts() {
    let (own, batch) = phases(&[EARLY]);
    for phases in [&own[0], &batch] {
        let [input, infer, output] = durations(phases);
        assert!(
            input >= INPUT && infer < INFER && output < OUTPUT,
            "{phases:?}"
        );
    }
}
