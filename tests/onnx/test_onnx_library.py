"""Where libonnxruntime is found, and what is said when it is not."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as grpc
from harness import Repository, Server, batching, io, required, tensor

ADD = batching(4) + io(
    [tensor("a", "FP32", [-1]), tensor("b", "FP32", [-1])],
    [tensor("sum", "FP32", [-1]), tensor("difference", "FP32", [-1])],
)


def onnxruntime_library():
    return next(Path(required("BACKENDS_DIR"), "onnxruntime").glob("libonnxruntime.so*"))


@pytest.fixture
def start(tmp_path):
    """start(library name or None, …) starts a server whose backend directory has the library under that name."""
    repository = Repository(tmp_path / "repository")
    repository.add("add", ADD, "add.onnx")

    def start(library=None, **options):
        backends = tmp_path / "backends"
        (backends / "onnxruntime").mkdir(parents=True)
        shutil.copy(Path(required("BACKENDS_DIR"), "onnxruntime", "libtriton_onnxruntime.so"), backends / "onnxruntime")
        if library:
            (backends / "onnxruntime" / library).symlink_to(onnxruntime_library())
        return Server(repository, tmp_path, backends=backends, **options)

    return start


def works(server):
    server.client.load_model("add")
    inputs = [grpc.InferInput(name, [1, 2], "FP32").set_data_from_numpy(np.ones((1, 2), np.float32)) for name in "ab"]
    return server.client.infer("add", inputs).as_numpy("sum").tolist() == [[2, 2]]


@pytest.mark.parametrize("name", ["libonnxruntime.so", "libonnxruntime.so.1", "libonnxruntime.so.1.99.0"])
def test_beside_the_backend(start, name):
    with start(name) as server:
        assert works(server)
        assert f"onnxruntime/{name} (ORT Build Info" in server.log()


def test_by_setting(start):
    with start(arguments=[f"--backend-config=onnxruntime,library-path={onnxruntime_library()}"]) as server:
        assert works(server)


def test_by_environment(start):
    with start(environment={"ORT_DYLIB_PATH": str(onnxruntime_library())}) as server:
        assert works(server)


def test_a_global_thread_pool(start):
    settings = {"enable-global-threadpool": 1, "intra_op_thread_count": 2, "inter_op_thread_count": 1}
    arguments = [f"--backend-config=onnxruntime,{key}={value}" for key, value in settings.items()]
    with start("libonnxruntime.so.1", arguments=arguments) as server:
        assert works(server)


def test_a_setting_that_leads_nowhere(start):
    with start("libonnxruntime.so.1", arguments=["--backend-config=onnxruntime,library-path=/no/such.so"]) as server:
        message = server.load_error("add")
    assert "/no/such.so (library-path)" in message
    assert "(beside the backend)" not in message


def test_no_library_at_all(start):
    with start(environment={"ORT_DYLIB_PATH": "/nowhere/ort.so"}) as server:
        message = server.load_error("add")
    for part in (
        "1.20 or newer",
        "/nowhere/ort.so (ORT_DYLIB_PATH)",
        "libonnxruntime.so.1 (system loader)",
        "/backends/onnxruntime",
        "library-path=",
        "wheel onnxruntime",
    ):
        assert part in message, message


def test_something_else_under_that_name(start, tmp_path):
    other = tmp_path / "other.so"
    other.write_text("not a library " * 100)
    with start(arguments=[f"--backend-config=onnxruntime,library-path={other}"]) as server:
        message = server.load_error("add")
    assert f"{other} (library-path)" in message and "invalid ELF header" in message


# What a library of ONNX Runtime is asked first: its version.
OLD = r"""
static const void *get(unsigned version) { (void)version; return 0; }
static const char *version(void) { return "1.19.2"; }
struct { const void *(*get)(unsigned); const char *(*version)(void); } base = { get, version };
const void *OrtGetApiBase(void) { return &base; }
"""


def test_a_library_that_is_too_old(start, tmp_path):
    old = tmp_path / "libonnxruntime.so.1.19.2"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(old)], input=OLD, text=True, check=True)
    with start(arguments=[f"--backend-config=onnxruntime,library-path={old}"]) as server:
        message = server.load_error("add")
    assert f"{old} (library-path): is version 1.19.2, which is too old" in message
    assert "version 1.20 or newer" in message


def test_the_server_ends_in_peace(start):
    with start("libonnxruntime.so.1") as server:
        assert works(server)
        assert server.stop() == 0
