"""The models: FunASR's classes at demo size, and the config.yaml that tells of them."""

import yaml

import funasr  # noqa: F401  fills the tables
from funasr.register import tables

from words import MARKS, hotword_tokens, paraformer_tokens, sensevoice_tokens

WIDTH = 128

ENCODER = {"output_size": WIDTH, "attention_heads": 4, "linear_units": 384, "num_blocks": 6, "kernel_size": 11}
PARAFORMER_ENCODER = {**ENCODER, "input_layer": "pe"}
DECODER = {"attention_heads": 4, "linear_units": 256, "num_blocks": 4, "att_layer_num": 4, "kernel_size": 11}
PREDICTOR = {"idim": WIDTH, "threshold": 1.0, "l_order": 1, "r_order": 1, "tail_threshold": 0.45}
# The published models' second head: three alphas a frame, each at most 0.24.
TIMES = {
    "smooth_factor2": 0.25, "noise_threshold2": 0.01, "upsample_times": 3, "upsample_type": "cnn_blstm",
    "use_cif1_cnn": False,
}  # fmt: skip
FRONTEND = {
    "fs": 16000, "window": "hamming", "n_mels": 80, "frame_length": 25, "frame_shift": 10, "lfr_m": 7, "lfr_n": 6,
}  # fmt: skip
DROPOUT = {"dropout_rate": 0.05, "positional_dropout_rate": 0.05, "attention_dropout_rate": 0.05}


def _paraformer(name, predictor="CifPredictorV2", **more):
    return {
        "model": name,
        "encoder": "SANMEncoder", "encoder_conf": PARAFORMER_ENCODER,
        "decoder": "ParaformerSANMDecoder", "decoder_conf": DECODER,
        "predictor": predictor, "predictor_conf": {**PREDICTOR, **(TIMES if predictor == "CifPredictorV3" else {})},
        # One token more than was said: the end.
        "model_conf": {"ctc_weight": 0.0, "predictor_weight": 1.0, "predictor_bias": 1, "sampling_ratio": 0.75},
        **more,
        "frontend": "WavFrontend", "frontend_conf": FRONTEND,
    }  # fmt: skip


def _punctuation(name, encoder, **more):
    return {
        "model": name,
        # Without mark 0 where nothing is asked; mark 3 ends a sentence.
        "model_conf": {
            "ignore_id": 0, "embed_unit": 64, "att_unit": 64, "dropout_rate": 0.05, "punc_list": MARKS, "sentence_end_id": 3,
        },
        "encoder": encoder,
        "encoder_conf": {
            "input_size": 64, "output_size": 64, "attention_heads": 4, "linear_units": 128, "num_blocks": 3, "input_layer": "pe",
            "kernel_size": 11, **more,
        },
    }  # fmt: skip


CONFIGS = {
    "sensevoice": {
        "model": "SenseVoiceSmall",
        "encoder": "SenseVoiceEncoderSmall",
        "encoder_conf": {**ENCODER, "num_blocks": 4, "tp_blocks": 2},
        "frontend": "WavFrontend", "frontend_conf": FRONTEND,
    },
    "paraformer": _paraformer("Paraformer"),
    "paraformer_online": {
        **_paraformer("ParaformerStreaming"),
        "encoder": "SANMEncoderChunkOpt",
        "encoder_conf": {**ENCODER, "input_layer": "pe_online"},
        "model_conf": {"ctc_weight": 0.0, "predictor_weight": 1.0, "predictor_bias": 0, "sampling_ratio": 0.75},
    },
    "paraformer_bicif": _paraformer("BiCifParaformer", "CifPredictorV3"),
    "seaco": _paraformer(
        "SeacoParaformer", "CifPredictorV3",
        # The export reads attention in the sixth block, so there have to be six.
        seaco_decoder="ParaformerSANMDecoder",
        seaco_decoder_conf={
            "attention_heads": 4, "linear_units": 128, "num_blocks": 6, "att_layer_num": 6, "kernel_size": 11,
            "use_output_layer": False, "wo_input_layer": True,
        },
        bias_encoder_type="lstm", bias_encoder_bid=False, inner_dim=WIDTH, NO_BIAS=hotword_tokens().index("<nobias>"),
    ),
    # The end point's parameters are the published ones.
    "vad": {
        "model": "FsmnVADStreaming",
        "model_conf": {
            "sample_rate": 16000, "detect_mode": 1, "snr_mode": 0, "max_end_silence_time": 800, "max_start_silence_time": 3000,
            "do_start_point_detection": True, "do_end_point_detection": True, "window_size_ms": 200,
            "sil_to_speech_time_thres": 150, "speech_to_sil_time_thres": 150, "speech_2_noise_ratio": 1.0, "do_extend": 1,
            "lookback_time_start_point": 200, "lookahead_time_end_point": 100, "max_single_segment_time": 60000,
            "snr_thres": -100.0, "noise_frame_num_used_for_snr": 100, "decibel_thres": -100.0, "speech_noise_thres": 0.6,
            "fe_prior_thres": 0.0001, "silence_pdf_num": 1, "sil_pdf_ids": [0], "speech_noise_thresh_low": -0.1,
            "speech_noise_thresh_high": 0.3, "output_frame_probs": False, "frame_in_ms": 10, "frame_length_ms": 25,
        },
        "encoder": "FSMN",
        "encoder_conf": {
            "input_dim": 400, "input_affine_dim": 64, "fsmn_layers": 4, "linear_dim": 96, "proj_dim": 48, "lorder": 20, "rorder": 0,
            "lstride": 1, "rstride": 0, "output_affine_dim": 48, "output_dim": 2,
        },
        "frontend": "WavFrontendOnline",
        "frontend_conf": {**FRONTEND, "dither": 0.0, "lfr_m": 5, "lfr_n": 1},
    },
    "punc": _punctuation("CTTransformer", "SANMEncoder", sanm_shfit=0),
    # Its memory blocks look back only.
    "punc_realtime": _punctuation("CTTransformerStreaming", "SANMVadEncoder", sanm_shfit=5),
}  # fmt: skip

# Those that take text, and no sound.
PUNCTUATION = ("punc", "punc_realtime")


def tokens(name):
    """A model's vocabulary by id."""
    return {"sensevoice": sensevoice_tokens, "seaco": hotword_tokens}.get(name, paraformer_tokens)()


def build(name):
    """The model with random weights, as FunASR builds it."""
    config = CONFIGS[name]
    arguments = {key: value for key, value in config.items() if key not in ("model", "model_conf", "frontend", "frontend_conf")}
    # FSMN has none.
    arguments["encoder_conf"] = {**config["encoder_conf"], **({} if config["encoder"] == "FSMN" else DROPOUT)}
    if "decoder_conf" in config:
        arguments["decoder_conf"] = {
            **config["decoder_conf"],
            "dropout_rate": 0.05, "self_attention_dropout_rate": 0.05, "src_attention_dropout_rate": 0.05,
        }  # fmt: skip
    cls = tables.model_classes[config["model"]]
    return cls(input_size=560, vocab_size=len(tokens(name)), **arguments, **config.get("model_conf", {}))


def write_config(name, path):
    """config.yaml beside the model, as FunASR's tools read it."""
    # Without it, yaml gives shared parts a name and refers to them.
    dumper = type("Plain", (yaml.SafeDumper,), {"ignore_aliases": lambda *_: True})
    path.write_text(yaml.dump(CONFIGS[name], Dumper=dumper, sort_keys=False, indent=4, allow_unicode=True))
