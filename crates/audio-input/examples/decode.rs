//! Decodes a file, says what it is and how long that took, and writes its samples, to hold against those of other programs:
//! `cargo run --release -p audio-input --example decode -- FILE 16000 > samples.f32`

use std::error::Error;
use std::io::{Write, stdout};
use std::time::Instant;

use audio_input::{Options, decode};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(rate)) = (arguments.next(), arguments.next()) else {
        return Err("expected a file and a sample rate".into());
    };
    let bytes = std::fs::read(file)?;
    let started = Instant::now();
    let decoded = decode(&bytes, &Options::new(rate.parse()?))?;
    eprintln!(
        "{}, {} Hz, {} channels, {} samples, incomplete: {}, {:.2} ms",
        decoded.format,
        decoded.sample_rate,
        decoded.channels,
        decoded.samples.len(),
        decoded.incomplete,
        started.elapsed().as_secs_f64() * 1000.0
    );
    let samples: Vec<u8> = decoded
        .samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    stdout().write_all(&samples)?;
    Ok(())
}
