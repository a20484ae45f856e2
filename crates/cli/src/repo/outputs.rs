//! What models tell beside the text: which outputs a repository's configurations list.

use anyhow::{Result, bail};

use super::options::Options;

/// An output that a configuration may list.
struct Output {
    name: &'static str,
    /// As in `TYPE_STRING`.
    data_type: &'static str,
    /// Its only dimension.
    dim: i8,
    of: Of,
}

/// Which models have it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    All,
    /// Those whose texts begin with tags.
    Tags,
    /// Those that can tell when a word was said.
    Times,
    Streams,
}

const OUTPUTS: &[Output] = &[
    output("TEXT", "STRING", 1, Of::All),
    output("LANGUAGE_ID", "STRING", 1, Of::Tags),
    output("EMOTION", "STRING", 1, Of::Tags),
    output("AUDIO_EVENT", "STRING", 1, Of::Tags),
    output("CONFIDENCE", "FP32", 1, Of::All),
    output("TOKENS", "STRING", -1, Of::All),
    output("TOKEN_START_MS", "INT32", -1, Of::Times),
    output("TOKEN_END_MS", "INT32", -1, Of::Times),
    output("TOKEN_CONFIDENCE", "FP32", -1, Of::All),
    output("TOKEN_COUNT", "INT32", 1, Of::All),
    output("WORDS", "STRING", -1, Of::All),
    output("WORD_START_MS", "INT32", -1, Of::Times),
    output("WORD_END_MS", "INT32", -1, Of::Times),
    output("IS_FINAL", "BOOL", 1, Of::Streams),
    output("FULL_TEXT", "STRING", 1, Of::Streams),
    output(RESULT_JSON, "STRING", 1, Of::All),
];

/// It has times where they are known.
const RESULT_JSON: &str = "RESULT_JSON";

const fn output(name: &'static str, data_type: &'static str, dim: i8, of: Of) -> Output {
    Output {
        name,
        data_type,
        dim,
        of,
    }
}

/// What a kind of model can tell.
#[derive(Clone, Copy)]
pub(super) struct Tells<'a> {
    pub(super) tags: bool,
    pub(super) streams: bool,
    /// Why it cannot say when a word was said, if it cannot.
    pub(super) no_times: Option<&'a str>,
}

/// The outputs to list.
pub(super) struct Listed(Vec<&'static Output>);

impl Listed {
    /// Those that a person asked for, of a model that can tell so much.
    pub(super) fn of(options: &Options, tells: Tells<'_>) -> Result<Self> {
        let why_not = |output: &Output| match (output.of, tells.no_times) {
            (Of::Tags, _) if !tells.tags => Some("only SenseVoice has tags".to_owned()),
            (Of::Streams, _) if !tells.streams => Some("only streams have it".to_owned()),
            (Of::Times, Some(reason)) => Some(reason.to_owned()),
            _ => None,
        };
        let mut listed: Vec<&Output> = Vec::new();
        for wanted in &options.common.outputs {
            if wanted == "all" {
                listed.extend(OUTPUTS.iter().filter(|output| why_not(output).is_none()));
                continue;
            }
            let Some(output) = OUTPUTS.iter().find(|output| output.name == wanted) else {
                let names: Vec<&str> = OUTPUTS.iter().map(|output| output.name).collect();
                bail!(
                    "there is no output {wanted}; there are all, {}",
                    names.join(", ")
                );
            };
            if let Some(reason) = why_not(output) {
                bail!("output {wanted} cannot be had: {reason}");
            }
            listed.push(output);
        }
        let mut all = OUTPUTS.iter().collect::<Vec<_>>();
        all.retain(|output| listed.iter().any(|listed| listed.name == output.name));
        Ok(Self(all))
    }

    /// Whether one of them says when words were said.
    pub(super) fn times(&self, tells: Tells<'_>) -> bool {
        let says = |output: &&Output| output.of == Of::Times || output.name == RESULT_JSON;
        tells.no_times.is_none() && self.0.iter().any(says)
    }

    /// Whether one of them says how probable something is.
    pub(super) fn probabilities(&self) -> bool {
        let says =
            |output: &&Output| output.name.ends_with("CONFIDENCE") || output.name == RESULT_JSON;
        self.0.iter().any(says)
    }

    /// How the templates write the one output there is, in a model and on its way through an ensemble, and how they are to write all.
    pub(super) fn replacements(&self) -> Vec<(String, String)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let steps = ["OUTPUT0", "transcripts"];
        let lists = ["TRANSCRIPTS"].iter().chain(&steps).map(|name| {
            let from = tensor(name, "STRING", 1);
            let more = self.0.iter();
            let more = more.map(
                |&Output {
                     name,
                     data_type,
                     dim,
                     ..
                 }| next(&tensor(name, data_type, *dim)),
            );
            (from.clone(), from + &more.collect::<String>())
        });
        let maps = steps.iter().map(|name| {
            let map = |key: &str, value: &str| {
                format!("output_map {{ key: \"{key}\" value: \"{value}\" }}")
            };
            let from = map(name, "TRANSCRIPTS");
            let more = self
                .0
                .iter()
                .map(|output| format!("\n      {}", map(output.name, output.name)));
            (from.clone(), from + &more.collect::<String>())
        });
        lists.chain(maps).collect()
    }
}

/// A tensor as the templates write it, from its name on.
pub(super) fn tensor(name: &str, data_type: &str, dim: i8) -> String {
    format!("    name: \"{name}\"\n    data_type: TYPE_{data_type}\n    dims: [ {dim} ]\n")
}

/// The same behind another one.
pub(super) fn next(tensor: &str) -> String {
    format!("  }},\n  {{\n{tensor}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::options::Common;

    fn listed(wanted: &[&str], tells: Tells<'_>) -> Result<Vec<&'static str>, String> {
        let mut options = Options {
            from: "export".into(),
            common: Common::new("repo".into()),
        };
        options.common.outputs = wanted.iter().map(|&name| name.to_owned()).collect();
        let listed = Listed::of(&options, tells).map_err(|error| error.to_string())?;
        Ok(listed.0.iter().map(|output| output.name).collect())
    }

    const SENSEVOICE: Tells<'_> = Tells {
        tags: true,
        streams: false,
        no_times: None,
    };
    const NO_TIMES: Tells<'_> = Tells {
        tags: false,
        streams: false,
        no_times: Some("it lacks what tells"),
    };

    #[test]
    fn all_is_what_the_model_can_tell() {
        let all = listed(&["all"], SENSEVOICE).unwrap();
        assert_eq!(
            (all.len(), all[1], all[13]),
            (14, "LANGUAGE_ID", "RESULT_JSON")
        );
        let without = listed(&["all"], NO_TIMES).unwrap();
        assert_eq!(
            without,
            [
                "TEXT",
                "CONFIDENCE",
                "TOKENS",
                "TOKEN_CONFIDENCE",
                "TOKEN_COUNT",
                "WORDS",
                "RESULT_JSON"
            ]
        );
        let streams = Tells {
            streams: true,
            ..NO_TIMES
        };
        assert!(listed(&["all"], streams).unwrap().contains(&"IS_FINAL"));
    }

    #[test]
    fn what_cannot_be_told_is_an_error_that_says_why() {
        assert_eq!(
            listed(&["TOKENS", "TEXT", "TOKENS"], NO_TIMES).unwrap(),
            ["TEXT", "TOKENS"]
        );
        assert_eq!(listed(&[], NO_TIMES).unwrap(), [""; 0]);
        for (name, words) in [
            ("WORD_END_MS", "it lacks what tells"),
            ("EMOTION", "only SenseVoice"),
            ("FULL_TEXT", "only streams"),
            ("WORD", "there are all, TEXT, "),
        ] {
            let error = listed(&[name], NO_TIMES).unwrap_err();
            assert!(error.contains(words) && error.contains(name), "{error}");
        }
    }
}
