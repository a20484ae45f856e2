//! A pipeline's warm-up: calls of the models that it calls, made before its first request is answered.
//!
//! The server's own (`model_warmup`) runs while a model loads, when the models that it calls may not be there. So a thread waits
//! until they are ready, and makes calls of the lengths and sizes that the parameter `warmup` lists; requests that come
//! meanwhile wait in the pipeline's queue.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use triton_backend::{
    Call, CallHandle, Caller, Error, ErrorCode, ModelContext, Reply, Server, excerpt, guard, info,
    warn,
};

use crate::component::{Component, Worker};
use crate::pipelines::callee::Traits;
use crate::tensors::audio::MAX_AUDIO_SECONDS;
use crate::tensors::memory::room;
use crate::tensors::parameters::{Parameter, Text};

/// The parameter that lists what is run.
pub(crate) const WARMUP: Parameter<Text> = Parameter::new(
    "warmup",
    "audio to run through the called models before the first request is answered, as seconds x rows: `2x1, 10x4`. See \
     [Warm-up](#warm-up)",
);

/// How often it is looked whether the called models are ready.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long requests wait for models that are not there although the server is ready.
const PATIENCE: Duration = Duration::from_secs(10);

/// Audio that is run through the called models.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    seconds: f64,
    /// Rows, or streams, of a call.
    pub(crate) rows: usize,
}

impl Shape {
    /// Its samples; at least one.
    pub(crate) fn samples(&self, sample_rate: u32) -> usize {
        ((self.seconds * f64::from(sample_rate)).round() as usize).max(1)
    }
}

/// What can be warmed up.
pub(crate) trait Warm: Send + Sync + 'static {
    /// The models that it calls.
    fn callees(&self) -> Vec<&str>;

    /// Makes the calls for a shape.
    fn rehearse(&self, shape: &Shape, stage: &Rehearsal) -> Result<(), Error>;

    /// Lets requests wait.
    fn close(&self);

    /// Lets requests go.
    fn open(self: Arc<Self>);
}

/// The shapes that a config lists, as in `2x1, 10x4`: seconds x rows, of which a call has at most `most_rows`.
pub(crate) fn shapes(context: &ModelContext, most_rows: usize) -> Result<Vec<Shape>, Error> {
    let Some(text) = WARMUP.find(context)? else {
        return Ok(Vec::new());
    };
    let most_seconds = MAX_AUDIO_SECONDS.read(context)?;
    let shape = |part: &str| {
        parse(part, most_seconds, most_rows).map_err(|message| {
            Error::parameter(WARMUP.name(), format!("'{}' {message}", excerpt(part)))
        })
    };
    text.split(',').map(str::trim).map(shape).collect()
}

fn parse(part: &str, most_seconds: f64, most_rows: usize) -> Result<Shape, String> {
    let shape = part.split_once('x').and_then(|(seconds, rows)| {
        Some(Shape {
            seconds: seconds.trim().parse().ok()?,
            rows: rows.trim().parse().ok()?,
        })
    });
    let Some(shape) = shape.filter(|shape| shape.seconds > 0.0 && shape.rows > 0) else {
        return Err("is not SECONDSxROWS, both above 0, as in '2x1, 10x4'".to_owned());
    };
    if shape.seconds > most_seconds || shape.seconds.is_infinite() {
        let limit = MAX_AUDIO_SECONDS.name();
        return Err(format!(
            "is longer than a row of audio may be ({limit} is {most_seconds})"
        ));
    }
    if shape.rows > most_rows {
        return Err(format!(
            "has more rows than a call of this model, which has at most {most_rows}"
        ));
    }
    Ok(shape)
}

/// Features to warm up with: numbers in [-1, 1), in no order.
pub(crate) fn noise(count: usize) -> Result<Vec<f32>, Error> {
    let mut values = room(count, "a warm-up")?;
    let mut state = 1_u32;
    values.resize_with(count, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    });
    Ok(values)
}

/// What the thread hears.
enum Event {
    /// The model is unloaded.
    Stop,
    /// A call was answered.
    Reply(Result<Reply, Error>),
}

/// Where the calls of a warm-up are made.
pub(crate) struct Rehearsal {
    model: String,
    server: Server,
    caller: Caller,
    events: Receiver<Event>,
    events_in: Sender<Event>,
}

/// A component that warms up, and the end of that when the model goes.
struct Warming<P> {
    pipeline: Arc<P>,
    events: Sender<Event>,
    thread: Option<JoinHandle<()>>,
}

/// The component of a loaded pipeline, which is warmed up first if the config lists shapes.
pub(crate) fn start<P: Warm + Component>(
    context: &ModelContext,
    pipeline: Arc<P>,
    shapes: Vec<Shape>,
) -> Result<Arc<dyn Component>, Error> {
    if shapes.is_empty() {
        return Ok(pipeline);
    }
    let (events_in, events) = channel();
    let stage = Rehearsal {
        model: context.name.clone(),
        server: Server::of(context),
        caller: Caller::new(context)?,
        events,
        events_in: events_in.clone(),
    };
    pipeline.close();
    let warm = Arc::clone(&pipeline);
    let thread = std::thread::Builder::new()
        .name("funasr-warmup".to_owned())
        .spawn(move || stage.run(warm, &shapes))
        .map_err(|error| Error::internal(format!("no thread could be started: {error}")))?;
    Ok(Arc::new(Warming {
        pipeline,
        events: events_in,
        thread: Some(thread),
    }))
}

impl<P: Warm + Component> Component for Warming<P> {
    fn worker(self: Arc<Self>) -> Box<dyn Worker> {
        Arc::clone(&self.pipeline).worker()
    }

    fn called(&self) -> Vec<&str> {
        self.pipeline.called()
    }
}

impl<P> Drop for Warming<P> {
    fn drop(&mut self) {
        // Were the thread over, nobody would hear it.
        let _ = self.events.send(Event::Stop);
        // The server must not end while the thread asks it something.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Rehearsal {
    fn run(self, warm: Arc<impl Warm>, shapes: &[Shape]) {
        let warmed = guard(|| {
            self.wait_for(&warm.callees())?;
            let begun = Instant::now();
            for shape in shapes {
                self.rehearse(&*warm, shape)?;
            }
            Ok(begun.elapsed())
        });
        match warmed {
            Ok(took) => info!("model '{}': warmed up in {took:.1?}", self.model),
            Err(error) => warn!("model '{}': not warmed up: {error}", self.model),
        }
        warm.open();
    }

    fn rehearse(&self, warm: &impl Warm, shape: &Shape) -> Result<(), Error> {
        let outcome = warm.rehearse(shape, self);
        match outcome {
            Err(error) if error.code() != ErrorCode::Cancelled => {
                let Shape { seconds, rows } = shape;
                warn!(
                    "model '{}': the warm-up of {seconds} s x {rows} failed: {error}",
                    self.model
                );
                Ok(())
            }
            other => other,
        }
    }

    /// Waits until these models are ready.
    fn wait_for(&self, callees: &[&str]) -> Result<(), Error> {
        let mut since = None;
        loop {
            let missing = callees
                .iter()
                .find(|name| !self.server.model_is_ready(name));
            let Some(missing) = missing else {
                return Ok(());
            };
            if self.server.is_stopping() {
                return Err(stopped());
            }
            // While the server starts, no model is ready.
            if self.server.ready_models().is_ok() {
                let since: &mut Instant = since.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE {
                    let message = format!("model '{missing}' is not ready");
                    return Err(Error::new(ErrorCode::Unavailable, message));
                }
            }
            match self.events.recv_timeout(LOOK_EVERY) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return Err(stopped()),
            }
        }
    }

    /// Makes a call for each instance of `model` at once, so that none is left out, and waits for the answers: one of them.
    pub(crate) fn call(
        &self,
        model: &str,
        call: impl Fn() -> Result<Call, Error>,
    ) -> Result<Reply, Error> {
        let calls: Vec<Call> = (0..self.instances(model))
            .map(|_| call())
            .collect::<Result<_, _>>()?;
        let send = |call| {
            let answers = self.events_in.clone();
            self.caller.call(call, move |reply| {
                // The thread may be over.
                let _ = answers.send(Event::Reply(reply));
            })
        };
        let handles: Vec<CallHandle> = calls.into_iter().map(send).collect();
        let mut answer = Err(Error::internal("no call was made"));
        for _ in &handles {
            match self.events.recv() {
                Ok(Event::Reply(reply)) => answer = reply,
                _ => {
                    handles.iter().for_each(CallHandle::cancel);
                    return Err(stopped());
                }
            }
        }
        answer
    }

    /// How many instances a model has; 1 if its config does not say.
    fn instances(&self, model: &str) -> usize {
        let config = self.server.model_config(model).unwrap_or_default();
        Traits::of(&config).instances.unwrap_or(1)
    }
}

fn stopped() -> Error {
    Error::new(ErrorCode::Cancelled, "the model or the server stops")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_seconds_by_rows() {
        let shape = parse("2.5 x 4", 600.0, 16).unwrap();
        assert_eq!(
            shape,
            Shape {
                seconds: 2.5,
                rows: 4
            }
        );
        assert_eq!(shape.samples(16_000), 40_000);
        assert_eq!(parse("1e-9x1", 600.0, 16).unwrap().samples(16_000), 1);
    }

    #[test]
    fn others_say_what_is_wrong() {
        for (part, words) in [
            ("", "SECONDSxROWS"),
            ("2", "SECONDSxROWS"),
            ("2x", "SECONDSxROWS"),
            ("x2", "SECONDSxROWS"),
            ("0x1", "above 0"),
            ("-1x1", "above 0"),
            ("NaNx1", "above 0"),
            ("1x0", "above 0"),
            ("1x1.5", "SECONDSxROWS"),
            ("1x1x1", "SECONDSxROWS"),
            ("601x1", "max_audio_seconds is 600"),
            ("1x17", "at most 16"),
        ] {
            let message = parse(part, 600.0, 16).unwrap_err();
            assert!(message.contains(words), "{part}: {message}");
        }
        assert!(parse("infx1", f64::INFINITY, 16).is_err());
    }

    #[test]
    fn noise_is_within_its_limits_and_not_all_the_same() {
        let noise = noise(1000).unwrap();
        assert!(noise.iter().all(|value| (-1.0..1.0).contains(value)));
        assert!(noise[0] != noise[1] && noise.iter().any(|&value| value > 0.5));
    }
}
