//! Writes each line of the standard input with its numbers as they are written: `written GRAMMARS`, and how long that took.
use std::io::{self, BufRead};
use std::path::PathBuf;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory: PathBuf = std::env::args_os()
        .nth(1)
        .ok_or("expected a directory")?
        .into();
    let rewriter = itn::Rewriter::read(&directory)?;
    let lines = io::stdin().lock().lines().collect::<Result<Vec<_>, _>>()?;
    let started = Instant::now();
    for line in &lines {
        println!("{}", rewriter.written(line));
    }
    let letters: usize = lines.iter().map(|line| line.chars().count()).sum();
    eprintln!(
        "{letters} letters in {:.1} ms",
        started.elapsed().as_secs_f64() * 1e3
    );
    Ok(())
}
