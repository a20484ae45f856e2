//! Whole files in place of samples: what `--audio` changes in the configurations.

use super::kind::Kind;

/// How the templates write what concerns audio, and how they are to write it.
pub(super) fn replacements(kind: Kind) -> Vec<(String, String)> {
    match kind {
        Kind::Sensevoice | Kind::Paraformer => offline(),
        Kind::ParaformerOnline => streams(),
    }
}

/// `WAV` becomes optional, and beside it there are files, rates and channels: in the model that clients call, in the step that it hands
/// them on to, and in the pipeline.
fn offline() -> Vec<(String, String)> {
    let mut replacements = Vec::new();
    for upper in [true, false] {
        let name = |name: &str| match upper {
            true => name.to_owned(),
            false => name.to_lowercase(),
        };
        let wav = format!(
            "    name: \"{}\"\n    data_type: TYPE_FP32\n    dims: [ -1 ]\n",
            name("WAV")
        );
        let optional_wav = format!("{wav}    optional: true\n");
        replacements.push((wav, optional_wav));
        let lens = format!(
            "    name: \"{}\"\n    data_type: TYPE_INT32\n    dims: [ 1 ]\n  }}",
            name("WAV_LENS")
        );
        let open = lens.trim_end_matches("  }");
        let more = [
            input(
                "A file as it is, in place of the two above: WAV, FLAC, MP3, AAC, Ogg, M4A, WebM.",
                &name("AUDIO"),
                "STRING",
            ),
            input(
                "The rate of the samples, 8000 to 192000 Hz; a file says its own.",
                &name("SAMPLE_RATE"),
                "INT32",
            ),
            input(
                "The channel of a file to take, counted from 0; -1, or nothing: all of them, mixed.",
                &name("CHANNEL"),
                "INT32",
            ),
        ];
        let more = more.join(",\n");
        replacements.push((
            lens.clone(),
            format!("{open}    optional: true\n  }},\n{more}"),
        ));
    }
    let map = |name: &str| {
        format!(
            "input_map {{ key: \"{}\" value: \"{name}\" }}",
            name.to_lowercase()
        )
    };
    let maps = ["WAV_LENS", "AUDIO", "SAMPLE_RATE", "CHANNEL"].map(map);
    replacements.push((map("WAV_LENS"), maps.join("\n      ")));
    replacements.extend(warning());
    replacements
}

/// The output that tells of a file that is cut off: of the pipeline, of the front end, and of the ensemble.
fn warning() -> [(String, String); 4] {
    let listed = |name: &str, behind: &str| {
        let comment =
            "Empty, or that the file was cut off or damaged, and how much of it could be read.";
        let output = format!(
            "  {{\n    # {comment}\n    name: \"{name}\"\n    data_type: TYPE_STRING\n    dims: [ 1 ]\n  }}"
        );
        let from = format!("  }}\n]\n\n{behind}");
        let to = format!("  }},\n{output}\n]\n\n{behind}");
        (from, to)
    };
    // Of the models that have a batcher only the pipelines call others.
    let pipeline = "dynamic_batching { }\n\n# Native code on the CPU, with and without a GPU in the machine; the encoder runs where";
    let lengths = "    name: \"speech_lengths\"\n    data_type: TYPE_INT32\n    dims: [ 1 ]\n";
    let (front_end, with_warning) = listed("warning", "dynamic_batching { }");
    let map = "output_map { key: \"speech_lengths\" value: \"SPEECH_LENGTHS\" }";
    [
        listed("WARNING", pipeline),
        listed("WARNING", "ensemble_scheduling {"),
        (
            format!("{lengths}{front_end}"),
            format!("{lengths}{with_warning}"),
        ),
        (
            map.to_owned(),
            format!("{map}\n      output_map {{ key: \"warning\" value: \"WARNING\" }}"),
        ),
    ]
}

/// A stream's first chunk says its rate: in the model that clients call, in the step that it hands it on to, and in the pipeline.
fn streams() -> Vec<(String, String)> {
    let rate = |name: &str| {
        input(
            "The rate of the stream's samples, 8000 to 192000 Hz; said with its first chunk, it holds for all.",
            name,
            "INT32",
        )
    };
    let lens = |name: &str| {
        format!("  {{\n    # How many samples of the chunk are audio.\n    name: \"{name}\"")
    };
    let wav = |name: &str| {
        format!(
            "    name: \"{name}\"\n    data_type: TYPE_FP32\n    dims: [ -1 ]\n    # {} share a batch.\n    allow_ragged_batch: true\n  }},",
            match name {
                "WAV" => "Requests of different lengths",
                _ => "Chunks of different lengths",
            }
        )
    };
    let (ensemble, pipeline, front_end) = (lens("WAV_LENS"), wav("WAV"), wav("wav"));
    let map = "input_map { key: \"wav_lens\" value: \"WAV_LENS\" }";
    let rate_map = "input_map { key: \"sample_rate\" value: \"SAMPLE_RATE\" }";
    vec![
        (
            ensemble.clone(),
            format!("{},\n{ensemble}", rate("SAMPLE_RATE")),
        ),
        (
            pipeline.clone(),
            format!("{pipeline}\n{},", rate("SAMPLE_RATE")),
        ),
        (
            front_end.clone(),
            format!("{front_end}\n{},", rate("sample_rate")),
        ),
        (map.to_owned(), format!("{map}\n      {rate_map}")),
    ]
}

fn input(comment: &str, name: &str, data_type: &str) -> String {
    format!(
        "  {{\n    # {comment}\n    name: \"{name}\"\n    data_type: TYPE_{data_type}\n    dims: [ 1 ]\n    optional: true\n  }}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::templates;

    /// The configurations of a model with files in place of samples.
    fn configs(kind: Kind, model: &str) -> Vec<(String, String)> {
        let replaced = |text: &str| {
            replacements(kind)
                .iter()
                .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
        };
        templates::configs(kind.template(), model)
            .map(|(path, text)| (path.display().to_string(), replaced(text)))
            .collect()
    }

    /// Names of inputs, with a mark where they are optional.
    fn inputs(text: &str) -> Vec<String> {
        let (_, inputs) = text.split_once("\ninput [").unwrap();
        let (inputs, _) = inputs.split_once("\noutput [").unwrap();
        let names = inputs.split("name: \"").skip(1).map(|input| {
            let (name, rest) = input.split_once('"').unwrap();
            let mark = if rest.contains("optional: true") {
                "?"
            } else {
                ""
            };
            format!("{name}{mark}")
        });
        names.collect()
    }

    #[test]
    fn offline_models_and_their_front_ends_take_files() {
        for (kind, model, more) in [
            (
                Kind::Sensevoice,
                "sensevoice",
                &["LANGUAGE", "TEXT_NORM"][..],
            ),
            (Kind::Paraformer, "infer_pipeline", &[]),
        ] {
            let expected = [
                &["WAV?", "WAV_LENS?", "AUDIO?", "SAMPLE_RATE?", "CHANNEL?"],
                more,
            ]
            .concat();
            let configs = configs(kind, model);
            assert_eq!(configs.len(), 2);
            for (path, text) in configs {
                assert_eq!(inputs(&text), expected, "{model}/{path}");
            }
        }
        let (_, text) = configs(Kind::Paraformer, "infer_pipeline").swap_remove(0);
        assert!(
            text.contains("\n      input_map { key: \"audio\" value: \"AUDIO\" }\n"),
            "{text}"
        );
    }

    #[test]
    fn steps_have_what_their_models_hand_on() {
        for (kind, more) in [
            (Kind::Sensevoice, &["language?", "textnorm?"][..]),
            (Kind::Paraformer, &[]),
        ] {
            let expected = [
                &["wav?", "wav_lens?", "audio?", "sample_rate?", "channel?"],
                more,
            ]
            .concat();
            let (_, text) = configs(kind, "feature_extractor").swap_remove(0);
            assert_eq!(inputs(&text), expected);
        }
    }

    #[test]
    fn files_that_are_cut_off_are_told_of() {
        for (kind, model) in [
            (Kind::Sensevoice, "sensevoice"),
            (Kind::Paraformer, "infer_pipeline"),
        ] {
            let map = "output_map { key: \"warning\" value: \"WARNING\" }";
            for (path, text) in configs(kind, model) {
                assert_eq!(text.matches("name: \"WARNING\"").count(), 1, "{path}");
                let ensemble = text.contains("ensemble_scheduling");
                assert_eq!(text.contains(map), ensemble, "{path}");
            }
            let (_, text) = configs(kind, "feature_extractor").swap_remove(0);
            assert_eq!(text.matches("name: \"warning\"").count(), 1);
            for other in ["encoder", "scoring"] {
                let (_, text) = configs(kind, other).swap_remove(0);
                assert!(!text.to_lowercase().contains("\"warning\""), "{other}");
            }
        }
    }

    #[test]
    fn streams_have_a_rate() {
        let of_streams = configs(Kind::ParaformerOnline, "streaming_paraformer");
        for (path, text) in &of_streams {
            assert_eq!(inputs(text), ["WAV", "SAMPLE_RATE?", "WAV_LENS?"], "{path}");
        }
        let map = "input_map { key: \"sample_rate\" value: \"SAMPLE_RATE\" }";
        assert!(of_streams[0].1.contains(map), "{}", of_streams[0].1);
        let (_, text) = configs(Kind::ParaformerOnline, "feature_extractor").swap_remove(0);
        assert_eq!(inputs(&text), ["wav", "sample_rate?", "wav_lens?"]);
    }
}
