"""Every command in the documents is run by a test, is one that is run elsewhere, or says why it is not."""

import re

import pytest

from support import readme
from support.environment import PROJECT

SUMMARY = (PROJECT / "docs/SUMMARY.md").read_text(encoding="utf-8")
PAGES = sorted(
    path.resolve().relative_to(PROJECT.resolve()).as_posix()
    for path in ((PROJECT / "docs" / link) for link in re.findall(r"\]\(([^)]+)\)", SUMMARY))
)
# The tests that run the blocks of a page, all of them.
RUN_BY = {
    "README.md": "tests/test_readme.py",
    "docs/operations.md": "tests/test_operations.py",
    "docs/migrate.md": "tests/test_migrate.py",
}


def text_of(page):
    return (PROJECT / page).read_text(encoding="utf-8")


def test_the_site_has_all_documents():
    documents = [path for path in (PROJECT / "docs").rglob("*.md") if path.name != "SUMMARY.md"]
    assert {path.relative_to(PROJECT).as_posix() for path in documents} <= set(PAGES)
    assert {"README.md", "README.zh-CN.md", "docs/zh/quick-start.md", "docs/zh/migrate.md"} <= set(PAGES)
    assert len(PAGES) == len(set(PAGES))


@pytest.mark.parametrize("page", PAGES)
def test_commands_say_how_they_are_tested(page):
    blocks, unmarked = readme.blocks(text_of(page))
    assert not unmarked
    if blocks:
        assert page in RUN_BY, f"no test runs {[block.name for block in blocks]}"
        assert "readme.blocks" in text_of(RUN_BY[page])
    marks = re.findall(r"<!-- as in \S+: [\w-]+ -->", text_of(page))
    assert len(marks) == len(readme.repeated(text_of(page)))
    for document, name, script in readme.repeated(text_of(page)):
        assert script == readme.as_printed(text_of(document), name)
        assert document in RUN_BY


def test_repeated_blocks_are_found():
    text = "<!-- as in a.md: one -->\n```sh\necho 1\n```\n"
    assert readme.repeated(text) == [("a.md", "one", "echo 1\n")]
    assert readme.blocks(text) == ([], [])
    other = '<!-- test: one-more -->\n```sh\necho 2\n```\n<!-- test: one A=b until "x" -->\n```sh\necho 1\n```\n'
    assert readme.as_printed(other, "one") == "echo 1\n"
    with pytest.raises(ValueError):
        readme.as_printed(other, "two")
