//! Whole recordings: which model is asked, with which inputs, and what it says.

use std::collections::BTreeMap;

use speech_segments::sentences::join;
use transcripts::Heard;

use crate::language::Language;
use crate::triton::{Answer, CallError, FileBytes, Input, Model, Pool, Role, Segments};

/// Models for whole recordings, the best first: one that takes recordings of any length before those that take some minutes.
const PREFERRED: [&str; 3] = ["transcribe", "sensevoice", "infer_pipeline"];
/// What other services call their models. Programs that know those alone get the default.
const ELSEWHERE: [&str; 4] = [
    "whisper-1",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-transcribe-diarize",
];

/// `TEXT_NORM`, by name and by number.
const WITH_ITN: (&str, i32) = ("withitn", 14);
const WITHOUT_ITN: (&str, i32) = ("woitn", 15);

const RESULT_JSON: &str = "RESULT_JSON";
const TEXT: &str = "TEXT";
const TRANSCRIPTS: &str = "TRANSCRIPTS";

/// A recording, and what is wished of it.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) file: FileBytes,
    pub(crate) language: Language,
    /// Inverse text normalisation; left to the model if nothing is wished.
    pub(crate) itn: Option<bool>,
    /// Words to listen for, with blanks between them.
    pub(crate) hotwords: Option<String>,
}

impl Recording {
    fn inputs(self, model: &Model) -> Vec<Input> {
        let mut inputs = vec![Input::file("AUDIO", self.file)];
        inputs.extend(language(model, self.language));
        inputs.extend(written_numbers(model, self.itn).map(|itn| text_norm(model, itn)));
        inputs.extend(hotwords(model, self.hotwords.as_deref()));
        inputs
    }
}

/// `LANGUAGE`, for a model that takes it.
pub(crate) fn language(model: &Model, language: Language) -> Option<Input> {
    model.takes("LANGUAGE").then(|| {
        if model.language_by_name {
            Input::text("LANGUAGE", language.code)
        } else {
            Input::number("LANGUAGE", language.number)
        }
    })
}

/// `TEXT_NORM`: whether numbers are written as such.
pub(crate) fn text_norm(model: &Model, itn: bool) -> Input {
    let (name, number) = if itn { WITH_ITN } else { WITHOUT_ITN };
    if model.norm_by_name {
        Input::text("TEXT_NORM", name)
    } else {
        Input::number("TEXT_NORM", number)
    }
}
/// Words to listen for take so many bytes of text at most: a stream keeps them as long as it lives.
pub(crate) const MOST_HOTWORDS: usize = 16 << 10;

/// `HOTWORDS`, for a model that takes them.
pub(crate) fn hotwords(model: &Model, words: Option<&str>) -> Option<Input> {
    let words = words.filter(|_| model.takes("HOTWORDS"))?;
    Some(Input::text("HOTWORDS", words))
}

/// What a model is told by `TEXT_NORM`, if it takes it. One that writes numbers itself is told what the client wishes alone: its config says
/// what else. One that puts marks itself is asked without the recogniser's (docs/long-audio.md).
fn written_numbers(model: &Model, wished: Option<bool>) -> Option<bool> {
    match wished {
        _ if !model.takes("TEXT_NORM") => None,
        None if model.writes_numbers => None,
        wished => Some(wished.unwrap_or(!model.punctuates)),
    }
}

/// The model for a recording.
///
/// `wanted` is what the client calls it, `default` what the operator prefers; `told_early`: what is heard is wanted as soon as it is there.
/// Nothing if there is none.
pub(crate) fn choose(
    models: &BTreeMap<String, Model>,
    wanted: &str,
    default: Option<&str>,
    told_early: bool,
) -> Option<Model> {
    let whole = |model: &&Model| model.role != Role::Stream;
    let named = |name: &str| models.get(name).filter(whole);
    let chosen = named(wanted).or_else(|| {
        let unknown = wanted.is_empty() || ELSEWHERE.contains(&wanted);
        let default = || default.and_then(named);
        let preferred = || PREFERRED.into_iter().find_map(named);
        unknown.then(|| {
            default()
                .or_else(preferred)
                .or_else(|| models.values().find(whole))
        })?
    })?;
    // `transcribe_segments` is `transcribe`, told early.
    let early =
        || named(&format!("{}_segments", chosen.name)).filter(|own| own.role == Role::Segments);
    Some(
        if told_early {
            early().unwrap_or(chosen)
        } else {
            chosen
        }
        .clone(),
    )
}

/// The names of the models for recordings, for a person.
pub(crate) fn names(models: &BTreeMap<String, Model>) -> String {
    let whole = models.values().filter(|model| model.role != Role::Stream);
    let names: Vec<_> = whole.map(|model| &*model.name).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

fn outputs(model: &Model) -> &'static [&'static str] {
    match (model.says(RESULT_JSON), model.says(TEXT)) {
        (true, _) => &[RESULT_JSON],
        (false, true) => &[TEXT],
        (false, false) => &[TRANSCRIPTS],
    }
}

fn heard(model: &Model, answer: &Answer) -> Result<Heard, CallError> {
    let [output] = outputs(model) else {
        return Ok(Heard::default());
    };
    let said = answer.string(output)?;
    match *output {
        RESULT_JSON => Heard::parse(&said).map_err(|_| CallError::Answer {
            model: model.name.clone(),
            output: "document in RESULT_JSON".to_owned(),
        }),
        output => Ok(Heard {
            text: if output == TEXT {
                said
            } else {
                without_tags(&said)
            },
            ..Heard::default()
        }),
    }
}

/// A transcript without SenseVoice's tags, as in `<|zh|>`.
fn without_tags(transcript: &str) -> String {
    let mut text = String::new();
    let mut rest = transcript;
    while let Some((before, tag)) = rest.split_once("<|") {
        let Some((_, after)) = tag.split_once("|>") else {
            break;
        };
        text.push_str(before);
        rest = after;
    }
    text.push_str(rest);
    text.trim().to_owned()
}

/// What a model says of a recording.
///
/// # Errors
/// What the servers say, or that there is none.
pub(crate) async fn transcribe(
    pool: &Pool,
    model: &Model,
    recording: Recording,
) -> Result<Heard, CallError> {
    let mut parts = parts(pool, model, recording).await?;
    let mut whole = parts.next().await?.unwrap_or_default();
    while let Some(part) = parts.next().await? {
        add(&mut whole, part);
    }
    Ok(whole)
}

/// The same, part by part.
///
/// # Errors
/// What the servers say before the first part, or that there is none.
pub(crate) async fn parts(
    pool: &Pool,
    model: &Model,
    recording: Recording,
) -> Result<Parts, CallError> {
    let inputs = recording.inputs(model);
    let answers = if model.role == Role::Segments {
        Answers::Several(Box::new(
            pool.segments(&model.name, &inputs, outputs(model)).await?,
        ))
    } else {
        Answers::One(Some(
            pool.infer(&model.name, &inputs, outputs(model)).await?,
        ))
    };
    Ok(Parts {
        model: model.clone(),
        answers,
    })
}

/// What a model says of a recording, as it says it.
#[derive(Debug)]
pub(crate) struct Parts {
    model: Model,
    answers: Answers,
}

#[derive(Debug)]
enum Answers {
    One(Option<Answer>),
    Several(Box<Segments>),
}

impl Parts {
    /// What is new; nothing when that was all.
    pub(crate) async fn next(&mut self) -> Result<Option<Heard>, CallError> {
        let answer = match &mut self.answers {
            Answers::One(answer) => answer.take(),
            Answers::Several(segments) => segments.next().await?,
        };
        answer.map(|answer| heard(&self.model, &answer)).transpose()
    }
}

/// Adds what came later.
fn add(whole: &mut Heard, part: Heard) {
    join(&mut whole.text, &part.text);
    whole.words.extend(part.words);
    whole.sentences.extend(part.sentences);
    whole.segments.extend(part.segments);
    whole.problems.extend(part.problems);
    whole.audio_ms = part.audio_ms.or(whole.audio_ms);
}

/// The next part of a text, with the space in front of it that joins it to what was told before.
pub(crate) fn continued(told: &mut String, part: &str) -> String {
    let before = told.len();
    join(told, part);
    told[before..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triton::tests_of_models::{model, model_with};

    fn named(list: &[(&str, Role)]) -> BTreeMap<String, Model> {
        let entry = |(name, role): &(&str, Role)| ((*name).to_owned(), model(name, *role));
        list.iter().map(entry).collect()
    }

    #[test]
    fn the_model_is_the_one_that_is_named_or_the_default() {
        let models = named(&[
            ("sensevoice", Role::Recording),
            ("streaming_paraformer", Role::Stream),
            ("transcribe", Role::Recording),
            ("transcribe_segments", Role::Segments),
        ]);
        let chosen =
            |wanted, default, early| choose(&models, wanted, default, early).map(|own| own.name);
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(chosen("sensevoice", None, false), name("sensevoice"));
        assert_eq!(chosen("sensevoice", None, true), name("sensevoice"));
        assert_eq!(chosen("whisper-1", None, false), name("transcribe"));
        assert_eq!(
            chosen("whisper-1", Some("sensevoice"), false),
            name("sensevoice")
        );
        assert_eq!(chosen("whisper-1", Some("gone"), false), name("transcribe"));
        assert_eq!(chosen("", None, true), name("transcribe_segments"));
        assert_eq!(
            chosen("transcribe", None, true),
            name("transcribe_segments")
        );
        assert_eq!(chosen("streaming_paraformer", None, false), None);
        assert_eq!(chosen("whisper-2", Some("sensevoice"), false), None);
        let others = named(&[("a", Role::Stream), ("b", Role::Recording)]);
        assert_eq!(
            choose(&others, "whisper-1", None, false).map(|own| own.name),
            name("b")
        );
        assert_eq!(
            names(&models),
            "sensevoice, transcribe, transcribe_segments"
        );
        assert_eq!(names(&BTreeMap::new()), "none");
    }

    #[test]
    fn numbers_are_written_as_model_and_client_have_it() {
        let of = |edit: fn(&mut Model), wished| {
            let mut model = model_with("m", Role::Recording, &["TEXT_NORM"]);
            edit(&mut model);
            written_numbers(&model, wished)
        };
        assert_eq!(of(|_| {}, None), Some(true));
        assert_eq!(of(|_| {}, Some(false)), Some(false));
        assert_eq!(of(|model| model.punctuates = true, None), Some(false));
        assert_eq!(of(|model| model.punctuates = true, Some(true)), Some(true));
        assert_eq!(of(|model| model.writes_numbers = true, None), None);
        assert_eq!(
            of(|model| model.writes_numbers = true, Some(true)),
            Some(true)
        );
        assert_eq!(
            written_numbers(&model("m", Role::Recording), Some(true)),
            None
        );
    }

    #[test]
    fn tags_are_no_text() {
        assert_eq!(without_tags("<|en|><|NEUTRAL|> good <|x|>day"), "good day");
        assert_eq!(without_tags("a <| b"), "a <| b");
        assert_eq!(without_tags(""), "");
    }

    #[test]
    fn parts_of_a_text_are_joined_as_their_language_is_written() {
        let mut told = String::new();
        let parts = ["Good day.", "Well?", "再见。", "好。"].map(|part| continued(&mut told, part));
        assert_eq!(parts, ["Good day.", " Well?", "再见。", "好。"]);
        assert_eq!(told, "Good day. Well?再见。好。");
    }
}
