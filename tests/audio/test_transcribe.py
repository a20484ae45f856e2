"""`triton-funasr transcribe` with directories of files, and with models that take none."""

import json
import shutil
import subprocess
from pathlib import Path

from audio.files import DATA, encoded
from support.client import serving
from support.environment import PROJECT, sensevoice_repository, variable
from support.recordings import recordings

KINDS = ("08_en.aac", "08_en.flac", "08_en.m4a", "08_en.mka", "08_en.mp3", "08_en.mp4", "08_en.ogg", "08_en.opus", "08_en.webm")


def transcribe(client, *arguments):
    """What the tool says of each file, by name."""
    command = [variable("TRITON_FUNASR"), "transcribe", "--url", f"http://{client.server.http}", "--json", *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return {Path(each["file"]).name: each for each in map(json.loads, ended.stdout.splitlines())}


def directory(place):
    """One with a file of each kind, and what is no recording."""
    for name in KINDS:
        shutil.copy(DATA / name, place)
    (place / "telephone.WAV").write_bytes(encoded(recordings()[8].samples, "wav-mu-law", 16000))
    shutil.copy(PROJECT / "demo/recordings/06_en.wav", place)
    (place / "notes.txt").write_text("nothing to hear")
    return place


def test_files_of_every_kind_in_a_directory(either, tmp_path):
    said = transcribe(either, directory(tmp_path))
    assert list(said) == sorted([*KINDS, "06_en.wav", "telephone.WAV"])
    texts = {name: each["text"].rpartition("|>")[2].strip(" .。") for name, each in said.items()}
    assert texts.pop("06_en.wav") == "water world please you school"
    assert set(texts.values()) == {"good"}


def test_a_model_of_samples_gets_wav_files(tmp_path):
    with serving(sensevoice_repository()) as client:
        said = transcribe(client, directory(tmp_path))
    assert list(said) == ["06_en.wav", "telephone.WAV"]
    assert "water world" in said["06_en.wav"]["text"] and "cannot read" in said["telephone.WAV"]["error"]
