//! The models for recordings of any length, which call a recogniser, voice activity detection and punctuation.

use anyhow::{Context, Result};
use include_dir::{Dir, File, include_dir};

use super::assembly::parameter;
use super::kind::Kind;

static TRANSCRIBE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../model_repo_transcribe");

/// The models: in one answer, and each segment as soon as it is there.
pub(super) const MODELS: [&str; 2] = ["transcribe", "transcribe_segments"];

/// Their configurations, beside a recogniser that has models of its kind's names, with marks by the model `punctuation` or without.
pub(super) fn configs(recogniser: Kind, punctuation: bool) -> Result<Vec<(&'static str, String)>> {
    let called = recogniser.models().next().unwrap_or_default();
    let (from, to) = parameter("recogniser", "sensevoice", called);
    let config = |model: &'static str| {
        let path = format!("{model}/config.pbtxt");
        let text = TRANSCRIBE.get_file(&path).and_then(File::contents_utf8);
        let text = text.with_context(|| format!("this program lacks {path}"))?;
        let mut text = text.replace(&from, &to);
        if !punctuation {
            text = without(&text, "    key: \"punctuation\"\n")?;
        }
        if recogniser != Kind::Sensevoice {
            for input in ["LANGUAGE", "TEXT_NORM"] {
                text = without(&text, &format!("    name: \"{input}\"\n"))?;
            }
        }
        Ok((model, text))
    };
    MODELS.into_iter().map(config).collect()
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
        for (model, text) in configs(Kind::Sensevoice, true).unwrap() {
            let file = TRANSCRIBE
                .get_file(format!("{model}/config.pbtxt"))
                .unwrap();
            assert_eq!(text, file.contents_utf8().unwrap(), "the template itself");
        }
        let decoupled = "model_transaction_policy { decoupled: true }";
        for (model, text) in configs(Kind::Paraformer, false).unwrap() {
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
    }
}
