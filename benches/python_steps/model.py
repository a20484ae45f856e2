"""A model of Triton's Python backend: the step that its config's parameter `component` names."""

import json
from pathlib import Path

import front_end
import scoring
import streams
import triton_python_backend_utils as pb_utils

COMPONENTS = {
    "feature_extractor": front_end.FeatureExtractor,
    "ctc_scoring": scoring.CtcScoring,
    "paraformer_scoring": scoring.ParaformerScoring,
    "online_feature_extractor": streams.OnlineFeatureExtractor,
    "lfr_cmvn_pe": streams.LfrCmvnPe,
    "cif_search": streams.CifSearch,
}


class TritonPythonModel:
    """What the backend loads."""

    def initialize(self, args):
        """Loads the step with its files."""
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        directory = Path(args["model_repository"])
        self.step = COMPONENTS[parameters["component"]](parameters, directory)

    def execute(self, requests):
        """One response a request; an error belongs to the request that caused it."""
        return [self.answer(request) for request in requests]

    def answer(self, request):
        """The step's answer to one request."""
        try:
            outputs = self.step(request)
        except Exception as error:  # noqa: BLE001: whatever is wrong with this request, the others go on
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in outputs.items()])
