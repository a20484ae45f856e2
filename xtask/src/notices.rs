//! `cargo xtask notices`: whose code is in the two libraries and the tool, and under which licences.
//!
//! Which crates these are, cargo says (`cargo tree`, their normal dependencies on every system they are made for); what they
//! say of themselves is in their manifests; the texts are those in their packages.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use cargo_metadata::semver::Version;
use cargo_metadata::{MetadataCommand, Package};

use crate::console;
use crate::layout::{Layout, cargo};
use crate::process;

/// Write THIRD-PARTY-NOTICES.
#[derive(Debug, clap::Args)]
pub(crate) struct Notices {
    /// Only say whether the file is current
    #[arg(long)]
    check: bool,
}

/// The file, in the project's root.
const FILE: &str = "THIRD-PARTY-NOTICES";

/// What cannot be gathered from packages.
const HEAD: &str = include_str!("../notices-head.txt");

/// The packages whose libraries and program are passed on, and the names of these.
const PASSED_ON: [(&str, &str); 3] = [
    ("triton-funasr", "libtriton_funasr.so"),
    ("onnxruntime-backend", "libtriton_onnxruntime.so"),
    ("triton-funasr-cli", "triton-funasr"),
];

/// The text of the licence MIT, for packages that have none: it is the same for all, but for who wrote them.
const MIT: &str = include_str!("../mit.txt");
/// That of Apache-2.0, which is the same for all: this project's own.
const APACHE: &str = include_str!("../../LICENSE");

/// The systems tritonserver is published for.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// How the names of files with licence texts begin.
const BEGINNINGS: [&str; 6] = [
    "LICENSE",
    "LICENCE",
    "UNLICENSE",
    "COPYING",
    "COPYRIGHT",
    "NOTICE",
];

/// Name and version of a crate.
type Id = (String, Version);

/// Writes the file, or says whether it is what would be written.
pub(crate) fn notices(layout: &Layout, options: &Notices) -> Result<()> {
    if options.check {
        check(layout)?;
        console::step("Checked", format!("{FILE} is current"));
        return Ok(());
    }
    let path = layout.project.join(FILE);
    fs::write(&path, text(layout)?).with_context(|| format!("cannot write {}", path.display()))?;
    console::step("Wrote", path.display());
    Ok(())
}

/// Fails if the file is not what would be written now.
pub(crate) fn check(layout: &Layout) -> Result<()> {
    let found = fs::read_to_string(layout.project.join(FILE)).unwrap_or_default();
    let wanted = text(layout)?;
    if found == wanted {
        return Ok(());
    }
    let number = found
        .lines()
        .zip(wanted.lines())
        .take_while(|(found, wanted)| found == wanted)
        .count();
    let line = |text: &str| match text.lines().nth(number) {
        Some(line) => format!("`{}`", line.trim()),
        None => "the end of the file".to_owned(),
    };
    bail!(
        "{FILE} is not current: line {} has {}, and should have {}. Write it anew: cargo xtask notices",
        number + 1,
        line(&found),
        line(&wanted)
    )
}

fn text(layout: &Layout) -> Result<String> {
    let mut crates = crates(layout)?;
    borrow_texts(&mut crates)?;
    Ok(written(&crates))
}

/// The crates of others that are passed on.
pub(crate) fn crates(layout: &Layout) -> Result<Vec<Crate>> {
    let packages = packages(layout)?;
    let mut crates = Vec::new();
    for (id, programs) in linked(layout)? {
        let package = packages
            .get(&id)
            .with_context(|| format!("cargo metadata does not know {} {}", id.0, id.1))?;
        // A package without a source is one of the workspace's own.
        if package.source.is_some() {
            crates.push(Crate::read(package, programs)?);
        }
    }
    Ok(crates)
}

/// The crates of each library and program, and which of these they are in.
fn linked(layout: &Layout) -> Result<BTreeMap<Id, BTreeSet<&'static str>>> {
    let mut linked: BTreeMap<Id, BTreeSet<&'static str>> = BTreeMap::new();
    for (package, program) in PASSED_ON {
        for target in TARGETS {
            let tree = process::output_of(
                cargo()
                    .current_dir(&layout.project)
                    .args(["tree", "--locked", "--package", package])
                    .args(["--edges", "normal", "--target", target])
                    .args(["--prefix", "none", "--format", "{p}"]),
            )?;
            for line in tree.lines() {
                linked.entry(id_in(line)?).or_default().insert(program);
            }
        }
    }
    Ok(linked)
}

/// Reads `NAME vVERSION`, behind which more may come.
fn id_in(line: &str) -> Result<Id> {
    let mut words = line.split_whitespace();
    let name = words.next().context("cargo tree printed an empty line")?;
    let version = words
        .next()
        .and_then(|word| word.strip_prefix('v'))
        .with_context(|| format!("no version in `{line}`"))?;
    Ok((name.to_owned(), Version::parse(version)?))
}

fn packages(layout: &Layout) -> Result<BTreeMap<Id, Package>> {
    let filters = TARGETS
        .iter()
        .flat_map(|target| ["--filter-platform", target]);
    let metadata = MetadataCommand::new()
        .manifest_path(layout.project.join("Cargo.toml"))
        .other_options(
            ["--locked"]
                .into_iter()
                .chain(filters)
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
        .exec()?;
    Ok(metadata
        .packages
        .into_iter()
        .map(|package| ((package.name.to_string(), package.version.clone()), package))
        .collect())
}

/// What is said of a crate.
#[derive(Debug, Clone)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) version: Version,
    /// Its licence.
    pub(crate) expression: String,
    pub(crate) repository: Option<String>,
    /// What it is part of.
    pub(crate) programs: BTreeSet<&'static str>,
    texts: Vec<Text>,
    authors: String,
    /// Whose texts these are, if the package has none.
    borrowed_from: Option<String>,
}

/// A file of a package.
#[derive(Debug, Clone)]
struct Text {
    file: String,
    text: String,
}

impl Crate {
    fn read(package: &Package, programs: BTreeSet<&'static str>) -> Result<Self> {
        let root = package
            .manifest_path
            .parent()
            .context("a manifest has no directory")?;
        let expression = package
            .license
            .as_deref()
            .with_context(|| format!("{} names no licence", package.name))?;
        Ok(Self {
            name: package.name.to_string(),
            version: package.version.clone(),
            // As it was written before SPDX expressions.
            expression: expression.replace('/', " OR "),
            repository: package.repository.clone(),
            programs,
            texts: texts_in(root.as_std_path())?,
            authors: package.authors.join(", "),
            borrowed_from: None,
        })
    }

    fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

fn texts_in(directory: &Path) -> Result<Vec<Text>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        let upper = file.to_uppercase();
        if !entry.path().is_file() || !BEGINNINGS.iter().any(|start| upper.starts_with(start)) {
            continue;
        }
        let text = fs::read_to_string(entry.path())
            .with_context(|| format!("cannot read {}", entry.path().display()))?;
        texts.push(Text {
            file,
            text: tidied(&text),
        });
    }
    texts.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(texts)
}

/// The same text without what no reader sees.
fn tidied(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// What is equal in texts that differ only in how they are wrapped.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A crate without a text has that of another from the same repository under the same licence, or if that is MIT or Apache-2.0, everybody's.
fn borrow_texts(crates: &mut [Crate]) -> Result<()> {
    let lenders: Vec<_> = crates
        .iter()
        .filter(|lender| !lender.texts.is_empty())
        .cloned()
        .collect();
    for borrower in crates.iter_mut().filter(|each| each.texts.is_empty()) {
        let lender = lenders.iter().find(|lender| {
            lender.repository.is_some()
                && lender.repository == borrower.repository
                && lender.expression == borrower.expression
        });
        if let Some(lender) = lender {
            borrower.texts.clone_from(&lender.texts);
            borrower.borrowed_from = Some(lender.title());
        } else if borrower.expression == "MIT" && !borrower.authors.is_empty() {
            borrower.texts.push(Text {
                file: "MIT, of its authors".to_owned(),
                text: tidied(&MIT.replacen("AUTHORS", &borrower.authors, 1)),
            });
        } else if borrower.expression == "Apache-2.0" {
            borrower.texts.push(Text {
                file: "Apache-2.0".to_owned(),
                text: tidied(APACHE),
            });
        } else {
            bail!(
                "{} has no licence text, and no crate of its repository has",
                borrower.title()
            );
        }
    }
    Ok(())
}

fn written(crates: &[Crate]) -> String {
    let groups = Groups::of(crates);
    let mut out = format!("{HEAD}\n\n2. CRATES\n=========\n\n");
    out.push_str(
        "The dependencies of libraries and tool, procedural macros included, since what they expand to is part of these.\n",
    );
    for each in crates {
        let programs: Vec<_> = each.programs.iter().copied().collect();
        let texts: Vec<_> = each
            .texts
            .iter()
            .map(|text| format!("[{}] {}", groups.number(&text.text), text.file))
            .collect();
        let lender = each.borrowed_from.as_ref();
        let origin = lender.map_or_else(String::new, |lender| format!(", of {lender}"));
        let mut line = |what: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "  {what:<11} {value}");
        };
        line("", "");
        line("crate", &each.title());
        line("licence", &each.expression);
        line(
            "repository",
            each.repository.as_deref().unwrap_or("none named"),
        );
        line("in", &programs.join(", "));
        line("texts", &format!("{}{origin}", texts.join(", ")));
    }
    out.push_str("\n\n3. TEXTS\n========\n");
    for (index, (text, owners)) in groups.texts.iter().enumerate() {
        let number = index + 1;
        let _ = write!(out, "\n\n[{number}] of {}\n\n{text}\n", owners.join(", "));
    }
    let lines: Vec<_> = out.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

/// The different texts, in the order of the crates, each with those who have it.
struct Groups {
    texts: Vec<(String, Vec<String>)>,
    numbers: BTreeMap<String, usize>,
}

impl Groups {
    fn of(crates: &[Crate]) -> Self {
        let mut groups = Self {
            texts: Vec::new(),
            numbers: BTreeMap::new(),
        };
        for each in crates {
            for text in &each.texts {
                let next = groups.texts.len() + 1;
                let number = *groups.numbers.entry(words(&text.text)).or_insert(next);
                if number == next {
                    groups.texts.push((text.text.clone(), Vec::new()));
                }
                let owners = &mut groups.texts[number - 1].1;
                if owners.last() != Some(&each.title()) {
                    owners.push(each.title());
                }
            }
        }
        groups
    }

    fn number(&self, text: &str) -> usize {
        self.numbers.get(&words(text)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, repository: &str, texts: &[(&str, &str)]) -> Crate {
        Crate {
            name: name.to_owned(),
            version: Version::new(1, 2, 3),
            expression: "MIT".to_owned(),
            repository: Some(repository.to_owned()),
            programs: BTreeSet::from(["libtriton_funasr.so"]),
            texts: texts
                .iter()
                .map(|(file, text)| Text {
                    file: (*file).to_owned(),
                    text: (*text).to_owned(),
                })
                .collect(),
            authors: String::new(),
            borrowed_from: None,
        }
    }

    #[test]
    fn lines_of_cargo_tree_are_read() {
        for line in [
            "paste v1.0.15 (proc-macro)",
            "paste v1.0.15 (*)",
            "paste v1.0.15",
        ] {
            assert_eq!(
                id_in(line).unwrap(),
                ("paste".to_owned(), Version::new(1, 0, 15))
            );
        }
        assert!(id_in("paste").is_err());
        assert!(id_in("").is_err());
    }

    #[test]
    fn equal_texts_stand_once_however_they_are_wrapped() {
        let crates = [
            sample("a", "https://a", &[("LICENSE", "Do as\nyou like.")]),
            sample(
                "b",
                "https://b",
                &[("COPYING", "Do as you\n  like."), ("NOTICE", "Thanks.")],
            ),
        ];
        let text = written(&crates);
        assert!(text.starts_with(HEAD.trim_end()));
        assert_eq!(text.matches("you like.").count(), 1);
        assert!(
            text.contains("\n[1] of a 1.2.3, b 1.2.3\n\nDo as\nyou like.\n"),
            "{text}"
        );
        assert!(text.contains("\n[2] of b 1.2.3\n\nThanks.\n"), "{text}");
        assert!(
            text.contains("  texts       [1] COPYING, [2] NOTICE\n"),
            "{text}"
        );
        assert!(!text.contains(" \n"));
    }

    #[test]
    fn a_crate_without_a_text_has_its_siblings_or_is_refused() {
        let mut crates = [
            sample("a", "https://a", &[("LICENSE", "Do as you like.")]),
            sample("a-flag", "https://a", &[]),
        ];
        borrow_texts(&mut crates).unwrap();
        assert!(written(&crates).contains("[1] LICENSE, of a 1.2.3\n"));

        let mut alone = [
            sample("a", "https://a", &[("LICENSE", "Do as you like.")]),
            sample("b", "https://b", &[]),
        ];
        let error = borrow_texts(&mut alone).unwrap_err().to_string();
        assert!(error.contains("b 1.2.3 has no licence text"), "{error}");
        alone[1].authors = "A. Writer".to_owned();
        borrow_texts(&mut alone).unwrap();
        let text = written(&alone);
        assert!(text.contains("\nCopyright (c) A. Writer\n"), "{text}");
        assert!(!text.contains("AUTHORS\n"), "{text}");
        alone[1].texts.clear();
        alone[1].expression = "Apache-2.0".to_owned();
        borrow_texts(&mut alone).unwrap();
        let text = written(&alone);
        assert!(
            text.contains("\n                                 Apache License\n"),
            "{text}"
        );
    }

    #[test]
    fn texts_are_found_in_a_package() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(
            directory.path().join("LICENSE-MIT"),
            "\r\nFree.  \r\nReally.\r\n\r\n",
        )
        .unwrap();
        fs::write(directory.path().join("copying"), "See LICENSE-MIT").unwrap();
        fs::write(directory.path().join("README.md"), "LICENSE").unwrap();
        fs::create_dir(directory.path().join("licenses")).unwrap();
        let texts = texts_in(directory.path()).unwrap();
        let files: Vec<_> = texts.iter().map(|text| text.file.as_str()).collect();
        assert_eq!(files, ["LICENSE-MIT", "copying"]);
        assert_eq!(texts[0].text, "Free.\nReally.");
    }
}
