//! Links within a site: each leads to a file that is there, and to an element that has its name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use html5gum::{Token, Tokenizer};

use super::markdown::normal;

/// mdBook's page of all pages, for printing, which repeats the anchors of each, and its page for what is not there.
const NOT_PAGES: [&str; 3] = ["print.html", "404.html", "toc.html"];

/// What the browser is to load or may go to, by element.
const REFERENCES: [(&[u8], &[u8]); 5] = [
    (b"a", b"href"),
    (b"link", b"href"),
    (b"img", b"src"),
    (b"script", b"src"),
    (b"iframe", b"src"),
];

/// What a page has of names, and what it refers to.
#[derive(Default)]
struct Page {
    names: BTreeSet<String>,
    references: BTreeSet<String>,
}

/// What leads nowhere: `FILE: TARGET: REASON`.
pub(super) fn broken(site: &Path) -> Result<Vec<String>> {
    let mut pages = BTreeMap::new();
    collect(site, Path::new(""), &mut pages)?;
    let mut found = Vec::new();
    for (name, page) in &pages {
        if NOT_PAGES.iter().any(|other| name == Path::new(other)) {
            continue;
        }
        for reference in &page.references {
            if let Some(reason) = wrong(site, &pages, name, reference) {
                found.push(format!("{}: {reference}: {reason}", name.display()));
            }
        }
    }
    Ok(found)
}

fn wrong(
    site: &Path,
    pages: &BTreeMap<PathBuf, Page>,
    from: &Path,
    reference: &str,
) -> Option<&'static str> {
    let (path, fragment) = match reference.split_once('#') {
        Some((path, fragment)) => (path, Some(fragment)),
        None => (reference, None),
    };
    // `https:`, `data:`, …
    if path
        .split('/')
        .next()
        .is_some_and(|first| first.contains(':'))
    {
        return None;
    }
    let target = if path.is_empty() {
        from.to_owned()
    } else {
        match normal(&from.parent().unwrap_or(Path::new("")).join(decoded(path))) {
            Some(target) => target,
            None => return Some("it leads out of the site"),
        }
    };
    if !site.join(&target).is_file() {
        return Some("no such file");
    }
    let fragment = decoded(fragment.filter(|name| !name.is_empty())?);
    match pages.get(&target) {
        Some(page) if page.names.contains(&fragment) => None,
        Some(_) => Some("no such heading"),
        None => None,
    }
}

fn collect(site: &Path, within: &Path, pages: &mut BTreeMap<PathBuf, Page>) -> Result<()> {
    let place = site.join(within);
    let entries =
        fs::read_dir(&place).with_context(|| format!("cannot read {}", place.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = within.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(site, &name, pages)?;
        } else if name.extension().is_some_and(|kind| kind == "html") {
            let text = fs::read_to_string(entry.path())
                .with_context(|| format!("cannot read {}", entry.path().display()))?;
            pages.insert(name, page(&text));
        }
    }
    Ok(())
}

fn page(text: &str) -> Page {
    let mut page = Page::default();
    for Ok(token) in Tokenizer::new(text) {
        let Token::StartTag(tag) = token else {
            continue;
        };
        let value = |name: &[u8]| {
            tag.attributes
                .iter()
                .find(|(key, _)| &key.0[..] == name)
                .map(|(_, value)| String::from_utf8_lossy(&value.0).into_owned())
        };
        page.names.extend(value(b"id"));
        let references = REFERENCES
            .iter()
            .filter(|(element, _)| &tag.name.0[..] == *element);
        page.references
            .extend(references.filter_map(|(_, attribute)| value(attribute)));
    }
    page
}

/// Without `%E4`: Chinese headings are written so.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = text.get(at + 1..at + 3);
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                plain.push(byte);
                at += 3;
            }
            _ => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_named() {
        let place = tempfile::tempdir().unwrap();
        let site = place.path();
        fs::create_dir(site.join("docs")).unwrap();
        fs::write(site.join("a.svg"), "").unwrap();
        fs::write(
            site.join("index.html"),
            "<h1 id=\"top\"></h1><a href=\"docs/b.html#%E4%B8%AD\"></a><a href='https://example.org/x'></a>\
             <img src=\"a.svg\"><img src=\"b.svg\"><a href=\"#bottom\"></a><a href=\"#top\"></a>",
        )
        .unwrap();
        fs::write(
            site.join("docs/b.html"),
            "<h2 id=\"中\"><a href=\"../../x\"></a><a href=\"../index.html#b\"></a></h2>",
        )
        .unwrap();
        assert_eq!(
            broken(site).unwrap(),
            [
                "docs/b.html: ../../x: it leads out of the site",
                "docs/b.html: ../index.html#b: no such heading",
                "index.html: #bottom: no such heading",
                "index.html: b.svg: no such file",
            ]
        );
    }
}
