"""Lists of recordings, texts to compare with, and the character error rate."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import ClientError


@dataclass(frozen=True)
class Recording:
    """A file, the name it goes by in the output, and the text it should give where that is known."""

    name: str
    path: Path
    reference: str | None = None


def read_list(path: Path) -> list[Recording]:
    """Lines `NAME PATH` as Kaldi's wav.scp has them, or JSON objects with `audio_filepath` and perhaps `text`."""
    recordings = []
    for number, line in _lines(path):
        try:
            recordings.append(_json_entry(line, path) if line.startswith("{") else _entry(line, path))
        except (ValueError, KeyError, TypeError) as error:
            expected = 'NAME PATH or {"audio_filepath": …} is expected'
            raise ClientError(f"{path}, line {number}: {expected} ({error})") from error
    if not recordings:
        raise ClientError(f"{path}: lists no recordings")
    return recordings


def read_references(path: Path) -> dict[str, str]:
    """Lines `NAME TEXT`; the name alone is an empty text."""
    references = {}
    for _, line in _lines(path):
        name, *text = line.split(maxsplit=1)
        references[name] = text[0] if text else ""
    return references


def with_references(recordings: list[Recording], references: dict[str, str]) -> list[Recording]:
    """Recordings with their texts, found by name, else by the file's name with or without its suffix."""

    def text_of(recording: Recording) -> str | None:
        names = (recording.name, recording.path.name, recording.path.stem)
        return next((references[name] for name in names if name in references), recording.reference)

    return [Recording(each.name, each.path, text_of(each)) for each in recordings]


def comparable(text: str) -> str:
    """Text without what is not spoken: spaces, punctuation, case, width of characters."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(each for each in folded if unicodedata.category(each)[0] not in "PSZC")


def edits(reference: Sequence[str], text: Sequence[str]) -> int:
    """The fewest characters to insert, delete or replace that turn one into the other (Levenshtein)."""
    previous = list(range(len(text) + 1))
    for row, wanted in enumerate(reference, 1):
        current = [row]
        for column, found in enumerate(text, 1):
            replaced = previous[column - 1] + (wanted != found)
            current.append(min(replaced, previous[column] + 1, current[-1] + 1))
        previous = current
    return previous[-1]


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ClientError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ClientError(f"{path}: is no UTF-8 text") from error
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _entry(line: str, path: Path) -> Recording:
    name, place = line.split(maxsplit=1)
    if place.endswith("|"):
        raise ValueError("commands are not run; name a file")
    return Recording(name, _place(place, path))


def _json_entry(line: str, path: Path) -> Recording:
    entry = json.loads(line)
    place = entry["audio_filepath"]
    return Recording(str(entry.get("id", place)), _place(place, path), entry.get("text"))


def _place(place: str, listed_in: Path) -> Path:
    """A path as it is written, or else beside the list."""
    path = Path(place)
    return path if path.exists() else listed_in.parent / path
