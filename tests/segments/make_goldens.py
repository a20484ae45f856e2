#!/usr/bin/env python3
"""Writes goldens.json: what the classes of funasr_onnx answer with the models of models/.

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

from segments.material import AUDIO, CHUNKS, audio, text  # noqa: E402

HERE = Path(__file__).parent
TEXTS = [1, 2, 5, 19, 20, 21, 40, 41, 77, 150, 230, 400]
PIECES = [[4, 9, 3, 12], [1, 1, 1, 5], [25, 40, 8], [60, 1, 60]]


def plain(segments):
    """Without the batch, as plain numbers."""
    return [[int(ms) for ms in segment] for segment in (segments[0] if segments else [])]


class WholeVad(Fsmn_vad):
    """With a number for a length: newer versions of numpy do not make one of a list of one."""

    def extract_feat(self, waveform_list):
        feats, (length,) = super().extract_feat(waveform_list)
        return feats, length


def vad():
    whole = WholeVad(HERE / "models/fsmn_vad")
    return [plain(whole(audio(number))) for number in range(AUDIO)]


def vad_streams():
    online = Fsmn_vad_online(HERE / "models/fsmn_vad")
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


def texts():
    model = CT_Transformer(HERE / "models/ct_punc")
    return [{"text": text(seed, count), "answer": model(text(seed, count))[0]} for seed, count in enumerate(TEXTS)]


def speeches():
    model = CT_Transformer_VadRealtime(HERE / "models/ct_punc_realtime")
    speeches = []
    for seed, sizes in enumerate(PIECES):
        state, pieces = {"cache": []}, []
        for index, size in enumerate(sizes):
            piece = text(100 * seed + index, size)
            pieces.append({"text": piece, "answer": model(piece, param_dict=state)[0]})
        speeches.append(pieces)
    return speeches


if __name__ == "__main__":
    goldens = {"vad": vad(), "vad_streams": vad_streams(), "texts": texts(), "speeches": speeches()}
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in goldens.items())
    (HERE / "goldens.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
