//! Links and anchors of a Markdown file.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// A link or picture to something that is not on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// As it is written: a path, a fragment, or both.
    pub(super) target: String,
    /// Where the target stands in the text; nothing for one that is defined elsewhere.
    pub(super) place: Option<Range<usize>>,
    /// Where the whole link stands.
    pub(super) whole: Range<usize>,
    /// Counted from 1.
    pub(super) line: usize,
}

impl Link {
    /// The path without the fragment.
    pub(super) fn path(&self) -> &str {
        self.target.split('#').next().unwrap_or_default()
    }

    /// What stands behind `#`.
    pub(super) fn fragment(&self) -> Option<&str> {
        self.target.split_once('#').map(|(_, fragment)| fragment)
    }
}

fn events(text: &str) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
    Parser::new_ext(text, options).into_offset_iter()
}

/// The links of a text, in order.
pub(super) fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    for (event, range) in events(text) {
        let (Event::Start(Tag::Link { dest_url, .. }) | Event::Start(Tag::Image { dest_url, .. })) =
            event
        else {
            continue;
        };
        // `https:`, `mailto:`, and addresses in angle brackets; but not `crate::Item`.
        let is_elsewhere = dest_url
            .split(['/', '#'])
            .next()
            .is_some_and(|first| first.replace("::", "").contains(':'));
        if is_elsewhere || dest_url.contains('@') {
            continue;
        }
        let place = text[range.clone()]
            .rfind(&format!("]({dest_url}"))
            .map(|at| range.start + at + 2)
            .map(|start| start..start + dest_url.len());
        found.push(Link {
            target: dest_url.into_string(),
            place,
            whole: range.clone(),
            line: text[..range.start].matches('\n').count() + 1,
        });
    }
    found
}

/// What can stand behind `#` in a link to this text: its headings, spelled as code hosts do, and anchors in HTML.
pub(super) fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut heading: Option<String> = None;
    for (event, _) in events(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let slug = slug(&heading.take().unwrap_or_default());
                let mut name = slug.clone();
                let mut count = 1;
                while found.contains(&name) {
                    name = format!("{slug}-{count}");
                    count += 1;
                }
                found.insert(name);
            }
            Event::Text(part) | Event::Code(part) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&part);
                }
            }
            Event::InlineHtml(html) | Event::Html(html) => found.extend(ids(&html)),
            _ => {}
        }
    }
    found
}

/// The values of `id="…"`.
fn ids(html: &str) -> impl Iterator<Item = String> {
    html.split("id=\"")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
}

/// A heading as an anchor: in small letters, blanks as hyphens, without other marks.
fn slug(heading: &str) -> String {
    heading
        .trim()
        .chars()
        .filter_map(|character| match character {
            ' ' => Some('-'),
            '-' | '_' => Some(character),
            _ => character.is_alphanumeric().then_some(character),
        })
        .flat_map(char::to_lowercase)
        .collect()
}

/// A path without `.` and `..`; nothing if it leads out of where it begins.
pub(super) fn normal(path: &Path) -> Option<PathBuf> {
    let mut whole = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !whole.pop() {
                    return None;
                }
            }
            Component::Normal(name) => whole.push(name),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# `REPO` and what it is: 3 % (see below)

[one](other.md#two), ![drawn](a/b.svg), [out](https://example.org/a.md), <me@example.org>
and [`code`](crates/cli), not `[code](is.md)`.

## Twice
## Twice
<a id=\"new-lengths\"></a>
[here](#twice-1)

## 打开 麦克风
";

    #[test]
    fn links_are_found_with_their_place() {
        let links = links(TEXT);
        let told: Vec<_> = links
            .iter()
            .map(|link| (link.line, link.target.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (3, "other.md#two"),
                (3, "a/b.svg"),
                (4, "crates/cli"),
                (9, "#twice-1")
            ]
        );
        assert_eq!(links[0].path(), "other.md");
        assert_eq!(links[0].fragment(), Some("two"));
        assert_eq!(
            (links[3].path(), links[3].fragment()),
            ("", Some("twice-1"))
        );
        for link in links {
            assert_eq!(&TEXT[link.place.unwrap()], link.target);
        }
    }

    #[test]
    fn anchors_are_spelled_as_hosts_spell_them() {
        let anchors: Vec<_> = anchors(TEXT).into_iter().collect();
        assert_eq!(
            anchors,
            [
                "new-lengths",
                "repo-and-what-it-is-3--see-below",
                "twice",
                "twice-1",
                "打开-麦克风"
            ]
        );
    }

    #[test]
    fn paths_do_not_leave_the_project() {
        assert_eq!(normal(Path::new("docs/../a/./b")), Some("a/b".into()));
        assert_eq!(normal(Path::new("docs/../../a")), None);
        assert_eq!(normal(Path::new("/etc")), None);
    }
}
