//! The configurations that repositories are made from: those of the project's `model_repo_*`, inside this program.

use std::path::Path;

use include_dir::{Dir, include_dir};

use super::kind::Kind;

static SENSEVOICE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../model_repo_sense_voice_small");
static PARAFORMER: Dir<'_> =
    include_dir!("$CARGO_MANIFEST_DIR/../../model_repo_paraformer_large_offline");
static PARAFORMER_ONLINE: Dir<'_> =
    include_dir!("$CARGO_MANIFEST_DIR/../../model_repo_paraformer_large_online");

/// The configurations of a model of `kind`: their places in the model's directory, config.pbtxt first, and their texts.
pub(super) fn configs(
    kind: Kind,
    model: &str,
) -> impl Iterator<Item = (&'static Path, &'static str)> {
    let repository = match kind {
        Kind::Sensevoice => &SENSEVOICE,
        Kind::Paraformer => &PARAFORMER,
        Kind::ParaformerOnline => &PARAFORMER_ONLINE,
    };
    let model = repository.get_dir(model);
    let own = model.into_iter().flat_map(Dir::files);
    let more = model
        .and_then(|model| model.get_dir(model.path().join("configs")))
        .into_iter()
        .flat_map(Dir::files);
    let root = model.map(Dir::path).unwrap_or(Path::new(""));
    own.chain(more)
        .filter(|file| file.path().extension().is_some_and(|kind| kind == "pbtxt"))
        .filter_map(move |file| {
            let place = file.path().strip_prefix(root).ok()?;
            Some((place, file.contents_utf8()?))
        })
}
