"""FunASR's own classes with seeded random weights, exported by FunASR's own export."""

import contextlib
import functools
import importlib
import importlib.machinery
import importlib.util
import io
import math
import sys
import types

from published import FEATURES, FRAMES_PER_SECOND

# FunASR reads audio with these, and imports them with its models. Nothing here has audio.
OF_AUDIO = ("librosa", "kaldiio", "torchaudio")

TOKENS_PER_SECOND = 4
SAMPLE_SECONDS = 30
# The windows that a streaming encoder is given: frames in all, and those whose tokens count.
WINDOW, COUNTED = 20, slice(5, 15)


class _Empty:
    """Finds an empty module for each of OF_AUDIO."""

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name in OF_AUDIO else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        pass


@functools.cache
def import_funasr():
    """FunASR's table of classes, with what these models need in it."""
    sys.meta_path.append(_Empty())
    # FunASR's own __init__ imports all of it, with packages for downloads and training.
    package = types.ModuleType("funasr")
    package.__path__ = list(importlib.util.find_spec("funasr").submodule_search_locations)
    sys.modules["funasr"] = package
    models = ["sense_voice.model", "paraformer.model", "bicif_paraformer.model", "paraformer_streaming.model"]
    parts = ["sanm.encoder", "scama.encoder", "paraformer.decoder", "paraformer.cif_predictor", "bicif_paraformer.cif_predictor"]
    # It says that there is no ffmpeg.
    with contextlib.redirect_stdout(io.StringIO()):
        for name in models + parts:
            importlib.import_module(f"funasr.models.{name}")
    return importlib.import_module("funasr.register").tables


def build(published, seed):
    """A model with random weights, as its class draws them."""
    import torch

    tables = import_funasr()
    torch.manual_seed(seed)
    arguments = {**published.config(), **published.model_conf}
    for name in ("model", "model_conf", "frontend", "frontend_conf"):
        arguments.pop(name)
    model = tables.model_classes[published.model](input_size=FEATURES, vocab_size=published.vocabulary, **arguments)
    return model.eval()


def parameters(model):
    return sum(each.numel() for each in model.parameters())


def export(model, published, directory):
    """Writes the ONNX files."""
    from funasr.utils import export_utils

    config = published.config()
    names = {name: config[name] for name in ("encoder", "decoder", "predictor") if name in config}
    with contextlib.redirect_stdout(io.StringIO()):
        export_utils.export(
            _Speaking(model, published),
            type="onnx",
            output_dir=str(directory),
            # Nowhere: FunASR asks for it all the same.
            init_param="",
            device="cpu",
            **names,
        )
    for file in published.files:
        _repair(directory / file)


def _repair(path):
    """Gives the mask that picks Paraformer's places for tokens the axis which it lacks.

    Inside of a scripted function torch 1.12 does not know how many axes a tensor has, and exports `places[mask] = tokens` as if both had as
    many. Later ones do.
    """
    import onnx

    model = onnx.load(path)
    if _widen_masks(model.graph):
        onnx.save(model, path)


def _widen_masks(graph):
    """Also in the branches of FunASR since 1.3; whether there was anything to do."""
    import onnx

    made = {name: node for node in graph.node for name in node.output}

    def lacks_axis(node):
        if node.op_type != "Expand":
            return False
        mask, shape = (made.get(name) for name in node.input)
        return mask is not None and mask.op_type == "Less" and shape is not None and shape.op_type == "Shape"

    masks = [(place, node) for place, node in enumerate(graph.node) if lacks_axis(node)]
    for place, node in reversed(masks):
        axis, wide = f"{node.name}_axis", f"{node.name}_mask"
        constant = onnx.helper.make_tensor(axis, onnx.TensorProto.INT64, [1], [-1])
        unsqueeze = onnx.helper.make_node("Unsqueeze", [node.input[0], axis], [wide], name=wide)
        node.input[0] = wide
        graph.node.insert(place, unsqueeze)
        graph.node.insert(place, onnx.helper.make_node("Constant", [], [axis], name=axis, value=constant))
    branches = [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
    inner = [_widen_masks(branch) for branch in branches]
    return bool(masks) or any(inner)


class _Speaking:
    """A model that says about as much as people do, once it has the form in which it is exported."""

    def __init__(self, model, published):
        self.model = model
        self.published = published

    def export(self, **options):
        import torch

        exported = self.model.export(**options)
        with torch.no_grad():
            if self.published.predictor is None:
                _speak_pieces(exported)
            else:
                online = isinstance(exported, tuple)
                _speak_tokens(exported[0] if online else exported, online)
        return exported


def _speak_pieces(model):
    """Raises the blank's score until the other pieces have TOKENS_PER_SECOND."""
    import torch

    frames = int(SAMPLE_SECONDS * FRAMES_PER_SECOND)
    ids = torch.tensor([0], dtype=torch.int32)
    lengths = torch.tensor([frames], dtype=torch.int32)
    scores, _ = model(torch.randn(1, frames, FEATURES), lengths, ids, ids + 15)
    ahead = scores[0, :, 1:].max(dim=-1).values - scores[0, :, 0]
    model.ctc.ctc_lo.bias[0] += torch.quantile(ahead, 1 - TOKENS_PER_SECOND / FRAMES_PER_SECOND)


def _speak_tokens(model, online):
    """Shifts what the predictor gives its sigmoid until the weights add up to TOKENS_PER_SECOND."""
    import torch

    frames = int(SAMPLE_SECONDS * FRAMES_PER_SECOND)
    if online:
        # What lfr_cmvn_pe hands out has the encoder's scale already.
        shape = (frames // WINDOW, WINDOW, FEATURES)
        speech = torch.randn(shape) * math.sqrt(model.encoder._output_size)
    else:
        speech = torch.randn(1, frames, FEATURES)
    lengths = torch.full(speech.shape[:1], speech.shape[1], dtype=torch.int32)
    encoded, lengths = model.encoder(speech, lengths, online=online)
    mask = model.make_pad_mask(lengths)[:, None, :]
    if hasattr(model.predictor, "forward_cnn"):
        weights, _ = model.predictor.forward_cnn(encoded, mask)
    else:
        # BiCif's; behind the frames' weights it has the tail's.
        weights = model.predictor(encoded, mask)[2][:, :-1]
    given = torch.logit(weights[:, COUNTED] if online else weights, eps=1e-6)
    low, high = -20.0, 20.0
    for _ in range(40):
        shift = (low + high) / 2
        if torch.sigmoid(given + shift).mean() > TOKENS_PER_SECOND / FRAMES_PER_SECOND:
            high = shift
        else:
            low = shift
    model.predictor.cif_output.bias += shift
