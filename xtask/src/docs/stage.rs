//! The repository's Markdown as mdBook takes it: the pages that docs/SUMMARY.md lists, where they are in the repository, and beside them
//! the files that they show or link to.
//!
//! A `README.md` becomes `index.md`, and a link to a directory one to that, since a site has no view of directories.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::markdown::{links, normal};
use crate::files;

const SUMMARY: &str = "docs/SUMMARY.md";

/// Writes the book's sources, `book.toml` among them, anew.
pub(super) fn stage(project: &Path, book: &Path) -> Result<()> {
    files::remove(book)?;
    let source = book.join("src");
    let summary = read(&project.join(SUMMARY))?;
    let pages = pages(&summary)?;
    // The summary lies at the top of the sources, and links from there.
    write(
        &source.join("SUMMARY.md"),
        rewritten(&summary, Path::new("docs"), |target| Ok(page_name(target)))?,
    )?;
    for page in &pages {
        let text = read(&project.join(page))?;
        let beside = page.parent().unwrap_or(Path::new("")).to_owned();
        let text = rewritten(&text, &beside, |target| {
            let target = whole(project, target);
            if target.extension().is_some_and(|kind| kind == "md") {
                if !pages.contains(&target) {
                    bail!(
                        "{} links to {}, which {SUMMARY} does not list",
                        page.display(),
                        target.display()
                    );
                }
            } else {
                copy(&project.join(&target), &source.join(&target))?;
            }
            Ok(relative(&beside, &page_name(&target)))
        })?;
        write(&source.join(page_name(page)), text)?;
    }
    copy(&project.join("docs/book.toml"), &book.join("book.toml"))
}

/// The pages of the book.
fn pages(summary: &str) -> Result<BTreeSet<PathBuf>> {
    links(summary)
        .iter()
        .map(|link| {
            normal(&Path::new("docs").join(link.path()))
                .with_context(|| format!("{SUMMARY} lists {}", link.target))
        })
        .collect()
}

/// A link's target: of a directory, its README.
fn whole(project: &Path, target: &Path) -> PathBuf {
    if project.join(target).is_dir() {
        target.join("README.md")
    } else {
        target.to_owned()
    }
}

/// What a page is called in the book.
fn page_name(page: &Path) -> PathBuf {
    if page.ends_with("README.md") {
        page.with_file_name("index.md")
    } else {
        page.to_owned()
    }
}

/// A text with its links to files changed; `change` is given a target's path within the project.
fn rewritten(
    text: &str,
    beside: &Path,
    change: impl Fn(&Path) -> Result<PathBuf>,
) -> Result<String> {
    let mut changed = text.to_owned();
    // From behind, so that places stay what they are.
    for link in links(text).iter().rev() {
        let (Some(place), false) = (&link.place, link.path().is_empty()) else {
            continue;
        };
        // Links to items are rustdoc's: here they are words.
        if link.target.contains("::") {
            let words = text[link.whole.start + 1..place.start - 2].to_owned();
            changed.replace_range(link.whole.clone(), &words);
            continue;
        }
        let target = normal(&beside.join(link.path()))
            .with_context(|| format!("{} leads out of the repository", link.target))?;
        let fragment = link.fragment().map(|name| format!("#{name}"));
        let target = change(&target)?;
        changed.replace_range(
            place.clone(),
            &format!("{}{}", target.display(), fragment.unwrap_or_default()),
        );
    }
    Ok(changed)
}

/// The way from a directory to a file, both within the same tree.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let common = from
        .components()
        .zip(to.components())
        .take_while(|(one, other)| one == other)
        .count();
    let up = from.components().skip(common).map(|_| Path::new(".."));
    up.chain(
        to.components()
            .skip(common)
            .map(|part| Path::new(part.as_os_str())),
    )
    .collect()
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, text: String) -> Result<()> {
    make_parent(path)?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    make_parent(to)?;
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn make_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) => {
            fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))
        }
        None => Ok(()),
    }
}

/// A directory with all that is in it.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            copy(&entry.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_pages_and_files_lie_beside_them() {
        let place = tempfile::tempdir().unwrap();
        let (project, book) = (place.path().join("project"), place.path().join("book"));
        for (name, text) in [
            (
                "docs/SUMMARY.md",
                "- [Top](../README.md)\n- [A](a.md)\n- [Part](../part/README.md)\n",
            ),
            ("docs/book.toml", "[book]\n"),
            (
                "docs/a.md",
                "[part](../part#x), [top](../README.md), ![drawn](pictures/a.svg), [me](#a)\n",
            ),
            ("docs/pictures/a.svg", "<svg/>"),
            ("part/README.md", "[a](../docs/a.md), [item](crate::Item)\n"),
            ("README.md", "[part](part), [licence](LICENSE)\n"),
            ("LICENSE", "free\n"),
        ] {
            write(&project.join(name), text.to_owned()).unwrap();
        }
        stage(&project, &book).unwrap();
        let staged = |name: &str| read(&book.join("src").join(name)).unwrap();
        assert_eq!(
            staged("SUMMARY.md"),
            "- [Top](index.md)\n- [A](docs/a.md)\n- [Part](part/index.md)\n"
        );
        assert_eq!(
            staged("docs/a.md"),
            "[part](../part/index.md#x), [top](../index.md), ![drawn](pictures/a.svg), [me](#a)\n"
        );
        assert_eq!(staged("part/index.md"), "[a](../docs/a.md), item\n");
        assert_eq!(
            staged("index.md"),
            "[part](part/index.md), [licence](LICENSE)\n"
        );
        assert_eq!(
            (staged("LICENSE"), staged("docs/pictures/a.svg")),
            ("free\n".into(), "<svg/>".into())
        );

        write(&project.join("part/README.md"), "[b](b.md)".to_owned()).unwrap();
        write(&project.join("part/b.md"), String::new()).unwrap();
        let error = stage(&project, &book).unwrap_err().to_string();
        assert_eq!(
            error,
            "part/README.md links to part/b.md, which docs/SUMMARY.md does not list"
        );
    }
}
