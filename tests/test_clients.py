"""The clients of clients/python as a person runs them: programs with arguments, output and exit codes."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from audio import variants as audio_variants
from support.client import serving
from support.environment import PROJECT, sensevoice_repository
from support.recordings import WITH_ITN, WITHOUT_ITN, recordings
from support.server import free_ports

soundfile = pytest.importorskip("soundfile", reason="the clients read recordings with soundfile")
soxr = pytest.importorskip("soxr", reason="the clients resample with soxr")

CLIENTS = PROJECT / "clients/python"
RECORDINGS = PROJECT / "demo/recordings"
PROGRAMS = ("transcribe", "stream", "microphone", "stability")
SECONDS = 120

sys.path.insert(0, str(CLIENTS))


def start(program, *arguments, path=None, **options):
    """Starts a client; `path` goes in front of PYTHONPATH."""
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    if path:
        environment["PYTHONPATH"] = os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, CLIENTS / f"{program}.py", *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    return subprocess.Popen([str(each) for each in command], env=environment, encoding="utf-8", **streams, **options)


def ended(process, code):
    """What a client printed, once it has ended with this exit code."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert "Traceback" not in err, err
    assert process.returncode == code, f"exit code {process.returncode}\n{out}\n{err}"
    return out, err


def run(program, *arguments, code=0, **options):
    """Output and errors of a client that ends with this exit code."""
    return ended(start(program, *arguments, **options), code)


def lines_of(text):
    """`NAME: TEXT` lines as a dict, names without their folders."""
    pairs = (line.split(": ", 1) for line in text.splitlines())
    return {Path(name).name: line for name, line in pairs}


def tell(server, protocol):
    """The options that lead to a server."""
    address = server.http if protocol == "http" else server.grpc
    return ["--protocol", protocol, "--url", address]


def resampled(path, samples, rate, channels, **options):
    """Writes a recording with another rate and channel count."""
    audio = soxr.resample(samples, 16000, rate)
    soundfile.write(path, np.stack([audio] * channels, axis=1), rate, **options)
    return path


def strings(*texts):
    """A row of texts as a server sends them."""
    return np.array([[text.encode() for text in texts]], dtype=object)


# Without a server


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_has_examples(program):
    out, _ = run(program, "--help")
    assert f"python3 {program}.py" in out.partition("examples:")[2]


@pytest.mark.parametrize(
    ("program", "arguments", "complaint"),
    [
        ("transcribe", [], "name recordings"),
        ("transcribe", ["--language", "klingon", "a.wav"], "klingon"),
        ("transcribe", ["--concurrency", "0", "a.wav"], "'0' is not at least 1"),
        ("transcribe", ["--url", "ftp://127.0.0.1", "a.wav"], "'ftp' is no scheme"),
        ("transcribe", ["--times", "--format", "tsv", "a.wav"], "--times is for --format text and json"),
        ("stream", ["--url", "grpc://127.0.0.1", "--protocol", "http", "a.wav"], "says grpc"),
        ("stream", ["--chunk-ms", "-5", "a.wav"], "'-5' is not above 0"),
        ("stability", ["--requests", "5", "--duration", "5", "a.wav"], "not allowed with"),
        ("stability", ["--protocol", "grpc-stream", "a.wav"], "is for --streaming"),
    ],
)
def test_wrong_arguments(program, arguments, complaint):
    _, err = run(program, *arguments, code=2)
    assert complaint in err


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("program", ["transcribe", "stream", "stability"])
def test_nobody_listens(program, protocol):
    (port,) = free_ports(1)
    _, err = run(program, "--url", f"{protocol}://127.0.0.1:{port}", RECORDINGS, code=1)
    assert f"no Triton server answers at 127.0.0.1:{port}" in err


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_other_protocols_port(sensevoice, protocol):
    address = sensevoice.server.grpc if protocol == "http" else sensevoice.server.http
    _, err = run("transcribe", "--url", f"{protocol}://{address}", RECORDINGS, code=1)
    assert f"no Triton server answers at {address}" in err and "The other protocol" in err


# SenseVoice


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize(("norm", "name"), [(WITH_ITN, "withitn"), (WITHOUT_ITN, "woitn")])
def test_a_folder(sensevoice, protocol, norm, name):
    out, _ = run("transcribe", *tell(sensevoice.server, protocol), "--tags", "--text-norm", name, RECORDINGS)
    assert lines_of(out) == {each.name: each.texts[norm] for each in recordings()}


def test_answers_come_in_order_whatever_the_concurrency(sensevoice):
    files = [RECORDINGS / each.name for each in recordings()]
    files = files + [Path(f"{RECORDINGS}/./{each.name}") for each in recordings()][::-1]
    out, _ = run("transcribe", *tell(sensevoice.server, "http"), "--concurrency", 7, "--tags", *files)
    # The same file by another way is the same file: it is transcribed once.
    assert [line.partition(": ")[2] for line in out.splitlines()] == [each.texts[WITH_ITN] for each in recordings()]


def test_one_recording_gives_the_bare_text(sensevoice):
    out, _ = run("transcribe", *tell(sensevoice.server, "http"), RECORDINGS / "06_en.wav")
    assert out == "water world please you school.\n"


def test_json_and_tsv(sensevoice):
    server = tell(sensevoice.server, "http")
    out, _ = run("transcribe", *server, "--format", "json", RECORDINGS)
    answers = [json.loads(line) for line in out.splitlines()]
    table, _ = run("transcribe", *server, "--format", "tsv", RECORDINGS)
    rows = list(csv.DictReader(table.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
    assert len(answers) == len(rows) == len(recordings())
    for answer, row, recording in zip(answers, rows, recordings()):
        tags = [tag.strip("<|>") for tag in recording.texts[WITH_ITN].split("|>")[:3]]
        text = recording.texts[WITH_ITN].rpartition("|>")[2].strip()
        assert [answer["language"], answer["emotion"], answer["event"], answer["text"]] == [*tags, text]
        assert [row["language"], row["emotion"], row["event"], row["text"]] == [*tags, text]
        assert answer["seconds"] == pytest.approx(len(recording.samples) / 16000, abs=0.001)


@pytest.mark.parametrize(
    ("name", "rate", "channels", "options"),
    [
        ("stereo.flac", 44100, 2, {}),
        ("float.wav", 48000, 6, {"subtype": "FLOAT"}),
        ("mono.ogg", 32000, 1, {}),
        ("no_suffix", 22050, 1, {"format": "WAV"}),
    ],
)
def test_any_rate_and_channel_count(sensevoice, tmp_path, name, rate, channels, options):
    recording = recordings()[1]
    file = resampled(tmp_path / name, recording.samples, rate, channels, **options)
    out, _ = run("transcribe", *tell(sensevoice.server, "http"), "--tags", file)
    assert out.strip() == recording.texts[WITH_ITN]


def test_files_are_sent_as_they_are_to_a_model_that_takes_them(tmp_path):
    """Of kinds that libsndfile does not read, too; one that is cut off is told of."""
    with serving(audio_variants.repository()) as client:
        server = tell(client.server, "http")
        for name in ("08_en.m4a", "08_en.webm", "08_en.mp3"):
            shutil.copy(PROJECT / "crates/audio-input/tests/data" / name, tmp_path)
        whole = (RECORDINGS / "06_en.wav").read_bytes()
        (tmp_path / "cut.wav").write_bytes(whole[:-1000])
        resampled(tmp_path / "here.aiff", recordings()[8].samples, 16000, 1)
        out, err = run("transcribe", *server, "--model", "sensevoice", "--format", "json", tmp_path)
        answers = {Path(each["recording"]).name: each for each in map(json.loads, out.splitlines())}
        assert list(answers) == ["08_en.m4a", "08_en.mp3", "08_en.webm", "cut.wav", "here.aiff"]
        heard = {name: each["text"].strip(" .。").lower() for name, each in answers.items()}
        assert heard == {name: "good" for name in answers} | {"cut.wav": "water world please you school"}
        assert answers["08_en.m4a"]["seconds"] is None and answers["08_en.mp3"]["seconds"] > 1
        assert "warning" not in answers["here.aiff"] and "is cut off or damaged" in answers["cut.wav"]["warning"]
        assert "cut.wav: this WAV file is cut off or damaged" in err
        table, _ = run("transcribe", *server, "--model", "sensevoice", "--format", "tsv", tmp_path / "08_en.m4a")
        assert table.splitlines()[1].split("\t")[1] == ""


def test_bad_files_are_named_and_the_others_transcribed(sensevoice, tmp_path):
    (tmp_path / "text.wav").write_text("this is no recording")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    soundfile.write(tmp_path / "nan.wav", np.full(16000, np.nan), 16000, subtype="FLOAT")
    good = resampled(tmp_path / "good.wav", recordings()[0].samples, 16000, 1)
    out, err = run("transcribe", *tell(sensevoice.server, "http"), tmp_path, tmp_path / "missing.wav", code=1)
    assert lines_of(out) == {good.name: "红色空调晚上朋友。"}
    for name, reason in {
        "text.wav": "is no recording",
        "empty.wav": "holds no audio",
        "nan.wav": "NaN",
        "missing.wav": "No such file",
    }.items():
        assert any(name in line and reason in line for line in err.splitlines()), err
    assert "4 of 5 recordings failed" in err


def test_a_folder_without_recordings(sensevoice, tmp_path):
    _, err = run("transcribe", *tell(sensevoice.server, "http"), tmp_path, code=1)
    assert f"{tmp_path}: no recordings" in err


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_model_that_is_not_there(sensevoice, protocol):
    _, err = run("transcribe", *tell(sensevoice.server, protocol), "--model", "whisper", RECORDINGS, code=1)
    assert "no model 'whisper'" in err and "sensevoice_patient" in err
    _, err = run("stream", *tell(sensevoice.server, protocol), RECORDINGS, code=1)
    assert "no model 'streaming_paraformer'" in err


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_servers_own_complaint_is_passed_on(sensevoice, protocol):
    arguments = [*tell(sensevoice.server, protocol), "--model", "sensevoice_short", RECORDINGS / "01_zh.wav"]
    _, err = run("transcribe", *arguments, code=1)
    assert "01_zh.wav: the server says: " in err and "2.5" in err


def test_a_language_by_name(sensevoice):
    ask = sensevoice.transcribe
    recording = recordings()[8]
    expected = {
        name: ask([recording.samples], WITH_ITN, language=n)[0] for name, n in (("zh", 3), ("en", 4), ("yue", 7))
    }
    for name, text in expected.items():
        arguments = ["--language", name, "--tags", RECORDINGS / recording.name]
        out, _ = run("transcribe", *tell(sensevoice.server, "http"), *arguments)
        assert out == text + "\n"


def test_a_list_and_the_error_rate(sensevoice, tmp_path):
    scp, references = tmp_path / "wav.scp", tmp_path / "text"
    scp.write_text(f"first {RECORDINGS}/00_zh.wav\nsecond {RECORDINGS}/02_zh.wav\n")
    references.write_text("first 红色 空调晚上朋友\nsecond 4 8 0 1\n")
    server = tell(sensevoice.server, "http")
    out, err = run("transcribe", *server, "--list", scp, "--references", references)
    assert lines_of(out) == {"first": "红色空调晚上朋友。", "second": "470。"}
    # 8 read as 7, 1 left out; 8 and 4 characters.
    assert "16.67 % (2 of 12 characters, 2 recordings)" in err
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(json.dumps({"audio_filepath": f"{RECORDINGS}/00_zh.wav", "text": "红色空调晚上朋友"}))
    out, err = run("transcribe", *server, "--list", manifest)
    assert out == "红色空调晚上朋友。\n" and "0.00 %" in err


def test_interrupted(sensevoice, tmp_path):
    many = tmp_path / "many.scp"
    many.write_text("".join(f"{number} {RECORDINGS}/00_zh.wav\n" for number in range(100_000)))
    process = start("transcribe", *tell(sensevoice.server, "http"), "--list", many)
    assert process.stdout.readline() == "0: 红色空调晚上朋友。\n"
    process.send_signal(signal.SIGINT)
    _, err = ended(process, 130)
    assert err.endswith("interrupted\n")


def test_stability(sensevoice, tmp_path):
    requests, summary = tmp_path / "requests.csv", tmp_path / "summary.csv"
    arguments = ["--requests", 60, "--concurrency", 6, "--csv", requests, "--summary-csv", summary, RECORDINGS]
    for protocol in ("http", "grpc"):
        out, _ = run("stability", *tell(sensevoice.server, protocol), *arguments)
    with requests.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts = {each.name: each.texts[WITH_ITN] for each in recordings()}
    assert len(rows) == 60
    assert all(row["text"] == texts[Path(row["recording"]).name] and not row["error"] for row in rows)
    with summary.open(encoding="utf-8", newline="") as file:
        runs = list(csv.DictReader(file))
    assert len(runs) == 2
    for each in runs:
        assert (each["model"], each["requests"], each["errors"]) == ("sensevoice", "60", "0")
        quantiles = [float(each[f"latency_p{percentile}_ms"]) for percentile in (50, 90, 95, 99)]
        assert 0 < quantiles[0] and quantiles == sorted(quantiles) and quantiles[-1] <= float(each["latency_max_ms"])
        factor = float(each["elapsed_seconds"]) / float(each["audio_seconds"])
        assert float(each["real_time_factor"]) == pytest.approx(factor, rel=0.02, abs=1e-4)
    assert dict(line.split(maxsplit=1) for line in out.splitlines())["requests"] == "60"


def test_stability_counts_errors(sensevoice):
    """Recordings above the model's limit fail; the others are served all the same."""
    long = sum(len(each.samples) / 16000 > 2.5 for each in recordings())
    arguments = ["--model", "sensevoice_short", "--warm-up", 0, RECORDINGS]
    out, err = run("stability", *tell(sensevoice.server, "http"), *arguments, code=1)
    figures = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert (figures["requests"], figures["errors"]) == ("11", str(long))
    assert err.count("the server says") >= 1


def test_stability_tells_when_a_recording_gets_two_texts(capsys):
    import stability

    recording = stability.Recording("a.wav", np.zeros(16000, np.float32))
    outcomes = [stability.Outcome(recording, 0, 0.1, [0.1], text) for text in ("好", "好", "号")]
    options = stability.arguments().parse_args(["a.wav"])
    assert stability.report(options, "m", outcomes[:2], 1.0, interrupted=False) == 0
    assert stability.report(options, "m", outcomes, 1.0, interrupted=False) == 1
    assert "a.wav got 2 texts: '号' | '好'" in capsys.readouterr().err


# Streams, without a server


class Recorder:
    """In a connection's place: keeps what is sent, answers with the number of the request."""

    def __init__(self):
        self.chunks, self.sequences = [], []

    def infer(self, _model, tensors, sequence, outputs):
        assert outputs == ("TRANSCRIPTS",)
        assert tensors["WAV"].dtype == np.float32 and tensors["WAV_LENS"].dtype == np.int32
        assert tensors["WAV"].shape == (1, tensors["WAV_LENS"][0, 0]) and tensors["WAV_LENS"].shape == (1, 1)
        self.chunks.append(tensors["WAV"][0])
        self.sequences.append(sequence)
        return {"TRANSCRIPTS": strings(f"{len(self.chunks)} ")}


@pytest.mark.parametrize("piece", [1000, 9599, 9600, 9601, 30000])
@pytest.mark.parametrize("count", [1, 9599, 9600, 9601, 19200, 25000])
@pytest.mark.parametrize("tail", [0, 5120])
def test_pieces_of_any_size_leave_in_chunks(piece, count, tail):
    from funasr_triton.streaming import Stream, stream_recording

    samples = np.arange(1, count + 1, dtype=np.float32)
    recorder = Recorder()
    answers = list(stream_recording(Stream(recorder, "m", 9600, tail), samples, piece, realtime=False))
    everything = np.concatenate([samples, np.zeros(tail, np.float32)])
    assert np.array_equal(np.concatenate(recorder.chunks), everything)
    assert all(len(chunk) == 9600 for chunk in recorder.chunks[:-1]) and 0 < len(recorder.chunks[-1]) <= 9600
    flags = [(each.start, each.end) for each in recorder.sequences]
    last = len(flags) - 1
    assert flags == [(at == 0, at == last) for at in range(len(flags))]
    assert len({each.id for each in recorder.sequences}) == 1 and 0 < recorder.sequences[0].id < 2**63
    assert "".join(each.delta for each in answers) == "".join(f"{number} " for number in range(1, last + 2))
    assert [each.final for each in answers] == [end for _, end in flags]


def test_a_stream_that_ends_on_a_chunks_border_is_ended_by_a_sample_of_silence():
    from funasr_triton.streaming import Stream

    recorder = Recorder()
    stream = Stream(recorder, "m", 9600)
    assert [each.final for each in stream.send(np.ones(9600, np.float32))] == [False]
    assert [each.final for each in stream.finish()] == [True]
    assert recorder.chunks[1].tolist() == [0]


# Words and their times, without a server


class Outputs:
    """In a connection's place: a model with these outputs."""

    def __init__(self, *names):
        self.names = set(names)

    def output_names(self, _model):
        return self.names


def test_the_document_is_asked_for_where_there_is_one():
    from funasr_triton.errors import ClientError
    from funasr_triton.results import DOCUMENT, WORDS, outputs_with_times

    assert outputs_with_times(Outputs("TRANSCRIPTS", DOCUMENT, *WORDS), "m") == ("TRANSCRIPTS", DOCUMENT)
    assert outputs_with_times(Outputs("TRANSCRIPTS", *WORDS), "m") == ("TRANSCRIPTS", *WORDS)
    with pytest.raises(ClientError, match="'m' says no times: its outputs are TRANSCRIPTS, WORDS.*repo --outputs all"):
        outputs_with_times(Outputs("WORDS", "TRANSCRIPTS"), "m")


def test_words_of_tensors_and_of_a_document_are_the_same():
    from funasr_triton.results import Heard, Word, as_json, as_lines, heard_in

    tensors = {
        "TRANSCRIPTS": strings("好 hi"),
        "WORDS": strings("好", "hi", ""),
        "WORD_START_MS": np.array([[90, -1, -1]], np.int32),
        "WORD_END_MS": np.array([[330, 1500, -1]], np.int32),
    }
    words = (Word("好", 90, 330), Word("hi", None, 1500))
    assert heard_in(tensors) == Heard("好 hi", words)
    document = {"text": "好 hi", "words": [{"text": "好", "start_ms": 90, "end_ms": 330}, {"text": "hi", "end_ms": 1500}]}
    answer = {"TRANSCRIPTS": strings("好 hi"), "RESULT_JSON": strings(json.dumps(document))}
    assert heard_in(answer) == Heard("好 hi", words)
    assert as_json(words) == document["words"]
    assert as_lines([*words, Word("yes", 0, 61001, 0.987)]) == [
        "    0.090     0.330  好",
        "        ?     1.500  hi",
        "    0.000    61.001  yes  0.99",
    ]


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"words": [{"start_ms": 1}]}', '{"words": 3}'])
def test_a_document_that_is_none_is_the_servers_fault(document):
    from funasr_triton.errors import Refused
    from funasr_triton.results import heard_in

    with pytest.raises(Refused, match="RESULT_JSON is not what was expected"):
        heard_in({"TRANSCRIPTS": strings("好"), "RESULT_JSON": strings(document)})


# Words and their times, of models that say them


def documents(telling, model, samples):
    """What a model says of a recording, by the official client."""
    tensors = {"WAV": samples[np.newaxis], "WAV_LENS": np.array([[len(samples)]], np.int32)}
    if model == "sensevoice":
        tensors.update(LANGUAGE=np.array([[0]], np.int32), TEXT_NORM=np.array([[WITH_ITN]], np.int32))
    return json.loads(telling.infer(model, tensors, ["RESULT_JSON"])["RESULT_JSON"][0, 0])


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_times_of_recordings(telling, protocol):
    server = [*tell(telling.server, protocol), "--model", "sensevoice", "--times"]
    out, _ = run("transcribe", *server, "--format", "json", RECORDINGS)
    answers = [json.loads(line) for line in out.splitlines()]
    assert [Path(each["recording"]).name for each in answers] == [each.name for each in recordings()]
    for answer, recording in zip(answers, recordings()):
        expected = documents(telling, "sensevoice", recording.samples)
        assert answer["words"] == expected["words"] and answer["confidence"] == expected["confidence"]
        assert answer["text"] == expected["text"].strip()
    assert answers[-1]["words"] == [] and answers[-1]["confidence"] == 0
    out, _ = run("transcribe", *server, RECORDINGS / "06_en.wav")
    text, *lines = out.splitlines()
    assert text == "water world please you school."
    words = answers[6]["words"]
    assert [line.split() for line in lines] == [
        [f"{word['start_ms'] / 1000:.3f}", f"{word['end_ms'] / 1000:.3f}", word["text"], f"{word['confidence']:.2f}"]
        for word in words
    ]
    assert [word["text"] for word in words] == ["water", "world", "please", "you", "school."]


def test_times_of_models_that_say_none(sensevoice, telling):
    _, err = run("transcribe", *tell(sensevoice.server, "http"), "--times", RECORDINGS, code=1)
    assert "'sensevoice' says no times: its outputs are TRANSCRIPTS" in err and "repo --outputs all" in err
    # The demo's Paraformer has no time stamps: its words come without.
    arguments = ["--model", "infer_pipeline", "--times", RECORDINGS / "04_zh.wav"]
    out, _ = run("transcribe", *tell(telling.server, "http"), *arguments)
    text, *lines = out.splitlines()
    assert text == "".join(line.split()[2] for line in lines) and all(line.split()[:2] == ["?", "?"] for line in lines)


@pytest.mark.parametrize("protocol", ["http", "grpc", "grpc-stream"])
def test_times_of_streams(telling, protocol):
    server = [*tell(telling.server, protocol), "--times"]
    files = [RECORDINGS / name for name in ("07_en.wav", "10_nospeech.wav", "03_zh.wav")]
    out, _ = run("stream", *server, "--format", "json", *files)
    words = {file.name: [] for file in files}
    for answer in map(json.loads, out.splitlines()):
        words[Path(answer["recording"]).name] += answer.get("words", [])
    assert [word["text"] for word in words["07_en.wav"]] == ["music", "four", "doctor", "weather"]
    assert words["10_nospeech.wav"] == []
    for name, found in words.items():
        times = [word[end] for word in found for end in ("start_ms", "end_ms")]
        assert times == sorted(times) and all(0 < word["confidence"] <= 1 for word in found)
    grown, _ = run("stream", *server, *files)
    at_once, _ = run("stream", *server, "--streams", 3, *files)
    assert at_once == grown
    lines = grown.splitlines()
    assert [line.split()[2] for line in lines[1:5]] == ["music", "four", "doctor", "weather"]
    assert lines[0].endswith("07_en.wav: music four doctor weather") and lines[5].endswith("10_nospeech.wav: ")


def demo_client(client, *arguments):
    """What demo/client.py prints."""
    command = [sys.executable, PROJECT / "demo/client.py", "--url", client.server.http, *arguments]
    ended = subprocess.run(
        [str(each) for each in command], capture_output=True, encoding="utf-8", timeout=SECONDS, check=True
    )
    return ended.stdout


def test_the_demos_client(telling):
    recording = RECORDINGS / "06_en.wav"
    assert demo_client(telling, recording) == f"{recording}\t{recordings()[6].texts[WITH_ITN]}\n"
    told = documents(telling, "sensevoice", recordings()[6].samples)
    head, *lines = demo_client(telling, "--times", "--tags", recording).splitlines()
    assert head == f"{recording}\twater world please you school."
    assert lines[:3] == ["  language: en", "  emotion: NEUTRAL", "  event: Speech"]
    assert lines[4:] == [
        f"  {word['start_ms']} to {word['end_ms']} ms: {word['text']} ({word['confidence']:.2f})" for word in told["words"]
    ]
    head, *lines = demo_client(telling, "--model", "streaming_paraformer", "--times", recording).splitlines()
    assert head == f"{recording}\twater world please you school"
    assert [line.split(": ")[1].split()[0] for line in lines] == ["water", "world", "please", "you", "school"]


# All three repositories in one server


@pytest.fixture(scope="module")
def everything():
    """A client of a server with the demo's three repositories."""
    names = ("PARAFORMER_REPO", "PARAFORMER_ONLINE_REPO")
    if missing := [name for name in names if not os.environ.get(name)]:
        pytest.skip(f"{' and '.join(missing)} not set")
    repositories = [sensevoice_repository(), *(Path(os.environ[name]) for name in names)]
    with serving(repositories, "--model-namespacing=true") as client:
        yield client


def golden(folder):
    """The texts of a Paraformer's golden.tsv by recording; words are joined raw there, so without spaces."""
    lines = (PROJECT / "demo" / folder / "golden.tsv").read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return {row[0]: row[3].replace("|", "").replace(" ", "") for row in rows}


def without_spaces(texts):
    return {name: text.replace(" ", "") for name, text in texts.items()}


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_offline_paraformer(everything, protocol):
    out, _ = run("transcribe", *tell(everything.server, protocol), "--model", "infer_pipeline", RECORDINGS)
    assert without_spaces(lines_of(out)) == golden("paraformer")


def test_two_offline_models_leave_the_choice(everything):
    server = tell(everything.server, "http")
    _, err = run("transcribe", *server, RECORDINGS, code=1)
    assert "both sensevoice and infer_pipeline" in err and "--model" in err
    _, err = run("transcribe", *server, "--model", "infer_pipeline", "--language", "zh", RECORDINGS, code=1)
    assert "leave --language" in err
    _, err = run("transcribe", *server, "--model", "streaming_paraformer", RECORDINGS, code=1)
    assert "use stream.py" in err
    _, err = run("stream", *server, "--model", "infer_pipeline", RECORDINGS, code=1)
    assert "is no streaming model" in err


@pytest.mark.parametrize("chunk_ms", [600, 170, 2500])
@pytest.mark.parametrize("protocol", ["http", "grpc", "grpc-stream"])
def test_streams(everything, protocol, chunk_ms):
    arguments = [*tell(everything.server, protocol), "--chunk-ms", chunk_ms, RECORDINGS]
    one_by_one, _ = run("stream", *arguments)
    assert without_spaces(lines_of(one_by_one)) == golden("paraformer_online")
    at_once, _ = run("stream", "--streams", 5, *arguments)
    assert at_once == one_by_one


def test_deltas_grow_into_the_text(everything):
    out, _ = run("stream", *tell(everything.server, "http"), "--format", "json", RECORDINGS / "07_en.wav")
    answers = [json.loads(line) for line in out.splitlines()]
    text = ""
    for answer in answers:
        text += answer["delta"]
        assert answer["text"] == text
    assert text == "music four doctor weather"
    assert [answer["final"] for answer in answers] == [False] * (len(answers) - 1) + [True]
    assert sum(bool(answer["delta"]) for answer in answers) > 1


def test_realtime_takes_its_time(everything):
    recording = recordings()[4]
    began = time.monotonic()
    arguments = [*tell(everything.server, "grpc-stream"), "--realtime", "--chunk-ms", 100, RECORDINGS / recording.name]
    out, _ = run("stream", *arguments)
    assert out == "零九五四\n"
    assert time.monotonic() - began >= len(recording.samples) / 16000


def test_an_interrupted_stream_is_ended(everything):
    arguments = [*tell(everything.server, "http"), "--realtime", "--format", "json", RECORDINGS]
    process = start("stream", *arguments)
    first = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    out, _ = ended(process, 130)
    last = json.loads(out.splitlines()[-1])
    assert not first["final"] and last["final"]
    assert last["recording"] == first["recording"] and last["seconds"] < 2.5


@pytest.mark.parametrize("protocol", ["http", "grpc-stream"])
def test_stability_of_streams(everything, protocol, tmp_path):
    requests = tmp_path / "requests.csv"
    arguments = ["--streaming", "--requests", 44, "--concurrency", 8, "--csv", requests, RECORDINGS]
    out, _ = run("stability", *tell(everything.server, protocol), *arguments)
    with requests.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 44
    texts = golden("paraformer_online")
    assert all(row["text"].replace(" ", "") == texts[Path(row["recording"]).name] for row in rows)
    figures = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert int(figures["answers"]) == sum(int(row["answers"]) for row in rows) > 4 * 44


# A stand-in for the module sounddevice: the only microphone plays a recording, in blocks as odd as real ones.
SOUNDDEVICE = """
import os, threading
import numpy as np
import soundfile

class PortAudioError(Exception): pass
class default: device = (3, 4)

audio, rate = soundfile.read(os.environ["HEARD"], dtype="float32", always_2d=True)
DEVICES = [
    {"name": "Loudspeaker", "index": 0, "max_input_channels": 0},
    {"name": "Virtual", "index": 3, "max_input_channels": audio.shape[1]},
    {"name": "Virtual too", "index": 5, "max_input_channels": audio.shape[1]},
]
for each in DEVICES: each.update(hostapi=0, default_samplerate=float(rate))

def query_devices(): return DEVICES
def query_hostapis(index): return {"name": "Pretence"}
def check_input_settings(device, channels, dtype, samplerate):
    if (samplerate, channels) != (rate, audio.shape[1]):
        raise PortAudioError("Invalid sample rate")

class Status: input_overflow = False

class InputStream:
    def __init__(self, device, samplerate, channels, dtype, blocksize, callback, finished_callback):
        assert device in (3, 5) and (samplerate, channels, dtype) == (rate, audio.shape[1], "float32")
        self.callback = callback
    def start(self):
        self.thread = threading.Thread(target=self.play)
        self.thread.start()
    def play(self):
        sizes = np.random.default_rng(1)
        at = 0
        while at < len(audio):
            buffer = audio[at : at + sizes.integers(1, 3000)].copy()
            self.callback(buffer, len(buffer), None, Status())
            at += len(buffer)
            # A real device uses its buffer again.
            buffer[:] = 9
        open(os.environ["HEARD"] + ".played", "w").close()
    def stop(self): self.thread.join()
    def close(self): pass
"""


@pytest.fixture
def microphone(tmp_path, monkeypatch):
    """Makes a microphone that hears a recording of any rate and channel count; gives the path to its module."""

    def hears(recording, rate, channels):
        heard = resampled(tmp_path / "heard.wav", recording.samples, rate, channels, subtype="FLOAT")
        monkeypatch.setenv("HEARD", str(heard))
        (tmp_path / "sounddevice.py").write_text(SOUNDDEVICE)
        return tmp_path

    return hears


def test_microphones_are_listed_and_chosen(microphone):
    path = microphone(recordings()[0], 16000, 1)
    out, _ = run("microphone", "--list-devices", path=path)
    assert [line.split()[0] for line in out.splitlines()] == ["*", "5"] and "Loudspeaker" not in out
    assert "Virtual too  (Pretence, 1 channels, 16000 Hz)" in out
    for device in ("7", "0", "loud"):
        _, err = run("microphone", "--device", device, path=path, code=1)
        assert f"no microphone is '{device}'" in err
    _, err = run("microphone", "--device", "virt", path=path, code=1)
    assert "3 Virtual, 5 Virtual too" in err


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2), (48000, 1)])
@pytest.mark.parametrize("protocol", ["http", "grpc-stream"])
def test_a_microphone_until_interrupted(everything, microphone, protocol, rate, channels):
    path = microphone(recordings()[1], rate, channels)
    process = start("microphone", "--device", "virtual", *tell(everything.server, protocol), path=path)
    played = path / "heard.wav.played"
    deadline = time.monotonic() + 60
    while not played.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = ended(process, 0)
    assert out == "再见七九二九\n"
    assert f"listening to 'Virtual' at {rate} Hz" in err


def test_nobody_hears_the_microphone(microphone):
    (port,) = free_ports(1)
    path = microphone(recordings()[0], 16000, 1)
    _, err = run("microphone", "--url", f"127.0.0.1:{port}", path=path, code=1)
    assert f"no Triton server answers at 127.0.0.1:{port}" in err
