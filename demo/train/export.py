"""A trained model as ONNX files, by FunASR's own export, with what stands beside them."""

import json

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from sentencepiece import sentencepiece_model_pb2 as pieces_pb2

import models

OPSET = 14


def export(name, model, cmvn, folder):
    """Writes the ONNX files, config.yaml, am.mvn and the vocabulary of the model `name`. The model is of no use after it."""
    folder.mkdir(parents=True, exist_ok=True)
    model.eval()
    config = {key: value for key, value in models.CONFIGS[name].items() if key != "model"}
    parts = model.export(**config, type="onnx", max_seq_len=512, device="cpu")
    for part in parts if isinstance(parts, (list, tuple)) else [parts]:
        if hasattr(part, "NOBIAS"):
            # FunASR's export has the published vocabulary's number in it.
            part.NOBIAS = model.NO_BIAS
        part.eval()
        path = folder / (f"{part.export_name}.onnx" if isinstance(part.export_name, str) else part.export_name())
        _write(part, _inputs(name, part), path)
    if cmvn is not None:
        cmvn.write(folder / "am.mvn")
    models.write_config(name, folder / "config.yaml")
    if name == "vad":
        return
    tokens = models.tokens(name)
    if name == "sensevoice":
        _write_pieces(tokens, folder / "chn_jpn_yue_eng_ko_spectok.bpe.model")
        _quantise(folder / "model.onnx", folder / "model_quant.onnx")
    else:
        (folder / "tokens.json").write_text(json.dumps(tokens, ensure_ascii=False), encoding="utf-8")


def _inputs(name, part):
    """What the exporter runs the model on: FunASR's choice, in this model's width."""
    inputs = part.export_dummy_inputs()
    if name != "seaco":
        return inputs
    if isinstance(inputs, tuple):
        # One hotword, as FunASR has it: the export keeps that number, and by it looks at however many are given.
        speech, lengths, bias = inputs
        return speech, lengths, torch.randn(*bias.shape[:-1], models.WIDTH)
    return inputs.clamp(max=len(models.tokens(name)) - 1)


def _write(part, inputs, path):
    with torch.no_grad():
        torch.onnx.export(
            part, inputs, str(path), opset_version=OPSET, do_constant_folding=True,
            input_names=part.export_input_names(), output_names=part.export_output_names(),
            dynamic_axes=part.export_dynamic_axes(),
        )  # fmt: skip


def _quantise(path, to):
    """int8 as FunASR does it: the matrix products but the output's."""
    nodes = [node.name for node in onnx.load(str(path)).graph.node]
    quantize_dynamic(
        str(path), str(to), op_types_to_quantize=["MatMul"], per_channel=True, reduce_range=False,
        weight_type=QuantType.QUInt8, nodes_to_exclude=[node for node in nodes if "output" in node],
    )  # fmt: skip


def _write_pieces(tokens, path):
    """A sentencepiece model of exactly these pieces."""
    model = pieces_pb2.ModelProto()
    kind = pieces_pb2.ModelProto.SentencePiece.Type
    for index, token in enumerate(tokens):
        special = {"<unk>": kind.UNKNOWN, "<s>": kind.CONTROL, "</s>": kind.CONTROL}
        tag = kind.USER_DEFINED if token.startswith("<|") else kind.NORMAL
        model.pieces.add(piece=token, score=-float(index), type=special.get(token, tag))
    spec = model.trainer_spec
    spec.model_type, spec.vocab_size = pieces_pb2.TrainerSpec.UNIGRAM, len(tokens)
    spec.unk_id, spec.bos_id, spec.eos_id, spec.pad_id = 0, 1, 2, -1
    model.normalizer_spec.name = "identity"
    path.write_bytes(model.SerializeToString())
