//! The models that call others: for recordings of any length, and for streams in two passes.

use anyhow::{Context, Result};
use include_dir::{Dir, File, include_dir};

use super::assembly::parameter;
use super::kind::Kind;

static TRANSCRIBE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../model_repo_transcribe");
static TWO_PASS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../model_repo_two_pass");

/// The models: recordings in one answer, and each segment as soon as it is there; streams.
pub(super) const MODELS: [&str; 3] = ["transcribe", "transcribe_segments", STREAMS];
/// The one that needs a model for streams.
const STREAMS: &str = "two_pass";

/// What stands beside them.
#[derive(Clone, Copy)]
pub(super) struct Called {
    /// A recogniser for whole recordings, which has models of its kind's names.
    pub(super) recogniser: Kind,
    /// The model `punctuation`.
    pub(super) punctuation: bool,
    /// Streaming Paraformer.
    pub(super) streams: bool,
}

/// Their configurations, beside these models.
pub(super) fn configs(called: Called) -> Result<Vec<(&'static str, String)>> {
    let own = |model: &&str| *model != STREAMS || called.streams;
    let models = MODELS.into_iter().filter(own);
    models
        .map(|model| Ok((model, config(model, called)?)))
        .collect()
}

fn config(model: &str, called: Called) -> Result<String> {
    let path = format!("{model}/config.pbtxt");
    let repository = if model == STREAMS {
        &TWO_PASS
    } else {
        &TRANSCRIBE
    };
    let text = repository.get_file(&path).and_then(File::contents_utf8);
    let text = text.with_context(|| format!("this program lacks {path}"))?;
    let name = called.recogniser.models().next().unwrap_or_default();
    let (from, to) = parameter("recogniser", "sensevoice", name);
    let mut text = text.replace(&from, &to);
    let mut gone = Vec::new();
    if !called.punctuation {
        gone.push("    key: \"punctuation\"\n");
    }
    if called.recogniser != Kind::Sensevoice {
        gone.extend(["    name: \"LANGUAGE\"\n", "    name: \"TEXT_NORM\"\n"]);
        if model == STREAMS {
            gone.push("    key: \"defaults\"\n");
        }
    }
    for line in gone {
        text = without(&text, line)?;
    }
    Ok(text)
}

/// A configuration without the entry of a list that has this line.
fn without(text: &str, line: &str) -> Result<String> {
    let (head, tail) = text.split_once(line).context("no such entry")?;
    let (head, _) = head.rsplit_once("  {\n").context("no beginning")?;
    let (_, tail) = tail.split_once("\n  }").context("no end")?;
    Ok(match tail.strip_prefix(",\n") {
        Some(tail) => format!("{head}{tail}"),
        // It was the last one, and no comma ends a list.
        None => format!("{}{tail}", head.trim_end().trim_end_matches(',')),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_is_what_is_there() {
        let all = Called {
            recogniser: Kind::Sensevoice,
            punctuation: true,
            streams: true,
        };
        let written = configs(all).unwrap();
        assert_eq!(written.len(), MODELS.len());
        for (model, text) in written {
            let repository = if model == STREAMS {
                &TWO_PASS
            } else {
                &TRANSCRIBE
            };
            let file = repository
                .get_file(format!("{model}/config.pbtxt"))
                .unwrap();
            assert_eq!(text, file.contents_utf8().unwrap(), "the template itself");
        }
        let decoupled = "model_transaction_policy { decoupled: true }";
        let few = Called {
            recogniser: Kind::Paraformer,
            punctuation: false,
            streams: true,
        };
        for (model, text) in configs(few).unwrap() {
            assert!(text.contains("\"infer_pipeline\""), "{text}");
            for word in ["sensevoice", "\"punctuation\"", "LANGUAGE", "TEXT_NORM"] {
                assert!(!text.contains(word), "{word}: {text}");
            }
            assert!(
                text.contains("dims: [ 1 ]\n    optional: true\n  }\n]\n\noutput ["),
                "{text}"
            );
            assert_eq!(text.contains(decoupled), model == "transcribe_segments");
        }
        let no_streams = Called {
            streams: false,
            ..all
        };
        assert_eq!(configs(no_streams).unwrap().len(), MODELS.len() - 1);
    }
}
