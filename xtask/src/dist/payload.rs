//! What an operator gets, whatever it comes in.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::compile::Built;
use super::sbom;
use crate::layout::Layout;

/// A file as it is passed on.
pub(super) struct Item {
    /// Its path in an archive, with `/`.
    pub(super) path: String,
    pub(super) bytes: Vec<u8>,
    pub(super) executable: bool,
}

/// All that is passed on for one architecture.
pub(super) struct Payload {
    pub(super) version: String,
    pub(super) tool: Item,
    pub(super) libraries: Vec<Item>,
    /// Licences, and what others wrote.
    pub(super) legal: Vec<Item>,
    pub(super) sbom: Item,
    /// README first.
    pub(super) documents: Vec<Item>,
    pub(super) repositories: Vec<Item>,
}

impl Payload {
    pub(super) fn gather(layout: &Layout, built: &Built) -> Result<Self> {
        let project = &layout.project;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let libraries = built.libraries.iter().map(|library| {
            let name = library.file_name().unwrap_or_default().to_string_lossy();
            Item::read(library, format!("lib/triton-funasr/{name}"), true)
        });
        let own = |names: &[&str]| {
            let items = names.iter();
            let items =
                items.map(|name| Item::read(&project.join(name), (*name).to_owned(), false));
            items.collect::<Result<Vec<_>>>()
        };
        let mut documents = own(&["README.md", "README.zh-CN.md", "CHANGELOG.md"])?;
        below(project, "docs", &mut documents)?;
        let mut repositories = Vec::new();
        for name in names_in(project)? {
            if name.starts_with("model_repo_") {
                below(project, &name, &mut repositories)?;
            }
        }
        Ok(Self {
            tool: Item::read(&built.tool, "bin/triton-funasr".to_owned(), true)?,
            libraries: libraries.collect::<Result<_>>()?,
            legal: own(&["LICENSE", "THIRD-PARTY-NOTICES"])?,
            sbom: Item {
                path: "triton-funasr.cdx.json".to_owned(),
                bytes: sbom::write(layout, &version)?,
                executable: false,
            },
            documents,
            repositories,
            version,
        })
    }
}

impl Item {
    fn read(file: &Path, path: String, executable: bool) -> Result<Self> {
        Ok(Self {
            path,
            bytes: fs::read(file).with_context(|| format!("cannot read {}", file.display()))?,
            executable,
        })
    }
}

/// The files of a directory, and of those in it, by name.
fn below(project: &Path, path: &str, items: &mut Vec<Item>) -> Result<()> {
    let directory = project.join(path);
    for name in names_in(&directory)? {
        let path = format!("{path}/{name}");
        if project.join(&path).is_dir() {
            below(project, &path, items)?;
        } else {
            items.push(Item::read(&project.join(&path), path, false)?);
        }
    }
    Ok(())
}

fn names_in(directory: &Path) -> Result<Vec<String>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}
