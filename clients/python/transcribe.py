#!/usr/bin/env python3
"""Transcribes recordings with SenseVoice or offline Paraformer on a Triton server."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from funasr_triton import audio, cli, lists, results
from funasr_triton.connection import Connections
from funasr_triton.errors import ClientError, Unreachable
from funasr_triton.lists import Recording
from funasr_triton.offline import LANGUAGES, TEXT_NORMS, OfflineModel, Transcript, find_model, transcribe

EXAMPLES = """\
  python3 transcribe.py meeting.wav
  python3 transcribe.py --language zh --text-norm woitn --tags a.flac b.mp3
  python3 transcribe.py --concurrency 16 --format json recordings/ > texts.jsonl
  python3 transcribe.py --times --format json talk.wav       (and when each word was spoken)
  python3 transcribe.py --url grpc://asr.example.com:8001 --model infer_pipeline --format tsv recordings/
  python3 transcribe.py --list wav.scp --references text     (and the character error rate)"""

COLUMNS = ("recording", "seconds", "latency_ms", "language", "emotion", "event", "text")


@dataclass(frozen=True)
class Answer:
    """A recording's transcript, its length if that is known, and how long the answer took."""

    transcript: Transcript
    seconds: float | None
    latency: float


def arguments() -> argparse.ArgumentParser:
    options = cli.parser(__doc__ or "", EXAMPLES)
    options.add_argument(
        "recordings",
        nargs="*",
        type=Path,
        metavar="FILE_OR_FOLDER",
        help="any sample rate, any number of channels (they are averaged); folders are searched with all below them. A model with the "
        "input AUDIO gets files as they are, and takes M4A and WebM too",
    )
    options.add_argument(
        "--list",
        type=Path,
        metavar="FILE",
        help="recordings by name: lines NAME PATH, or JSON lines with audio_filepath (and text)",
    )
    cli.add_server_options(options)
    model = options.add_argument_group("model")
    model.add_argument(
        "--model", metavar="NAME", help="default: sensevoice or infer_pipeline, whichever the server has"
    )
    model.add_argument("--language", choices=LANGUAGES, help="what is spoken, for SenseVoice (default: auto)")
    model.add_argument(
        "--text-norm",
        choices=TEXT_NORMS,
        help="with or without inverse text normalisation (numbers as digits, punctuation), for SenseVoice (default: withitn)",
    )
    work = options.add_argument_group("work and output")
    work.add_argument(
        "--concurrency", type=cli.count, default=4, metavar="N", help="recordings at a time (default: %(default)s)"
    )
    work.add_argument(
        "--format",
        choices=("text", "json", "tsv"),
        default="text",
        help="text: the text alone, or NAME: TEXT for several; json: an object per line; tsv: a table with a heading",
    )
    work.add_argument("--tags", action="store_true", help="leave SenseVoice's tags in the text (<|zh|><|NEUTRAL|>…)")
    work.add_argument(
        "--times",
        action="store_true",
        help="also print each word, when it was spoken and how sure the model is of it, where the model says it "
        "(`triton-funasr repo --outputs all`); for the formats text and json",
    )
    work.add_argument(
        "--references",
        type=Path,
        metavar="FILE",
        help="what is really spoken, lines NAME TEXT: prints the character error rate (spaces, punctuation, case apart)",
    )
    return options


def main() -> int:
    parser = arguments()
    options = parser.parse_args()
    if not options.recordings and not options.list:
        parser.error("name recordings, folders, or a --list")
    if options.times and options.format == "tsv":
        parser.error("--times is for --format text and json")
    connections = Connections(cli.address(options, parser), options.timeout)
    model = find_model(connections(), options.model, options.times)
    recordings = all_recordings(options, model)
    if not model.is_sensevoice and (options.language or options.text_norm):
        raise ClientError(f"'{model.name}' is no SenseVoice: leave --language and --text-norm away")
    return transcribe_all(options, connections, model, recordings)


def all_recordings(options: argparse.Namespace, model: OfflineModel) -> list[Recording]:
    """What the command line and the list name, in this order."""
    suffixes = audio.SUFFIXES | audio.THERE_ONLY if model.takes_files else audio.SUFFIXES
    recordings = [Recording(str(path), path) for path in audio.find(options.recordings, suffixes)]
    if options.list:
        recordings += lists.read_list(options.list)
    if options.references:
        recordings = lists.with_references(recordings, lists.read_references(options.references))
    return recordings


def transcribe_all(
    options: argparse.Namespace, connections: Connections, model: OfflineModel, recordings: list[Recording]
) -> int:
    """Prints the answers in the recordings' order; complains of those that fail, and goes on."""

    def work(recording: Recording) -> Answer:
        path = recording.path
        if model.takes_files and path.suffix.lower() not in audio.HERE_ONLY:
            given, seconds = audio.as_it_is(path), audio.length(path)
        else:
            given = audio.load(path)
            seconds = audio.seconds(given)
        began = time.perf_counter()
        transcript = transcribe(
            connections(), model, given, options.language or "auto", options.text_norm or "withitn"
        )
        return Answer(transcript, seconds, time.perf_counter() - began)

    if options.format == "tsv":
        cli.say("\t".join(COLUMNS))
    progress = cli.Progress(len(recordings), "recordings")
    compared: list[tuple[str, str]] = []
    failed = 0
    for recording, future in zip(recordings, cli.in_order(work, recordings, options.concurrency), strict=True):
        try:
            answer = future.result()
        except Unreachable:
            raise
        except ClientError as error:
            failed += 1
            cli.complain(f"{recording.path}: {error}")
            progress.advance(0)
            continue
        cli.say(formatted(options, recording, answer, len(recordings) == 1))
        if answer.transcript.warning:
            cli.warn(f"{recording.path}: {answer.transcript.warning}")
        progress.advance(answer.seconds or 0)
        if recording.reference is not None:
            compared.append((recording.reference, answer.transcript.text))
    progress.end()
    if compared:
        report_errors(compared)
    elif options.references:
        cli.complain(f"{options.references} has no text for any of these recordings")
        failed += 1
    if failed and len(recordings) > 1:
        cli.complain(f"{failed} of {len(recordings)} recordings failed")
    return cli.FAILED if failed else cli.OK


def formatted(options: argparse.Namespace, recording: Recording, answer: Answer, alone: bool) -> str:
    """One answer as the chosen format has it."""
    transcript = answer.transcript
    text = transcript.raw if options.tags else transcript.text
    if options.format == "text":
        return "\n".join([text if alone else f"{recording.name}: {text}", *results.as_lines(transcript.words)])
    values = {
        "recording": recording.name,
        "seconds": None if answer.seconds is None else round(answer.seconds, 3),
        "latency_ms": round(answer.latency * 1000, 1),
        "language": transcript.language,
        "emotion": transcript.emotion,
        "event": transcript.event,
        "text": text,
    }
    if options.format == "tsv":
        texts = ("" if values[column] is None else str(values[column]) for column in COLUMNS)
        return "\t".join(" ".join(text.split()) for text in texts)
    if not transcript.language:
        for tag in ("language", "emotion", "event"):
            del values[tag]
    if transcript.warning:
        values["warning"] = transcript.warning
    if options.times:
        values["confidence"] = transcript.confidence
        values["words"] = results.as_json(transcript.words)
    return json.dumps(values, ensure_ascii=False)


def report_errors(compared: list[tuple[str, str]]) -> None:
    """The character error rate over all recordings that have a reference, on standard error."""
    pairs = [(lists.comparable(reference), lists.comparable(text)) for reference, text in compared]
    characters = sum(len(reference) for reference, _ in pairs)
    wrong = sum(lists.edits(reference, text) for reference, text in pairs)
    rate = f"{100 * wrong / characters:.2f} %" if characters else "undefined"
    print(
        f"character error rate: {rate} ({wrong} of {characters} characters, {len(pairs)} recordings)", file=sys.stderr
    )


if __name__ == "__main__":
    cli.run(main)
