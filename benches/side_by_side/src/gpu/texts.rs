//! Whether the models say the same on the GPU as on the processor, alone and in company.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, anyhow};

use super::kit::Kit;
use super::options::{Device, Options};
use crate::console;
use crate::load::Connection;
use crate::message::{Message, outputs_in, with_tensors};
use crate::models::TOP;
use crate::repo::{self, Kind};
use crate::report::{Section, Table, Target, Wanted};
use crate::speech::tensors;
use crate::streaming;
use crate::tools::address_of;

/// So many at a time.
const COMPANY: usize = 16;
/// How often each recording is sent in company.
const ROUNDS: usize = 4;
const DIFFER: &str = "a target of this part is missed where any answer differs";

/// What was said to each recording of each model.
type Answers = BTreeMap<String, String>;

/// A question and whom it is put to.
struct Question {
    /// Model and recording.
    name: String,
    asked: Asked,
}

enum Asked {
    Once(Message),
    Stream { model: String, samples: Vec<f32> },
}

impl Question {
    /// The answer, in a form that can be compared; also that there is none.
    fn put(&self, address: SocketAddr) -> Result<String> {
        match &self.asked {
            Asked::Once(message) => {
                let mut connection = Connection::open(address)?;
                let (status, body) = connection.ask(message)?;
                if status != 200 {
                    return Ok(format!("refused: {}", String::from_utf8_lossy(body)));
                }
                let outputs = outputs_in(body)?;
                let show = |(name, bytes): (&String, &Vec<u8>)| match &**name {
                    "TRANSCRIPTS" | "WORDS" => format!("{name} {:?}", strings(bytes)),
                    _ => format!("{name} {:?}", whole_numbers(bytes)),
                };
                Ok(outputs.iter().map(show).collect::<Vec<_>>().join(", "))
            }
            Asked::Stream { model, samples } => {
                streaming::text(address, model, &streaming::chunks(samples))
            }
        }
    }
}

/// A repository that is served twice, once on each device.
struct Served {
    name: &'static str,
    pipelines: bool,
}

const SERVED: [Served; 3] = [
    Served {
        name: "ensembles",
        pipelines: false,
    },
    Served {
        name: "pipelines",
        pipelines: true,
    },
    Served {
        name: "times",
        pipelines: true,
    },
];

pub(super) fn run(kit: &Kit, options: &Options) -> Result<Section> {
    let mut section = Section::new(
        "Texts",
        format!(
            "The demo's models and recordings. Answers on the device are compared with those on the processor, alone, and \
             {COMPANY} at a time, {ROUNDS} times each: {DIFFER}. Of `times`, a Paraformer that tells when words were said (BiCif), \
             these are compared too."
        ),
    );
    let mut table = Table::new(
        "Answers that differ from the processor's:",
        &["served", "answers", "alone", "in company"],
    );
    let mut different = 0;
    for served in &SERVED {
        let processor = served.answers(kit, options, Device::Cpu, 0)?.0;
        let (alone, company) = served.answers(kit, options, options.device, ROUNDS)?;
        let unlike = |(name, answer): &(&String, &String)| processor.get(*name) != Some(*answer);
        let differing: Vec<_> = alone.iter().filter(unlike).collect();
        for (name, answer) in &differing {
            let expected = processor.get(*name).map_or("nothing", String::as_str);
            console::warn(format!("{name}: {answer} where {expected} was expected"));
        }
        let in_company = company.iter().map(|(name, answer)| (name, answer));
        let in_company = in_company.filter(unlike).count();
        different += differing.len() + in_company;
        table.rows.push(vec![
            served.name.to_owned(),
            alone.len().to_string(),
            differing.len().to_string(),
            format!("{in_company} of {}", company.len()),
        ]);
    }
    section.tables.push(table);
    section.targets.push(Target {
        what: "answers that differ".to_owned(),
        wanted: Wanted::AtMost(0.0),
        measured: different as f64,
        why: "See the warnings and the servers' logs.",
    });
    Ok(section)
}

impl Served {
    /// The answers alone, and those in company.
    fn answers(
        &self,
        kit: &Kit,
        options: &Options,
        device: Device,
        rounds: usize,
    ) -> Result<(Answers, Vec<(String, String)>)> {
        console::step("Checking", format!("{} on {device:?}", self.name));
        let name = format!("{}_{device:?}", self.name).to_lowercase();
        let common = |to| repo::Common {
            device: Some(device.of_repository()),
            ..repo::Common::new(to)
        };
        let repository = Kit::repository(options, &name, |to| match self.name {
            "times" => repo::assemble(
                Kind::Paraformer,
                &repo::Options {
                    from: kit.looping(),
                    common: repo::Common {
                        outputs: vec!["all".to_owned()],
                        ..common(to)
                    },
                },
            ),
            _ => repo::assemble_all(&repo::AllOptions {
                from: kit.exports(),
                vad: None,
                punc: None,
                common: common(to),
            }),
        })?;
        let questions = self.questions(kit)?;
        let server = kit.serve(options, &repository, self.pipelines)?;
        let address = address_of(&server)?;
        let mut alone = Answers::new();
        for question in &questions {
            alone.insert(question.name.clone(), question.put(address)?);
        }
        let company = in_company(address, &questions, rounds)?;
        Ok((alone, company))
    }

    fn questions(&self, kit: &Kit) -> Result<Vec<Question>> {
        let mut questions = Vec::new();
        let kinds: &[(Kind, &str)] = match self.name {
            "times" => &[(Kind::Paraformer, TOP[1])],
            _ => &[
                (Kind::Sensevoice, TOP[0]),
                (Kind::Paraformer, TOP[1]),
                (Kind::ParaformerOnline, TOP[2]),
            ],
        };
        let outputs: &[&str] = match self.name {
            // Confidences differ in their last digits.
            "times" => &["TRANSCRIPTS", "WORDS", "WORD_START_MS", "WORD_END_MS"],
            _ => &["TRANSCRIPTS"],
        };
        for (recording, samples) in kit.recordings()? {
            for &(kind, model) in kinds {
                let asked = match kind {
                    Kind::ParaformerOnline => Asked::Stream {
                        model: model.to_owned(),
                        samples: samples.clone(),
                    },
                    _ => Asked::Once(with_tensors(model, &tensors(kind, &samples), outputs, None)),
                };
                questions.push(Question {
                    name: format!("{model}/{recording}"),
                    asked,
                });
            }
        }
        Ok(questions)
    }
}

/// The texts of a tensor, each behind its length.
fn strings(mut bytes: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        let (text, rest) = rest.split_at(length.min(rest.len()));
        all.push(String::from_utf8_lossy(text).into_owned());
        bytes = rest;
    }
    all
}

fn whole_numbers(bytes: &[u8]) -> Vec<i32> {
    let (numbers, _) = bytes.as_chunks();
    numbers
        .iter()
        .map(|bytes| i32::from_le_bytes(*bytes))
        .collect()
}

/// Puts all questions `rounds` times, so many at a time, in an order that mixes them anew each time.
fn in_company(
    address: SocketAddr,
    questions: &[Question],
    rounds: usize,
) -> Result<Vec<(String, String)>> {
    // A step that has no divisor in common with any number of questions below it.
    const STEP: usize = 7919;
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let ask = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= rounds * questions.len() {
                return Ok(());
            }
            let round = number / questions.len();
            let question = &questions[(number * STEP + round) % questions.len()];
            let answer = question.put(address)?;
            let mut answers = answers
                .lock()
                .map_err(|_| anyhow!("another thread panicked"))?;
            answers.push((question.name.clone(), answer));
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..COMPANY).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .map_err(|_| anyhow!("a thread of the load panicked"))?
        })
    })?;
    Ok(answers.into_inner().unwrap_or_default())
}
