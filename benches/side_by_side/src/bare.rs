//! What ONNX Runtime by itself is given: features that are there already.

use std::fs;
use std::path::Path;

use anyhow::Result;
use wav_frontend::{Cmvn, Frontend, FrontendOptions, Workspace};

/// Features as the served front end makes them, without its rounding up; returns their width.
pub(super) fn write_features(
    front_end: &Path,
    recordings: &[Vec<f32>],
    directory: &Path,
) -> Result<usize> {
    let options = FrontendOptions::from_yaml(&fs::read_to_string(front_end.join("config.yaml"))?)?;
    let frontend = Frontend::new(options, Some(Cmvn::read(front_end.join("am.mvn"))?))?;
    let mut workspace = Workspace::new();
    let mut all = Vec::with_capacity(recordings.len());
    for samples in recordings {
        let size = frontend.output_frames(samples.len()) * frontend.feature_dim();
        let mut features = vec![0.0; size];
        frontend.extract(samples, &mut features, &mut workspace)?;
        all.push(features);
    }
    write(&all, directory)?;
    Ok(frontend.feature_dim())
}

/// Arrays as files, `NUMBER.f32` each.
pub(super) fn write(arrays: &[Vec<f32>], directory: &Path) -> Result<()> {
    crate::files::remove(directory)?;
    fs::create_dir_all(directory)?;
    for (number, values) in arrays.iter().enumerate() {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        fs::write(directory.join(format!("{number}.f32")), bytes)?;
    }
    Ok(())
}
