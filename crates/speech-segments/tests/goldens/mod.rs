//! What `tests/data/make_goldens.py` computes from seeds, computed again.
#![allow(dead_code, clippy::unwrap_used, reason = "each test uses a part")]

use std::path::Path;

use serde_json::Value;

/// The cases of a file.
pub(crate) fn cases(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The whole number called `key`.
pub(crate) fn number(case: &Value, key: &str) -> u64 {
    case[key].as_u64().unwrap()
}

/// Sixty-four bits that nothing but the three numbers decide (splitmix64).
pub(crate) fn mixed(seed: u64, lane: u64, index: u64) -> u64 {
    let value = seed
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(lane.wrapping_mul(0xD1B5_4A32_D192_ED03))
        .wrapping_add(index.wrapping_mul(0x2545_F491_4F6C_DD1D));
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// In [0, 1), a multiple of 2^-24.
pub(crate) fn unit(seed: u64, lane: u64, index: u64) -> f64 {
    (mixed(seed, lane, index) >> 40) as f64 / f64::from(1 << 24)
}

/// Speech and silence in turn, a value a frame.
pub(crate) fn runs(seed: u64, frames: usize, longest: f64) -> Vec<bool> {
    let mut runs = Vec::new();
    for run in 0.. {
        if runs.len() == frames {
            break;
        }
        let length = 1 + (unit(seed, 1, run) * unit(seed, 2, run) * longest) as usize;
        runs.resize(frames.min(runs.len() + length), run % 2 == 1);
    }
    runs
}

/// `[frames, 3]`
pub(crate) fn scores(seed: u64, frames: usize, longest: f64) -> Vec<f32> {
    let row = |(frame, speech): (u64, bool)| {
        let mut doubt = 0.001 + 0.4 * unit(seed, 3, frame);
        if unit(seed, 4, frame) < 0.03 {
            doubt = 1.0 - doubt;
        }
        let silence = if speech { doubt } else { 1.0 - doubt };
        let share = unit(seed, 5, frame);
        [silence * share, silence * (1.0 - share), 1.0 - silence].map(|score| score as f32)
    };
    (0..)
        .zip(runs(seed, frames, longest))
        .flat_map(row)
        .collect()
}

/// The samples of as many frames.
pub(crate) fn waveform(seed: u64, frames: usize, longest: f64) -> Vec<f32> {
    let loud = runs(seed, frames, longest);
    let sample = |index: usize| {
        let frame = (index / 160).min(frames - 1);
        let level = match (frame / 100 % 5, loud[frame]) {
            (4, _) => 0.0,
            (_, true) => 0.25,
            (_, false) => 0.001 + 0.01 * unit(seed, 6, frame as u64),
        };
        ((2.0 * unit(seed, 7, index as u64) - 1.0) * level) as f32
    };
    (0..(frames - 1) * 160 + 400).map(sample).collect()
}

/// Numbers of frames that add up to all.
pub(crate) fn chunks(seed: u64, mut frames: usize, most: f64) -> Vec<usize> {
    let mut chunks = Vec::new();
    for index in 0.. {
        if frames == 0 {
            break;
        }
        let size = frames.min(1 + (unit(seed, 8, index) * most) as usize);
        chunks.push(size);
        frames -= size;
    }
    chunks
}

/// The marks that the model answers.
pub(crate) fn best(seed: u64, style: u64, ids: &[i32], masked: usize) -> Vec<usize> {
    let mark = |(index, &word): (usize, &i32)| {
        let following = ids.get(index + 1).copied().unwrap_or(999);
        let lane = word as u64 + 1000 * following as u64;
        let turn = (ids.len() / 30 + 7 * (masked % 5)) as u64;
        let roll = mixed(seed, lane, turn) % 100;
        let table: &[(u64, usize)] = match style {
            0 => &[(4, 3), (8, 4), (20, 2), (24, 5)],
            1 => &[(25, 2), (30, 5)],
            2 => &[(1, 2)],
            _ => &[],
        };
        table
            .iter()
            .find(|(limit, _)| roll < *limit)
            .map_or(1, |&(_, mark)| mark)
    };
    ids.iter().enumerate().map(mark).collect()
}
