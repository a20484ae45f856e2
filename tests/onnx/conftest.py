import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc
from tritonclient.utils import np_to_triton_dtype

sys.path.insert(0, str(Path(__file__).parent))

from harness import Repository, Server  # noqa: E402


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return Repository(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def onnx_server(repository, tmp_path_factory):
    """One server per module. Its repository may grow while it runs; models are loaded when a test asks for them."""
    with Server(repository, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def infer(onnx_server):
    """infer(model, {name: array}, [outputs]) -> {name: array}"""

    def infer(model, inputs, outputs=None, **options):
        given = []
        for name, array in inputs.items():
            kind, array = array if isinstance(array, tuple) else (np_to_triton_dtype(array.dtype), array)
            given.append(grpc.InferInput(name, array.shape, kind).set_data_from_numpy(array))
        wanted = [grpc.InferRequestedOutput(name) for name in outputs] if outputs else None
        result = onnx_server.client.infer(model, given, outputs=wanted, client_timeout=60, **options)
        return {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}

    return infer


@pytest.fixture
def together():
    """together([f, g, …]) calls all at the same time and returns what each returned, or with errors=True raised."""

    def together(calls, errors=False):
        def outcome(call):
            try:
                return call()
            except grpc.InferenceServerException as error:
                if errors:
                    return error
                raise

        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(outcome, calls))

    return together


@pytest.fixture
def statistics(onnx_server):
    """statistics(model, requests) waits until so many requests are counted -> the counts, and {rows: executions}

    The server counts a request after it has answered it.
    """

    def statistics(model, requests):
        deadline = time.monotonic() + 10
        while True:
            stats = onnx_server.client.get_inference_statistics(model).model_stats[0]
            batches = {entry.batch_size: entry.compute_infer.count for entry in stats.batch_stats}
            answered = stats.inference_stats.success.count + stats.inference_stats.fail.count
            # The batch is counted last, with the last of its requests.
            if (answered >= requests and batches) or time.monotonic() > deadline:
                return stats, batches
            time.sleep(0.01)

    return statistics


@pytest.fixture
def rng():
    return np.random.default_rng(7)
