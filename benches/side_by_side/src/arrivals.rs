//! Requests that come when they come, as from many users: ensemble and pipeline under the same load, up to twice what they can do.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, Exp, LogNormal};

use super::Pace;
use super::ensembles::executions;
use super::load::{Connection, drive};
use super::message::Message;
use super::report::{Section, Table, Target, Wanted, short};
use super::speech::{self, request};
use super::stats::{median, percentile, sorted};
use super::tools::address_of;
use crate::repo::Kind;
use crate::server::Server;

/// How long recordings are: lognormal, with this mean, at most so long.
const MEAN_SECONDS: f64 = 5.0;
const SIGMA: f64 = 0.8;
const LEAST_SECONDS: f64 = 0.5;
const MOST_SECONDS: f64 = 60.0;
/// So many recordings are drawn, and sent in turn.
const RECORDINGS: usize = 96;
/// Connections by which the capacity is found.
const AT_ONCE: usize = 16;
/// Offered load, as a share of the capacity.
const LOADS: [f64; 4] = [0.5, 0.9, 1.2, 2.0];
/// The server is told what it cannot do by this.
const UNAVAILABLE: u16 = 503;
const SEED: u64 = 5;

/// The forms, by the beginning of their models' names.
const FORMS: [(&str, &str); 2] = [("ensemble", ""), ("pipeline", "pipeline_")];

/// What is asked.
const MODELS: [(Kind, &str, &str); 2] = [
    (Kind::Sensevoice, "sensevoice", "sensevoice_encoder"),
    (Kind::Paraformer, "infer_pipeline", "paraformer_encoder"),
];

/// What came of one load.
struct Outcome {
    /// Milliseconds from when a request was due to its answer, in ascending order; refused ones left out.
    latencies: Vec<f64>,
    /// Answers per second while requests came.
    throughput: f64,
    refused: f64,
    rows_per_call: f64,
    /// Of what the encoder was given, the share that says nothing.
    padding: f64,
}

/// A server: its models, and what it counts.
#[derive(Clone, Copy)]
struct Place {
    models: SocketAddr,
    metrics: SocketAddr,
}

/// Measures both.
pub(super) fn run(server: &Server, recordings: &[Vec<f32>], pace: Pace) -> Result<Section> {
    let place = Place {
        models: address_of(server)?,
        metrics: server.ports().metrics_address().parse()?,
    };
    let mut section = Section::new(
        "Under load",
        format!(
            "Requests that come at random (Poisson), whoever still waits: {RECORDINGS} lengths, lognormal with a mean of {MEAN_SECONDS} s and at \
             most {MOST_SECONDS} s, cut from the demo's recordings. 100 % is what the ensemble answers per second when {AT_ONCE} connections ask it \
             one request after the other. Both forms get the same requests at the same times, in turns. A latency counts from the moment the \
             request is due."
        ),
    );
    for (kind, model, encoder) in MODELS {
        compare(
            place,
            (kind, model, encoder),
            recordings,
            pace,
            &mut section,
        )?;
    }
    Ok(section)
}

fn compare(
    place: Place,
    (kind, model, encoder): (Kind, &str, &str),
    recordings: &[Vec<f32>],
    pace: Pace,
    section: &mut Section,
) -> Result<()> {
    let lengths = lengths();
    let messages = FORMS.map(|(_, form)| {
        let message = |&seconds: &f64| {
            let samples = speech::of_seconds(recordings, 1 + seconds as usize);
            let count = (seconds * super::cases::RATE as f64) as usize;
            request(kind, &format!("{form}{model}"), &samples[..count])
        };
        lengths.iter().map(message).collect::<Vec<Message>>()
    });
    pace.tell(&format!("{model}: capacity"));
    let capacity = drive(place.models, &scripts(&messages[0]), pace.window)?.throughput;
    let mean = lengths.iter().sum::<f64>() / lengths.len() as f64;
    let mut table = Table::new(
        format!("`{model}`, 100 % are {} requests/s:", short(capacity)),
        &[
            "load",
            "form",
            "audio s/s",
            "p50 / p99, ms",
            "refused",
            "rows per call of the encoder",
            "padding",
        ],
    );
    for load in LOADS {
        let times = arrivals(load * capacity, pace.hold);
        let mut rounds: [Vec<Outcome>; 2] = Default::default();
        for round in 0..pace.rounds {
            for (own, (name, form)) in FORMS.iter().enumerate() {
                pace.tell(&format!(
                    "{model}: {:.0} %, {name}, round {}",
                    load * 100.0,
                    round + 1
                ));
                let encoder = format!("{form}{encoder}");
                rounds[own].push(measure(place, &messages[own], &times, &encoder)?);
            }
        }
        for ((name, _), outcomes) in FORMS.iter().zip(&rounds) {
            let middle = |value: &dyn Fn(&Outcome) -> f64| {
                median(&outcomes.iter().map(value).collect::<Vec<f64>>())
            };
            table.rows.push(vec![
                format!("{:.0} %", load * 100.0),
                (*name).to_owned(),
                short(middle(&|outcome| outcome.throughput) * mean),
                [0.5, 0.99]
                    .map(|share| short(middle(&|outcome| percentile(&outcome.latencies, share))))
                    .join(" / "),
                format!("{:.0} %", middle(&|outcome| outcome.refused) * 100.0),
                short(middle(&|outcome| outcome.rows_per_call)),
                format!("{:.1} %", middle(&|outcome| outcome.padding) * 100.0),
            ]);
        }
        let [ensemble, pipeline] = &rounds;
        let ratios: Vec<f64> = pipeline
            .iter()
            .zip(ensemble)
            .map(|(pipeline, ensemble)| pipeline.throughput / ensemble.throughput)
            .collect();
        let what = format!(
            "`{model}`, {:.0} % load: pipeline's throughput / ensemble's",
            load * 100.0
        );
        section.ratios.insert(what.clone(), median(&ratios));
        section.targets.push(Target {
            what,
            // Below capacity both answer all that comes: what differs is what still was under way at the end.
            wanted: Wanted::AtLeast(0.97),
            measured: median(&ratios),
            why: "",
        });
    }
    section.tables.push(table);
    Ok(())
}

/// Each connection begins at another message.
fn scripts(messages: &[Message]) -> Vec<Vec<Message>> {
    (0..AT_ONCE)
        .map(|at| {
            let mut own = messages.to_vec();
            own.rotate_left(at * messages.len() / AT_ONCE);
            own
        })
        .collect()
}

/// Seconds of audio.
fn lengths() -> Vec<f64> {
    let mut dice = ChaCha8Rng::seed_from_u64(SEED);
    let location = MEAN_SECONDS.ln() - SIGMA * SIGMA / 2.0;
    // Sigma is a number above 0.
    let Ok(distribution) = LogNormal::new(location, SIGMA) else {
        return vec![MEAN_SECONDS; RECORDINGS];
    };
    distribution
        .sample_iter(&mut dice)
        .take(RECORDINGS)
        .map(|seconds: f64| seconds.clamp(LEAST_SECONDS, MOST_SECONDS))
        .collect()
}

/// When requests are due, from the beginning on.
fn arrivals(per_second: f64, hold: Duration) -> Vec<Duration> {
    let mut dice = ChaCha8Rng::seed_from_u64(SEED + 1);
    let Ok(distribution) = Exp::new(per_second) else {
        return Vec::new();
    };
    let mut due = 0.0;
    std::iter::repeat_with(|| {
        due += distribution.sample(&mut dice);
        Duration::from_secs_f64(due)
    })
    .take_while(|due| *due < hold)
    .collect()
}

/// Sends each message when it is due, on a connection of its own.
fn measure(
    place: Place,
    messages: &[Message],
    times: &[Duration],
    encoder: &str,
) -> Result<Outcome> {
    let before = executions(place.models, encoder)?;
    let frames_before = frames(place.metrics)?;
    let idle = Mutex::new(Vec::new());
    let answers = Mutex::new(Vec::new());
    let begin = Instant::now();
    thread::scope(|scope| {
        for (due, message) in times.iter().zip(messages.iter().cycle()) {
            thread::sleep((begin + *due).saturating_duration_since(Instant::now()));
            let (idle, answers) = (&idle, &answers);
            scope.spawn(move || {
                let answer = ask(place.models, message, idle);
                lock(answers).push((*due, answer, begin.elapsed()));
            });
        }
    });
    let answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    let end = times.last().copied().unwrap_or_default();
    let (mut latencies, mut refused, mut in_time) = (Vec::new(), 0, 0);
    for (due, answer, answered) in answers {
        match answer? {
            200 => {
                latencies.push((answered - due).as_secs_f64() * 1000.0);
                in_time += usize::from(answered <= end);
            }
            UNAVAILABLE => refused += 1,
            status => bail!("the server answered {status}"),
        }
    }
    let after = executions(place.models, encoder)?;
    let frames_after = frames(place.metrics)?;
    Ok(Outcome {
        throughput: in_time as f64 / end.as_secs_f64(),
        refused: f64::from(refused) / times.len() as f64,
        rows_per_call: (after.0 - before.0) / (after.1 - before.1),
        padding: (frames_after.1 - frames_before.1) / (frames_after.0 - frames_before.0),
        latencies: sorted(&latencies),
    })
}

/// Frames that encoders were given so far, and those of padding among them, whatever the model.
fn frames(metrics: SocketAddr) -> Result<(f64, f64)> {
    let text = Connection::open(metrics)?.text("/metrics")?;
    Ok((
        counted(&text, "funasr_encoder_frames_total"),
        counted(&text, "funasr_encoder_padding_frames_total"),
    ))
}

/// The sum of a metric over its labels, of Prometheus' text.
fn counted(text: &str, name: &str) -> f64 {
    let values = text.lines().filter_map(|line| {
        let (own, value) = line.rsplit_once(' ')?;
        (own.split('{').next() == Some(name)).then(|| value.parse::<f64>().ok())?
    });
    values.sum()
}

/// The status of the answer.
fn ask(address: SocketAddr, message: &Message, idle: &Mutex<Vec<Connection>>) -> Result<u16> {
    let kept = lock(idle).pop();
    let mut connection = match kept {
        Some(connection) => connection,
        None => Connection::open(address)?,
    };
    let (status, _) = connection.ask(message)?;
    lock(idle).push(connection);
    Ok(status)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_are_as_long_as_said() {
        let lengths = lengths();
        let mean = lengths.iter().sum::<f64>() / lengths.len() as f64;
        assert!((mean - MEAN_SECONDS).abs() < 1.0, "{mean}");
        assert!(
            lengths
                .iter()
                .all(|&each| (LEAST_SECONDS..=MOST_SECONDS).contains(&each))
        );
        assert!(lengths.iter().any(|&each| each > 15.0));
    }

    #[test]
    fn a_metric_is_summed_over_its_models() {
        let text = "# HELP a_total x\na_total{model=\"x\",version=\"1\"} 2\na_total{model=\"y\"} 3\na_total_more 7\n";
        assert_eq!(counted(text, "a_total"), 5.0);
        assert_eq!(counted(text, "b_total"), 0.0);
    }

    #[test]
    fn requests_come_as_often_as_said() {
        let times = arrivals(50.0, Duration::from_secs(40));
        assert!((1800..2200).contains(&times.len()), "{}", times.len());
        assert!(times.is_sorted());
    }
}
