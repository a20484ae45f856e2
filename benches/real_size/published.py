"""The published models' sizes, as the config.yaml files beside them have them."""

from dataclasses import dataclass, field, replace

FEATURES = 560
FRONTEND = {"fs": 16000, "window": "hamming", "n_mels": 80, "frame_length": 25, "frame_shift": 10, "lfr_m": 7, "lfr_n": 6}
# LFR frames are 60 ms each.
FRAMES_PER_SECOND = 1000 / FRONTEND["frame_shift"] / FRONTEND["lfr_n"]

ENCODER = {
    "output_size": 512,
    "attention_heads": 4,
    "linear_units": 2048,
    "num_blocks": 50,
    "dropout_rate": 0.1,
    "positional_dropout_rate": 0.1,
    "attention_dropout_rate": 0.1,
    "input_layer": "pe",
    "pos_enc_class": "SinusoidalPositionEncoder",
    "normalize_before": True,
    "kernel_size": 11,
    "sanm_shfit": 0,
    "selfattention_layer_type": "sanm",
}
DECODER = {
    "attention_heads": 4,
    "linear_units": 2048,
    "num_blocks": 16,
    "dropout_rate": 0.1,
    "positional_dropout_rate": 0.1,
    "self_attention_dropout_rate": 0.1,
    "src_attention_dropout_rate": 0.1,
    "att_layer_num": 16,
    "kernel_size": 11,
    "sanm_shfit": 0,
}
PREDICTOR = {"idim": 512, "threshold": 1.0, "l_order": 1, "r_order": 1, "tail_threshold": 0.45}
# The second head, which tells when words were said.
TIMES = {"smooth_factor2": 0.25, "noise_threshold2": 0.01, "upsample_times": 3, "upsample_type": "cnn_blstm", "use_cif1_cnn": False}


@dataclass(frozen=True)
class Published:
    """One model: FunASR's class, what it is made with, and its vocabulary."""

    model: str
    vocabulary: int
    # About how many it has, to see that it is the published one.
    parameters: float
    encoder: str
    encoder_conf: dict
    decoder: str | None = None
    decoder_conf: dict = field(default_factory=dict)
    predictor: str | None = None
    predictor_conf: dict = field(default_factory=dict)
    model_conf: dict = field(default_factory=dict)
    files: tuple = ("model.onnx",)

    def with_blocks(self, count):
        """The same with so many blocks of each kind."""
        fewer = lambda conf: {key: count if "blocks" in key or key == "att_layer_num" else conf[key] for key in conf}  # noqa: E731
        return replace(self, encoder_conf=fewer(self.encoder_conf), decoder_conf=fewer(self.decoder_conf))

    def config(self):
        """config.yaml, as far as anything here or in FunASR reads it."""
        sections = {"model": self.model, "model_conf": self.model_conf}
        for name in ("encoder", "decoder", "predictor"):
            if getattr(self, name):
                sections |= {name: getattr(self, name), f"{name}_conf": getattr(self, f"{name}_conf")}
        return sections | {"frontend": "WavFrontend", "frontend_conf": FRONTEND}


PARAFORMER = {
    "ctc_weight": 0.0,
    "lsm_weight": 0.1,
    "length_normalized_loss": True,
    "predictor_weight": 1.0,
    "predictor_bias": 1,
    "sampling_ratio": 0.75,
}

MODELS = {
    "sensevoice": Published(
        model="SenseVoiceSmall",
        vocabulary=25055,
        parameters=234e6,
        encoder="SenseVoiceEncoderSmall",
        encoder_conf=ENCODER | {"tp_blocks": 20},
        model_conf={"length_normalized_loss": True, "sos": 1, "eos": 2, "ignore_id": -1},
    ),
    "paraformer": Published(
        model="Paraformer",
        vocabulary=8404,
        parameters=220e6,
        encoder="SANMEncoder",
        encoder_conf=ENCODER,
        decoder="ParaformerSANMDecoder",
        decoder_conf=DECODER,
        predictor="CifPredictorV2",
        predictor_conf=PREDICTOR,
        model_conf=PARAFORMER,
    ),
    "paraformer-bicif": Published(
        model="BiCifParaformer",
        vocabulary=8404,
        parameters=225e6,
        encoder="SANMEncoder",
        encoder_conf=ENCODER,
        decoder="ParaformerSANMDecoder",
        decoder_conf=DECODER,
        predictor="CifPredictorV3",
        predictor_conf=PREDICTOR | TIMES,
        model_conf=PARAFORMER,
    ),
    "paraformer-online": Published(
        model="ParaformerStreaming",
        vocabulary=8404,
        parameters=220e6,
        encoder="SANMEncoderChunkOpt",
        encoder_conf=ENCODER
        | {
            "input_layer": "pe_online",
            "pos_enc_class": "StreamSinusoidalPositionEncoder",
            "chunk_size": [12, 15],
            "stride": [8, 10],
            "pad_left": [0, 0],
            "encoder_att_look_back_factor": [4, 4],
            "decoder_att_look_back_factor": [1, 1],
        },
        decoder="ParaformerSANMDecoder",
        decoder_conf=DECODER | {"sanm_shfit": 5},
        predictor="CifPredictorV2",
        predictor_conf=PREDICTOR,
        model_conf=PARAFORMER,
        files=("model.onnx", "decoder.onnx"),
    ),
}


def yaml(value, depth=0):
    """The text of a config.yaml."""
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += ["    " * depth + f"{key}:", yaml(item, depth + 1)] if item else []
        elif isinstance(item, bool):
            lines.append("    " * depth + f"{key}: {str(item).lower()}")
        else:
            lines.append("    " * depth + f"{key}: {item}")
    return "\n".join(lines)
