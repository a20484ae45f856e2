//! Links between the Markdown files of the repository: each leads to a file or directory that is there, and to a heading that is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::markdown::{anchors, links, normal};
use crate::process;

/// Markdown that is a crate's documentation: rustdoc resolves its links to items.
const ITEMS: &str = "::";

/// What leads nowhere: `FILE:LINE: TARGET: REASON`.
pub(super) fn broken(project: &Path) -> Result<Vec<String>> {
    let mut known = Anchors::default();
    let mut found = Vec::new();
    for file in markdown_files(project)? {
        let text = read(&project.join(&file))?;
        for link in links(&text) {
            if link.target.contains(ITEMS) {
                continue;
            }
            if let Some(reason) = known.wrong(project, &file, link.path(), link.fragment())? {
                found.push(format!(
                    "{}:{}: {}: {reason}",
                    file.display(),
                    link.line,
                    link.target
                ));
            }
        }
    }
    Ok(found)
}

/// The repository's Markdown files, as git knows them: committed, or new and not ignored.
fn markdown_files(project: &Path) -> Result<Vec<PathBuf>> {
    let listed = process::output_of(
        Command::new("git")
            .current_dir(project)
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .args(["--", "*.md"]),
    )?;
    let mut files: Vec<_> = listed
        .lines()
        .map(PathBuf::from)
        // One that was deleted and not committed yet.
        .filter(|file| project.join(file).is_file())
        .collect();
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The anchors of files that were looked at.
#[derive(Default)]
struct Anchors(BTreeMap<PathBuf, BTreeSet<String>>);

impl Anchors {
    /// Why a link leads nowhere.
    fn wrong(
        &mut self,
        project: &Path,
        from: &Path,
        path: &str,
        fragment: Option<&str>,
    ) -> Result<Option<&'static str>> {
        let beside = from.parent().unwrap_or(Path::new(""));
        let target = if path.is_empty() {
            from.to_owned()
        } else {
            match normal(&beside.join(path)) {
                Some(target) => target,
                None => return Ok(Some("it leads out of the repository")),
            }
        };
        let mut target = target;
        if project.join(&target).is_dir() {
            if fragment.is_none() {
                return Ok(None);
            }
            target = target.join("README.md");
        }
        if !project.join(&target).is_file() {
            return Ok(Some("no such file"));
        }
        let Some(fragment) = fragment else {
            return Ok(None);
        };
        if !self.0.contains_key(&target) {
            let text = read(&project.join(&target))?;
            self.0.insert(target.clone(), anchors(&text));
        }
        let known = self
            .0
            .get(&target)
            .is_some_and(|all| all.contains(fragment));
        Ok((!known).then_some("no such heading"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_named_with_its_line() {
        let place = tempfile::tempdir().unwrap();
        let project = place.path();
        fs::create_dir_all(project.join("docs")).unwrap();
        fs::create_dir_all(project.join("part")).unwrap();
        fs::write(project.join("part/README.md"), "# Part\n").unwrap();
        fs::write(
            project.join("docs/a.md"),
            "# A\n[fine](b.md#b), [fine](../part#part), [item](a::B), [fine](#a)\n\
             [gone](c.md) [gone](b.md#c)\n[out](../../x) [part](../part#b)\n",
        )
        .unwrap();
        fs::write(project.join("docs/b.md"), "# B\n").unwrap();
        for arguments in [&["init", "-q"][..], &["add", "."]] {
            process::output_of(Command::new("git").current_dir(project).args(arguments)).unwrap();
        }
        assert_eq!(
            broken(project).unwrap(),
            [
                "docs/a.md:3: c.md: no such file",
                "docs/a.md:3: b.md#c: no such heading",
                "docs/a.md:4: ../../x: it leads out of the repository",
                "docs/a.md:4: ../part#b: no such heading",
            ]
        );
    }

    /// The documents of this project.
    #[test]
    fn every_link_of_the_documents_leads_somewhere() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        assert_eq!(broken(project).unwrap(), Vec::<String>::new());
    }
}
