//! Within a crate, imports go one way: no file needs, by whatever detour, what needs it.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module's path within its crate; the crate's root is empty.
type Module = Vec<String>;

/// The source files of a crate, by the module that each is.
fn modules(directory: &Path, module: &Module, found: &mut BTreeMap<Module, PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let below = |name: String| [module.as_slice(), &[name]].concat();
        if path.is_dir() {
            modules(&path, &below(name), found);
        } else if path.extension().is_some_and(|kind| kind == "rs") && !name.ends_with("tests") {
            let module = match name.as_str() {
                "lib" | "mod" => module.clone(),
                "main" => continue,
                _ => below(name),
            };
            found.insert(module, path);
        }
    }
}

/// The paths into the crate that the code of a file names, tests left out.
fn named(module: &Module, text: &str) -> Vec<Module> {
    let lines: Vec<&str> = text.lines().collect();
    // Tests, which come last, know everything.
    let is_test = |line: &str| line.starts_with("#[cfg(") && line.contains("test");
    let tests =
        |pair: &[&str]| is_test(pair[0]) && pair[1].contains("mod ") && pair[1].ends_with('{');
    let end = lines.windows(2).position(tests).unwrap_or(lines.len());
    let code: String = lines[..end]
        .iter()
        // An inline module takes what stands around it.
        .filter(|line| line.trim_start().len() == line.len() || line.trim() != "use super::*;")
        .map(|line| line.split("//").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n");
    let mut paths = Vec::new();
    let children: Vec<String> = code
        .lines()
        .filter_map(|line| Some(line.split_once("mod ")?.1.strip_suffix(';')?.to_owned() + "::"))
        .collect();
    let mut starts = vec![
        ("crate::", Some(Vec::new())),
        ("super::", None),
        ("self::", Some(module.clone())),
    ];
    starts.extend(
        children
            .iter()
            .map(|child| (child.as_str(), Some(module.clone()))),
    );
    for (start, root) in starts {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if before
                .is_some_and(|before| before.is_alphanumeric() || before == '_' || before == ':')
            {
                continue;
            }
            let mut rest = &code[at..];
            let mut base = root.clone().unwrap_or_else(|| module.clone());
            while let Some(after) = rest.strip_prefix("super::") {
                base.pop();
                rest = after;
            }
            rest = rest.strip_prefix("crate::").unwrap_or(rest);
            rest = rest.strip_prefix("self::").unwrap_or(rest);
            expand(&base, rest, &mut paths);
        }
    }
    paths
}

/// `a::{b, c::D}` names `a::b` and `a::c::D`.
fn expand(base: &Module, text: &str, paths: &mut Vec<Module>) {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        let mut depth = 0;
        let mut start = 0;
        for (at, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                '}' | ',' if depth == 0 => {
                    expand(base, &group[start..at], paths);
                    start = at + 1;
                    if character == '}' {
                        return;
                    }
                }
                _ => {}
            }
        }
        return;
    }
    let word: String = text
        .chars()
        .take_while(|next| next.is_alphanumeric() || *next == '_')
        .collect();
    if word.is_empty() {
        return paths.push(base.clone());
    }
    let path = match word.as_str() {
        "self" => base.clone(),
        _ => [base.as_slice(), std::slice::from_ref(&word)].concat(),
    };
    match text[word.len()..].strip_prefix("::") {
        Some(rest) => expand(&path, rest, paths),
        None => paths.push(path),
    }
}

/// The homes of the names that the crate's root re-exports.
fn homes(files: &BTreeMap<Module, PathBuf>) -> BTreeMap<String, Module> {
    let Some(root) = files.get(&Vec::new()) else {
        return BTreeMap::new();
    };
    let text = fs::read_to_string(root).unwrap();
    let mut paths = Vec::new();
    for statement in text.split("use ").skip(1) {
        expand(
            &Vec::new(),
            statement.split(';').next().unwrap(),
            &mut paths,
        );
    }
    let home = |path: Module| Some((path.last()?.clone(), path));
    paths.into_iter().filter_map(home).collect()
}

/// What each file of a crate imports from which others.
fn imports(source: &Path) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut files = BTreeMap::new();
    modules(source, &Vec::new(), &mut files);
    let homes = homes(&files);
    let owner = |path: &Module| {
        let path = match path.as_slice() {
            [name] if !files.contains_key(path) => homes.get(name).unwrap_or(path),
            _ => path,
        };
        (0..=path.len())
            .rev()
            .map(|length| path[..length].to_vec())
            .find(|module| files.contains_key(module))
    };
    files
        .iter()
        .map(|(module, file)| {
            let text = fs::read_to_string(file).unwrap();
            let others = named(module, &text)
                .iter()
                .filter_map(owner)
                .filter(|other| other != module && !other.is_empty())
                .collect();
            (module.clone(), others)
        })
        .collect()
}

/// The files that can be reached from `start`.
fn reach(imports: &BTreeMap<Module, BTreeSet<Module>>, start: &Module) -> BTreeSet<Module> {
    let mut found = BTreeSet::new();
    let mut left = vec![start.clone()];
    while let Some(module) = left.pop() {
        for other in imports.get(&module).into_iter().flatten() {
            if found.insert(other.clone()) {
                left.push(other.clone());
            }
        }
    }
    found
}

fn circles(source: &Path) -> BTreeSet<BTreeSet<String>> {
    let imports = imports(source);
    let reached: BTreeMap<_, _> = imports
        .keys()
        .map(|module| (module, reach(&imports, module)))
        .collect();
    let mut circles = BTreeSet::new();
    for (module, others) in &reached {
        if others.contains(*module) {
            let circle = others
                .iter()
                .filter(|other| reached[other].contains(*module));
            circles.insert(circle.map(|other| other.join("::")).collect());
        }
    }
    circles
}

#[test]
fn no_crate_has_a_circle_of_imports() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut crates = vec![
        project.clone(),
        project.join("xtask"),
        project.join("benches/side_by_side"),
    ];
    crates.extend(
        fs::read_dir(project.join("crates"))
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    let mut found = Vec::new();
    for each in crates {
        for circle in circles(&each.join("src")) {
            found.push(format!(
                "{}: {circle:?}",
                each.strip_prefix(&project).unwrap().display()
            ));
        }
    }
    assert!(
        found.is_empty(),
        "{} circles:\n{}",
        found.len(),
        found.join("\n")
    );
}
