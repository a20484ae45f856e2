"""Writes vad.json, decibels.json, text.json and pieces.json: what the classes of funasr_onnx answer to seeded random scores and texts.

    pip download funasr_onnx==0.4.3 --no-deps && unzip funasr_onnx-*.whl
    python make_goldens.py DIRECTORY_WITH_funasr_onnx     (needs numpy 2)

The classes run as they are; only the ONNX session is replaced by answers that tests/goldens/mod.rs computes as well.
"""

import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
MASK = (1 << 64) - 1


def mixed(seed: int, lane: int, index: int) -> int:
    """Sixty-four bits that nothing but the three numbers decide (splitmix64)."""
    value = (seed * 0x9E3779B97F4A7C15 + lane * 0xD1B54A32D192ED03 + index * 0x2545F4914F6CDD1D) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def unit(seed: int, lane: int, index: int) -> float:
    """In [0, 1), a multiple of 2^-24: no rounding in single precision."""
    return (mixed(seed, lane, index) >> 40) / (1 << 24)


def runs(seed: int, frames: int, longest: float):
    """Speech (True) and silence in turn, a value a frame."""
    speech, run = False, 0
    while frames > 0:
        length = min(frames, 1 + int(unit(seed, 1, run) * unit(seed, 2, run) * longest))
        yield from [speech] * length
        frames -= length
        speech, run = not speech, run + 1


def scores(seed: int, frames: int, longest: float) -> np.ndarray:
    """[frames, 3]: two kinds of silence (classes 0 and 1) and speech."""
    rows = []
    for frame, speech in enumerate(runs(seed, frames, longest)):
        doubt = 0.001 + 0.4 * unit(seed, 3, frame)
        if unit(seed, 4, frame) < 0.03:
            doubt = 1.0 - doubt
        silence = doubt if speech else 1.0 - doubt
        share = unit(seed, 5, frame)
        rows.append([silence * share, silence * (1.0 - share), 1.0 - silence])
    return np.array(rows, dtype=np.float64).astype(np.float32)


def waveform(seed: int, frames: int, longest: float) -> np.ndarray:
    """Samples of as many frames: loud in speech, faint in silence, every fifth second nothing at all."""
    loud = list(runs(seed, frames, longest))
    samples = np.zeros((frames - 1) * 160 + 400, dtype=np.float64)
    for index in range(len(samples)):
        frame = min(index // 160, frames - 1)
        level = 0.0 if frame // 100 % 5 == 4 else (0.25 if loud[frame] else 0.001 + 0.01 * unit(seed, 6, frame))
        samples[index] = (2.0 * unit(seed, 7, index) - 1.0) * level
    return samples.astype(np.float32)


def chunks(seed: int, frames: int, most: int):
    """Numbers of frames that add up to all."""
    index = 0
    while frames > 0:
        size = min(frames, 1 + int(unit(seed, 8, index) * most))
        yield size
        frames -= size
        index += 1


def oracle(root: Path):
    spec = importlib.util.spec_from_file_location("e2e_vad", root / "funasr_onnx/utils/e2e_vad.py")
    vad = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(vad)
    for name in ["onnxruntime", "jieba", "librosa", "kaldi_native_fbank", "yaml"]:
        try:
            importlib.import_module(name)
        except ImportError:
            stub = types.ModuleType(name)
            for member in ["GraphOptimizationLevel", "InferenceSession", "SessionOptions", "get_available_providers", "get_device", "Loader"]:
                setattr(stub, member, None)
            sys.modules[name] = stub
    package = types.ModuleType("funasr_onnx")
    package.__path__ = [str(root / "funasr_onnx")]
    sys.modules["funasr_onnx"] = package
    return vad.E2EVadModel, importlib.import_module("funasr_onnx.punc_bin")


VAD_OPTIONS = [
    {},
    {"max_end_silence_time": 300},
    {"max_end_silence_time": 100},
    {"do_extend": 0},
    {"do_extend": 0, "max_end_silence_time": 400, "speech_to_sil_time_thres": 50},
    {"max_single_segment_time": 1000},
    {"max_single_segment_time": 2005, "max_end_silence_time": 1200},
    {"speech_noise_thres": 0.2},
    {"speech_noise_thres": 0.9, "window_size_ms": 120, "sil_to_speech_time_thres": 60},
    {"sil_to_speech_time_thres": 10, "window_size_ms": 50, "speech_to_sil_time_thres": 0, "lookback_time_start_point": 0},
    {"sil_to_speech_time_thres": 10, "window_size_ms": 30, "speech_to_sil_time_thres": 20, "max_single_segment_time": 150},
    {"sil_to_speech_time_thres": 10, "window_size_ms": 10, "speech_to_sil_time_thres": 0, "max_single_segment_time": 10},
    {"lookback_time_start_point": 450, "lookahead_time_end_point": 350},
    {"decibel_thres": -22.0},
    {"decibel_thres": 5.0, "max_end_silence_time": 500},
    {"snr_thres": 10.0, "noise_frame_num_used_for_snr": 20},
    {"snr_thres": 25.0, "decibel_thres": -5.0},
    {"speech_2_noise_ratio": 0.7},
    {"speech_2_noise_ratio": 2.5, "speech_noise_thres": 0.3},
    {"fe_prior_thres": 1.5},
    {"detect_mode": 0},
    {"detect_mode": 0, "max_start_silence_time": 300},
    {"silence_pdf_num": 2, "sil_pdf_ids": [0, 1]},
    {"silence_pdf_num": 1, "sil_pdf_ids": [1], "speech_noise_thres": 0.1},
    {"frame_in_ms": 20, "frame_length_ms": 25},
]


def vad_cases(model):
    cases = []
    for number, options in enumerate(VAD_OPTIONS):
        for turn, (frames, longest, most) in enumerate([(700, 300, 90), (900, 120, 25), (400, 60, 400), (160, 400, 7)]):
            seed = 1000 * number + turn
            options = {"silence_pdf_num": 2, "sil_pdf_ids": [0, 1], **options}
            shift = options.get("frame_in_ms", 10) * 16
            all_scores, samples = scores(seed, frames, longest), waveform(seed, frames, longest)
            if shift != 160:  # as many frames as there are in that audio
                frames = (len(samples) - 400) // shift + 1
                all_scores = all_scores[:frames]
            case = {"options": options, "seed": seed, "frames": len(loud_frames(samples)), "used": frames, "longest": longest, "most": most}
            for online in [False, True]:
                detector, first, answers = model(options), 0, []
                for size in chunks(seed, frames, most):
                    last = first + size == frames
                    part = samples[first * shift : (first + size - 1) * shift + 400]
                    answer = detector(
                        all_scores[None, first : first + size],
                        part[None],
                        is_final=last,
                        max_end_sil=options.get("max_end_silence_time", 800),
                        online=online,
                    )
                    answers.append([[int(ms) for ms in segment] for segment in answer[0]] if answer else [])
                    first += size
                case["online" if online else "offline"] = answers
            cases.append(case)
    return cases


def loud_frames(samples):
    return range((len(samples) - 400) // 160 + 1)


def decibel_cases(model):
    cases = []
    for seed, longest in [(1, 40), (2, 200)]:
        detector = model({})
        detector.waveform = waveform(seed, 60, longest)[None]
        detector.ComputeDecibel()
        # As written in full: bits, not decimals that are nearly them.
        cases.append({"seed": seed, "frames": 60, "longest": longest, "decibels": [value.hex() for value in detector.decibel]})
    return cases


MARKS = ["<unk>", "_", ",", "。", "?", "、"]
WORDS = "我 你 他 们 去 来 吗 好 天 气 很 今 明 hello world it's 3.5 ok New York a".split()


def spoken(seed: int, count: int) -> str:
    """A text of so many words, some of which are not in the vocabulary; spaces stand also where none are needed."""
    pool = WORDS + ["没", "unseen"]
    text, english = "", False
    for index in range(count):
        word = pool[mixed(seed, 20, index) % len(pool)]
        space = mixed(seed, 21, index) % 4 == 0
        text += (" " if space or (english and word.isascii()) else "") + word
        english = word.isascii()
    return text


def best(seed: int, style: int, ids, masked: int) -> list:
    """The marks that the session answers: they depend on a word, the next one, how many there are and what is masked."""
    marks = []
    for index, word in enumerate(ids):
        following = ids[index + 1] if index + 1 < len(ids) else 999
        roll = mixed(seed, int(word) + 1000 * int(following), len(ids) // 30 + 7 * (masked % 5)) % 100
        table = [[(4, 3), (8, 4), (20, 2), (24, 5)], [(25, 2), (30, 5)], [(1, 2)], []][style]
        marks.append(next((mark for limit, mark in table if roll < limit), 1))
    return marks


def answer(seed, style):
    def run(inputs):
        ids = inputs[0][0]
        masked = int((inputs[2] == 0).sum()) if len(inputs) > 2 else 0
        if len(inputs) > 2:
            assert inputs[2].shape == (1, 1, len(ids), len(ids)) and (inputs[2] == inputs[3]).all()
        assert inputs[1].tolist() == [len(ids)]
        scores = np.zeros((1, len(ids), len(MARKS)), dtype=np.float32)
        for index, mark in enumerate(best(seed, style, ids, masked)):
            scores[0, index, mark] = 1.0
        return [scores]

    return run


def punctuator(kind, module, seed, style):
    made = kind.__new__(kind)
    made.converter = module.TokenIDConverter(WORDS + ["<unk>"])
    made.punc_list = ["，" if mark == "," else "？" if mark == "?" else mark for mark in MARKS]
    made.period = 3
    made.seg_jieba = False
    made.ort_infer = answer(seed, style)
    return made


def text_cases(module):
    cases = []
    for style in range(4):
        for seed, words in enumerate([1, 2, 3, 19, 20, 21, 40, 41, 60, 99, 333, 800] + 25 * [45]):
            text = spoken(seed + 100 * style, words)
            made = punctuator(module.CT_Transformer, module, seed, style)
            with_marks, marks = made(text)
            cases.append({"seed": seed, "style": style, "text": text, "answer": with_marks})
    return cases


def piece_cases(module):
    cases = []
    for style in range(4):
        for seed, sizes in enumerate([[5, 7, 3], [1, 1, 1, 1, 2], [12, 30, 25, 8], [90, 150, 60], [20, 20, 20]]):
            made = punctuator(module.CT_Transformer_VadRealtime, module, seed, style)
            state, pieces = {"cache": []}, []
            for index, size in enumerate(sizes):
                text = spoken(1000 + seed + 100 * style + 10_000 * index, size)
                with_marks, _, cache = made(text, param_dict=state)
                pieces.append({"text": text, "answer": with_marks, "cache": list(cache)})
            cases.append({"seed": seed, "style": style, "pieces": pieces})
    return cases


def write(name, cases):
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)
    (HERE / name).write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def main():
    model, punc = oracle(Path(sys.argv[1]))
    write("vad.json", vad_cases(model))
    write("decibels.json", decibel_cases(model))
    write("text.json", text_cases(punc))
    write("pieces.json", piece_cases(punc))


if __name__ == "__main__":
    main()
