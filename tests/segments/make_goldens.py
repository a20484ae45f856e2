#!/usr/bin/env python3
"""Writes goldens.json: what the classes of funasr_onnx answer with the models of models/ and the trained ones of demo/.

    pip download funasr_onnx==0.4.3 --no-deps && unzip funasr_onnx-*.whl
    PYTHONPATH=DIRECTORY_WITH_funasr_onnx:tests python tests/segments/make_goldens.py

Needs the packages of tests/requirements.txt and PyYAML. librosa and jieba, which the package wants and these models do not, are left out.
"""

import json
import sys
import types
from pathlib import Path

import numpy as np

for name in ("librosa", "jieba"):
    sys.modules[name] = types.ModuleType(name)

from funasr_onnx.punc_bin import CT_Transformer, CT_Transformer_VadRealtime  # noqa: E402
from funasr_onnx.utils.e2e_vad import E2EVadModel  # noqa: E402
from funasr_onnx.utils.frontend import WavFrontendOnline  # noqa: E402
from funasr_onnx.vad_bin import Fsmn_vad, Fsmn_vad_online  # noqa: E402

from segments.material import AUDIO, CHUNKS, audio, conversation, cut_up, text  # noqa: E402

HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "demo"
TEXTS = [1, 2, 5, 19, 20, 21, 40, 41, 77, 150, 230, 400]
PIECES = [[4, 9, 3, 12], [1, 1, 1, 5], [25, 40, 8], [60, 1, 60]]
# Of what the demo's models know: sentences of each text, and words of each piece.
TALKS = [1, 2, 5, 11, 42]
SPEECHES = [5, 1, 12, 3, 30]


def plain(segments):
    """Without the batch, as plain numbers."""
    return [[int(ms) for ms in segment] for segment in (segments[0] if segments else [])]


class WholeVad(Fsmn_vad):
    """With a number for a length: newer versions of numpy do not make one of a list of one."""

    def extract_feat(self, waveform_list):
        feats, (length,) = super().extract_feat(waveform_list)
        return feats, length


def vad(model):
    whole = WholeVad(model)
    return [plain(whole(audio(number))) for number in range(AUDIO)]


def vad_streams(model):
    online = Fsmn_vad_online(model)
    streams = []
    for number in (0, 1, 4):
        for chunk in CHUNKS:
            samples = audio(number)
            parts = [samples[start : start + chunk] for start in range(0, len(samples), chunk)]
            # A last part too short for a frame would fail.
            if len(parts[-1]) < 800:
                parts[-2:] = [np.concatenate(parts[-2:])]
            state = {
                "in_cache": [],
                "frontend": WavFrontendOnline(cmvn_file=online.cmvn_file, **online.config["frontend_conf"]),
                "vad_scorer": E2EVadModel(online.config["model_conf"]),
            }
            events = []
            for index, part in enumerate(parts):
                state["is_final"] = index + 1 == len(parts)
                events.append(plain(online(part, param_dict=state)))
            streams.append({"audio": number, "chunk": chunk, "events": events})
    return streams


def texts(model, given):
    model = CT_Transformer(model)
    return [{"text": text, "answer": model(text)[0]} for text in given]


def speeches(model, given):
    model = CT_Transformer_VadRealtime(model)
    speeches = []
    for texts in given:
        state = {"cache": []}
        speeches.append([{"text": text, "answer": model(text, param_dict=state)[0]} for text in texts])
    return speeches


def made():
    """Of the small models that nobody trained."""
    models = HERE / "models"
    given = [text(seed, count) for seed, count in enumerate(TEXTS)]
    pieces = [[text(100 * seed + index, size) for index, size in enumerate(sizes)] for seed, sizes in enumerate(PIECES)]
    return {
        "vad": vad(models / "fsmn_vad"),
        "vad_streams": vad_streams(models / "fsmn_vad"),
        "texts": texts(models / "ct_punc", given),
        "speeches": speeches(models / "ct_punc_realtime", pieces),
    }


def trained():
    """Of the demo's models, which also get words that they do not know."""
    given = [conversation(count) for count in TALKS] + [text(seed, count) for seed, count in enumerate((7, 45, 230))]
    pieces = [cut_up(conversation(sum(TALKS)), SPEECHES), [text(index, size) for index, size in enumerate((9, 40, 2))]]
    return {
        "demo_vad": vad(DEMO / "vad"),
        "demo_vad_streams": vad_streams(DEMO / "vad"),
        "demo_texts": texts(DEMO / "punc", given),
        "demo_speeches": speeches(DEMO / "punc_realtime", pieces),
    }


if __name__ == "__main__":
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in {**made(), **trained()}.items())
    (HERE / "goldens.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
