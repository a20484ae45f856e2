"""The models: FunASR's classes at demo size, and the config.yaml that tells of them."""

import yaml

import funasr  # noqa: F401  fills the tables
from funasr.register import tables

from words import hotword_tokens, paraformer_tokens, sensevoice_tokens

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
}  # fmt: skip


def tokens(name):
    """A model's vocabulary by id."""
    return {"sensevoice": sensevoice_tokens, "seaco": hotword_tokens}.get(name, paraformer_tokens)()


def build(name):
    """The model with random weights, as FunASR builds it."""
    config = CONFIGS[name]
    arguments = {key: value for key, value in config.items() if key not in ("model", "model_conf", "frontend", "frontend_conf")}
    arguments["encoder_conf"] = {**config["encoder_conf"], **DROPOUT}
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
