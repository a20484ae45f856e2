use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;

/// What a block of docs/configuration.md begins and ends with.
const BEGINS: &str = "<!-- parameters: ";
const ENDS: &str = "<!-- end -->";

/// Every table, each once.
fn tables() -> Vec<&'static Table> {
    let mut seen = BTreeSet::new();
    let all = COMPONENTS.iter().flat_map(|entry| entry.tables);
    all.copied()
        .filter(|table| seen.insert(table.name))
        .collect()
}

/// The anchor of a heading.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().replace(' ', "-")
}

fn markdown(table: &Table) -> String {
    let mut text = "| parameter | value | default | |\n|---|---|---|---|\n".to_owned();
    for line in table.lines {
        let words = line.words();
        let cells = [words.kind.as_str(), &words.absent, words.meaning].join(" | ");
        text += &format!("| `{}` | {cells} |\n", line.name()).replace("|  |", "| |");
    }
    text
}

/// The tables that a component takes which are not its own, as links.
fn others(entry: &Entry) -> Option<String> {
    let others = entry.tables.iter().filter(|table| table.name != entry.name);
    let links = others.map(|table| format!("[{}](#{})", table.name, anchor(table.name)));
    let links: Vec<String> = links.collect();
    let (last, rest) = links.split_last()?;
    let and = if rest.is_empty() { "" } else { " and " };
    Some(format!(
        "It also takes the parameters under {}{and}{last}.\n",
        rest.join(", ")
    ))
}

/// What stands in the block of that name.
fn block(name: &str) -> Option<String> {
    let table = tables().into_iter().find(|table| table.name == name)?;
    let entry = COMPONENTS.iter().find(|entry| entry.name == name);
    let others = entry.and_then(others);
    let others = others.map_or(String::new(), |others| format!("\n{others}"));
    Some(markdown(table) + &others)
}

/// The document with its blocks written anew, and their names.
fn rewritten(document: &str) -> (String, Vec<&str>) {
    let mut parts = document.split(BEGINS);
    let mut text = parts.next().unwrap().to_owned();
    let mut names = Vec::new();
    for part in parts {
        let (name, rest) = part.split_once(" -->\n").unwrap();
        let (_, after) = rest.split_once(ENDS).unwrap();
        let block = block(name).unwrap_or_else(|| panic!("no component has parameters '{name}'"));
        text += &format!("{BEGINS}{name} -->\n{block}{ENDS}{after}");
        names.push(name);
    }
    (text, names)
}

#[test]
fn docs_have_the_tables_of_parameters() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let document = fs::read_to_string(&path).unwrap();
    let (wanted, mut names) = rewritten(&document);
    names.sort_unstable();
    let mut known: Vec<&str> = tables().iter().map(|table| table.name).collect();
    known.sort_unstable();
    assert_eq!(names, known, "each table has a block, '{BEGINS}NAME -->'");
    let headings: Vec<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| line.trim_start_matches('#').trim())
        .collect();
    let links = COMPONENTS.iter().flat_map(|entry| {
        let others = entry.tables.iter().filter(|table| table.name != entry.name);
        others.map(|table| table.name)
    });
    for link in links {
        assert!(headings.contains(&link), "a heading '{link}'");
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, wanted).unwrap();
        return;
    }
    let pairs = document.lines().zip(wanted.lines());
    let differ: Vec<_> = pairs.filter(|(is, wanted)| is != wanted).take(1).collect();
    assert!(
        document == wanted,
        "docs/configuration.md differs from the parameters in src/; `UPDATE_DOCS=1 cargo test -p triton-funasr docs` writes it anew. \
         The first difference: {differ:#?}"
    );
}

#[test]
fn a_component_has_no_parameter_twice() {
    for entry in COMPONENTS {
        let mut seen = BTreeSet::new();
        let twice: Vec<_> = entry.known().filter(|name| !seen.insert(*name)).collect();
        assert!(twice.is_empty(), "{}: {twice:?}", entry.name);
    }
}

/// The code of the source files below a directory, tests left out.
fn code(directory: &Path) -> String {
    let entries = fs::read_dir(directory).unwrap();
    let texts = entries.map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return code(&path);
        }
        if path.ends_with("tests.rs") {
            return String::new();
        }
        let text = fs::read_to_string(&path).unwrap();
        let (code, _) = text.split_once("#[cfg(test)]\nmod ").unwrap_or((&text, ""));
        code.to_owned()
    });
    texts.collect()
}

#[test]
fn every_parameter_is_in_a_table() {
    let code = code(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let known: BTreeSet<&str> = COMPONENTS.iter().flat_map(Entry::known).collect();
    let read: BTreeSet<&str> = code
        .split("Parameter::new(")
        .skip(1)
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
        .collect();
    assert_eq!(read, known);
}

#[test]
fn tables_of_one_name_are_one() {
    for table in COMPONENTS.iter().flat_map(|entry| entry.tables) {
        let first = tables().into_iter().find(|other| other.name == table.name);
        assert_eq!(first.map(markdown), Some(markdown(table)), "{}", table.name);
    }
}

#[test]
fn an_unknown_parameter_is_a_warning_with_the_nearest_name() {
    let entry = COMPONENTS
        .iter()
        .find(|entry| entry.name == "paraformer")
        .unwrap();
    let given = [
        "component",
        "FORCE_CPU_ONLY_INPUT_TENSORS",
        "EXECUTION_ENV_PATH",
        "ignore_id",
        "lm_path",
        "vocabulary",
        "thread",
        "max_row_per_call",
        "colour",
        "prompt_ids",
    ];
    let about = "component 'paraformer' does not know parameter";
    assert_eq!(
        entry.warnings(given.into_iter()),
        [
            format!("{about} 'thread'; did you mean 'threads'?"),
            format!("{about} 'max_row_per_call'; did you mean 'max_rows_per_call'?"),
            format!("{about} 'colour'"),
            format!("{about} 'prompt_ids'"),
        ]
    );
}
