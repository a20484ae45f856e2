//! What loading a model and decoding with it costs.

use std::error::Error;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::hint::black_box;
use std::time::{Duration, Instant};

const SEQUENCES: usize = 10_000;
const IDS: usize = 100;
const ROUNDS: usize = 20;

/// Loads the model that the first argument names, decodes random ids with it, and prints what that took. `hash` is that of all
/// texts: the same for all who decode alike.
pub fn measure<T>(
    load: impl Fn(&str) -> Result<T, Box<dyn Error>>,
    len: impl Fn(&T) -> usize,
    decode: impl Fn(&T, &[u32]) -> Result<String, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name a model")?;
    let before = resident_kb()?;
    let tokenizer = load(&path)?;
    let resident = resident_kb()?.saturating_sub(before);
    let loaded = fastest(|| load(&path).map(|tokenizer| drop(black_box(tokenizer))))?;
    let sequences = sequences(len(&tokenizer));
    let mut hasher = DefaultHasher::new();
    for ids in &sequences {
        decode(&tokenizer, ids)?.hash(&mut hasher);
    }
    let decoded = fastest(|| {
        sequences
            .iter()
            .try_for_each(|ids| decode(&tokenizer, ids).map(|text| drop(black_box(text))))
    })?;
    println!(
        "load {:.2} ms, {resident} kB; {IDS} ids {:.2} us; hash {:016x}",
        loaded.as_secs_f64() * 1e3,
        decoded.as_secs_f64() * 1e6 / SEQUENCES as f64,
        hasher.finish()
    );
    Ok(())
}

fn sequences(pieces: usize) -> Vec<Vec<u32>> {
    let mut state = 1u32;
    let mut id = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % pieces as u32
    };
    (0..SEQUENCES)
        .map(|_| (0..IDS).map(|_| id()).collect())
        .collect()
}

/// The fastest of some rounds, which a busy machine disturbed least.
fn fastest(
    mut run: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    let mut fastest = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        run()?;
        fastest = fastest.min(start.elapsed());
    }
    Ok(fastest)
}

fn resident_kb() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmRSS in /proc/self/status")?.parse()?)
}
