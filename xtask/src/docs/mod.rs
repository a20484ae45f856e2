//! `cargo xtask docs`: the documents as a site. The pages are the Markdown files of the repository, as they are; mdBook makes HTML of
//! them, with a search that needs no server. Links are checked in both forms.

mod markdown;
mod rendered;
mod repository;
mod stage;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::layout::{Layout, cargo};
use crate::{console, files, process};

const MDBOOK: &str = "0.5.4";

/// mdBook runs for seconds: whatever is quickest to build.
const PROFILE: [&str; 4] = [
    "profile.release.opt-level=1",
    "profile.release.lto=\"off\"",
    "profile.release.codegen-units=16",
    "profile.release.debug=false",
];

/// What to make of the documents.
#[derive(Debug, clap::Args)]
pub(crate) struct Docs {
    /// Where to put the site; what is there is replaced [default: target/xtask/docs/site]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Check the links between the Markdown files, and make no site
    #[arg(long, conflicts_with = "out")]
    check: bool,
}

/// Checks the documents and makes the site.
pub(crate) fn docs(layout: &Layout, options: &Docs) -> Result<()> {
    refuse("the documents", &repository::broken(&layout.project)?)?;
    if options.check {
        return Ok(());
    }
    let work = layout.work_directory("docs")?;
    let book = work.join("book");
    stage::stage(&layout.project, &book)?;
    let made = work.join("made");
    files::remove(&made)?;
    build(layout, &book, &made)?;
    refuse("the site", &rendered::broken(&made)?)?;
    let site = options.out.clone().unwrap_or_else(|| work.join("site"));
    replace(&made, &site)?;
    console::step("Wrote", site.join("index.html").display());
    Ok(())
}

/// An error that lists what is wrong, if something is.
fn refuse(what: &str, broken: &[String]) -> Result<()> {
    if broken.is_empty() {
        return Ok(());
    }
    bail!(
        "{} broken links in {what}:\n  {}",
        broken.len(),
        broken.join("\n  ")
    )
}

fn build(layout: &Layout, book: &Path, out: &Path) -> Result<()> {
    let mut command = std::process::Command::new(mdbook(layout)?);
    command.arg("build").arg(book).arg("--dest-dir").arg(out);
    let status = process::run(&mut command)?;
    if !status.success() {
        bail!("mdBook ended with {status}; its words are above");
    }
    Ok(())
}

/// Puts the site where it is wanted, but over nothing that is not a site.
fn replace(made: &Path, site: &Path) -> Result<()> {
    let empty = || site.read_dir().is_ok_and(|mut each| each.next().is_none());
    if site.exists() && !is_site(site)? && !empty() {
        bail!(
            "{} is neither empty nor a site that was made before: name another place",
            site.display()
        );
    }
    files::remove(site)?;
    if let Some(parent) = site.parent() {
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot make {}", parent.display()))?;
    }
    stage::copy_tree(made, site)
}

/// Whether mdBook has written here: its search has a name with a hash in it.
fn is_site(place: &Path) -> Result<bool> {
    let entries = place
        .read_dir()
        .with_context(|| format!("cannot read {}", place.display()))?;
    Ok(entries.flatten().any(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("searchindex")
    }))
}

/// mdBook, built if a former run has not: without the parts that watch and serve.
fn mdbook(layout: &Layout) -> Result<PathBuf> {
    let tools = layout.work_directory("tools")?;
    let root = tools.join(format!("mdbook-{MDBOOK}"));
    let program = root.join("bin/mdbook");
    if program.is_file() {
        return Ok(program);
    }
    console::step(
        "Installing",
        format!(
            "mdBook {MDBOOK} into {}, once (some minutes)",
            root.display()
        ),
    );
    let build = tools.join("build-mdbook");
    let mut command = cargo();
    command
        .current_dir(&layout.project)
        .args(["install", "mdbook", "--locked", "--no-track"])
        .args(["--no-default-features", "--features", "search"])
        .args(["--version", &format!("={MDBOOK}")])
        .args(PROFILE.iter().flat_map(|setting| ["--config", setting]))
        .arg("--root")
        .arg(&root)
        .arg("--target-dir")
        .arg(&build);
    let status = process::run(&mut command)?;
    if !status.success() {
        bail!("cargo could not install mdBook {MDBOOK} ({status}); its words are above");
    }
    // Hundreds of megabytes that nobody needs again; another run may be building there.
    let _ = std::fs::remove_dir_all(build);
    Ok(program)
}
