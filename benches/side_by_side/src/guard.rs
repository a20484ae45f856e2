//! `--check`: the ratios of this run against the committed ones. Ratios, since absolute times are the machine's.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::report::short;
use crate::console::{BAD, GOOD};

/// A ratio may fall to this share of the committed one: a quick run on a busy machine is that far off, a lost optimisation
/// is farther.
const MARGIN: f64 = 0.55;

/// Reads the committed ratios.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, f64>> {
    let context = || format!("cannot read {}", path.display());
    let text = fs::read_to_string(path).with_context(context)?;
    serde_json::from_str(&text).with_context(context)
}

/// Writes ratios to be committed.
pub(super) fn write(path: &Path, ratios: &BTreeMap<String, f64>) -> Result<()> {
    let rounded: BTreeMap<_, _> = ratios
        .iter()
        .filter(|(_, ratio)| ratio.is_finite())
        .map(|(name, ratio)| (name, (ratio * 100.0).round() / 100.0))
        .collect();
    fs::write(path, serde_json::to_string_pretty(&rounded)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Fails when a ratio fell past the margin, or when there is nothing to compare.
pub(super) fn check(committed: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>) -> Result<()> {
    let mut fallen = Vec::new();
    let mut compared = 0;
    anstream::println!();
    for (name, &ratio) in now {
        let Some(&before) = committed.get(name) else {
            continue;
        };
        compared += 1;
        let held = ratio >= before * MARGIN;
        let (style, verdict) = if held { (GOOD, "held") } else { (BAD, "fell") };
        anstream::println!(
            "{style}{verdict:>8}{style:#}  {name}: {} (committed {})",
            short(ratio),
            short(before)
        );
        if !held {
            fallen.push(format!("{name} from {} to {}", short(before), short(ratio)));
        }
    }
    if compared == 0 {
        bail!("no ratio of this run is among the committed ones");
    }
    if !fallen.is_empty() {
        bail!("slower than committed: {}", fallen.join("; "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratios(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
        pairs
            .iter()
            .map(|&(name, ratio)| (name.to_owned(), ratio))
            .collect()
    }

    #[test]
    fn a_fallen_ratio_is_named_and_others_are_left_alone() {
        let committed = ratios(&[("a", 10.0), ("b", 2.0), ("c", 1.0)]);
        check(&committed, &ratios(&[("a", 6.0), ("b", 5.0)])).unwrap();
        let error = check(&committed, &ratios(&[("a", 5.0), ("b", 2.0)])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "slower than committed: a from 10.0 to 5.00"
        );
        assert!(check(&committed, &ratios(&[("new", 1.0)])).is_err());
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ratios.json");
        write(&path, &ratios(&[("a", 1.23456), ("b", f64::INFINITY)])).unwrap();
        assert_eq!(read(&path).unwrap(), ratios(&[("a", 1.23)]));
    }
}
