"""Model repositories made from the one users get: copied, with other files, parameters and names."""

import re
import shutil
import tempfile
from pathlib import Path

from support.environment import scratch, sensevoice_repository


def fresh_directory(name):
    """An empty directory of its own."""
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=scratch()))


def copy_sensevoice(name="repository"):
    """A copy of the demo's repository that may be changed."""
    return shutil.copytree(sensevoice_repository(), fresh_directory(name), dirs_exist_ok=True)


def add_model(repository, new, like, edit=None, source=None):
    """Copies the model `like` of the demo's repository, or of another one, to a new name; `edit` turns its config's text into another."""
    shutil.copytree((source or sensevoice_repository()) / like, repository / new)
    edit_config(repository / new, lambda text: re.sub(r'^name: ".*"$', f'name: "{new}"', text, flags=re.MULTILINE))
    if edit:
        edit_config(repository / new, edit)
    return repository / new


def edit_config(model, edit):
    """Rewrites a model's config with a function from text to text, which must change it."""
    path = model / "config.pbtxt"
    before = path.read_text()
    after = edit(before)
    assert after != before, f"nothing to change in {path}"
    path.write_text(after)


def replaced(old, new):
    """An edit: one text for another; the old one must be there."""

    def edit(text):
        assert old in text, f"no {old!r} in\n{text}"
        return text.replace(old, new)

    return edit


def with_parameter(key, value):
    """An edit: a parameter's value, set anew or added."""
    pattern = re.compile(r'(key:\s*"%s"\s*value:\s*\{\s*string_value:\s*)"[^"]*"' % re.escape(key))

    def edit(text):
        if pattern.search(text):
            return pattern.sub(lambda match: f'{match[1]}"{value}"', text)
        return text + f'\nparameters {{ key: "{key}" value: {{ string_value: "{value}" }} }}\n'

    return edit


def without_parameter(key):
    """An edit: a parameter that is not there any more."""
    entry = re.compile(
        r'\{(?:\s|#[^\n]*\n)*key:\s*"%s"\s*value:\s*\{\s*string_value:\s*"[^"]*"\s*\}\s*\},?' % re.escape(key)
    )

    def edit(text):
        after = entry.sub("", text)
        assert after != text, f"no parameter {key!r} in\n{text}"
        # A list may not end in a comma.
        return re.sub(r",(\s*\])", r"\1", after)

    return edit


def with_queue_delay(microseconds):
    """An edit: requests wait this long for company, so that batches form."""
    batching = re.compile(r"^dynamic_batching \{[^}]*\}", flags=re.MULTILINE)

    def edit(text):
        after, count = batching.subn(f"dynamic_batching {{ max_queue_delay_microseconds: {microseconds} }}", text)
        assert count == 1, f"{count} times dynamic_batching in\n{text}"
        return after

    return edit


def chain(*edits):
    """An edit: all of these, one after the other."""

    def edit(text):
        for each in edits:
            text = each(text)
        return text

    return edit
