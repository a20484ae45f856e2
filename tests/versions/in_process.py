"""A Triton server inside this Python process, without a program called tritonserver: what it answers to a recording.

    in_process.py LIBTRITONSERVER REPOSITORY BACKENDS WAV

prints the transcript. The library is opened for this module alone (RTLD_LOCAL), as a Python extension with a server in it is, so none of the
server's functions is a global of the process. It runs by itself: `python3 in_process.py …`.
"""

import ctypes
import os
import struct
import sys
import threading
import time
import wave
from ctypes import CFUNCTYPE, POINTER, byref, c_bool, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

CPU = 0
# Of TRITONSERVER_datatype_enum.
INT32, FP32 = 8, 11
SECONDS = 60

Allocate = CFUNCTYPE(
    c_void_p, c_void_p, c_char_p, c_size_t, c_int, c_int64, c_void_p, POINTER(c_void_p), POINTER(c_void_p), POINTER(c_int), POINTER(c_int64)
)  # fmt: skip
Free = CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_int, c_int64)
Released = CFUNCTYPE(None, c_void_p, c_uint32, c_void_p)
Completed = CFUNCTYPE(None, c_void_p, c_uint32, c_void_p)


class Failed(Exception):
    """The server said no; its words."""


class Library:
    """The functions of the server; what returns an error raises it."""

    def __init__(self, path):
        self.functions = ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_LOCAL)
        self.functions.TRITONSERVER_ErrorMessage.restype = c_char_p

    def __getattr__(self, name):
        function = getattr(self.functions, f"TRITONSERVER_{name}")
        function.restype = c_void_p

        def call(*arguments):
            self.check(function(*arguments))

        return call

    def check(self, error):
        """Raises an error that the server returned."""
        if error:
            raise Failed(self.functions.TRITONSERVER_ErrorMessage(c_void_p(error)).decode())

    def new(self, name, *arguments):
        """An object that a function makes."""
        made = c_void_p()
        getattr(self, name)(byref(made), *arguments)
        return made


def start(triton, repository, backends):
    """A server with all models of a repository ready."""
    options = triton.new("ServerOptionsNew")
    triton.ServerOptionsSetModelRepositoryPath(options, repository.encode())
    triton.ServerOptionsSetBackendDirectory(options, backends.encode())
    server = triton.new("ServerNew", options)
    triton.ServerOptionsDelete(options)
    ready = c_bool()
    until = time.monotonic() + SECONDS
    while not ready:
        triton.ServerIsReady(server, byref(ready))
        if time.monotonic() > until:
            raise Failed("the server was not ready in time")
        time.sleep(0.05)
    return server


def allocate(_allocator, _name, size, _kind, _kind_id, _userp, buffer, buffer_userp, actual, actual_id):
    """Gives an output memory of the C library's."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = c_void_p
    buffer[0] = libc.malloc(c_size_t(size)) if size else None
    buffer_userp[0] = None
    actual[0] = CPU
    actual_id[0] = 0


def free(_allocator, buffer, _buffer_userp, _size, _kind, _kind_id):
    """Takes it back."""
    ctypes.CDLL(None).free(c_void_p(buffer))


def transcribe(triton, server, samples):
    """The server's text of samples."""
    tensors = {
        "WAV": (FP32, len(samples), struct.pack(f"<{len(samples)}f", *samples)),
        "WAV_LENS": (INT32, 1, struct.pack("<i", len(samples))),
        "LANGUAGE": (INT32, 1, struct.pack("<i", 0)),
        "TEXT_NORM": (INT32, 1, struct.pack("<i", 15)),
    }
    request = triton.new("InferenceRequestNew", server, b"sensevoice", c_int64(-1))
    for name, (data_type, width, data) in tensors.items():
        triton.InferenceRequestAddInput(request, name.encode(), data_type, (c_int64 * 2)(1, width), c_uint64(2))
        triton.InferenceRequestAppendInputData(request, name.encode(), data, c_size_t(len(data)), CPU, c_int64(0))
    triton.InferenceRequestAddRequestedOutput(request, b"TRANSCRIPTS")
    answers, answered, released = [], threading.Event(), threading.Event()
    # Named, so that they live until the server has called them.
    given, taken = Allocate(allocate), Free(free)
    done = Released(lambda _request, _flags, _userp: released.set())

    @Completed
    def complete(response, _flags, _userp):
        answers.append(response)
        answered.set()

    allocator = triton.new("ResponseAllocatorNew", given, taken, None)
    triton.InferenceRequestSetReleaseCallback(request, done, None)
    triton.InferenceRequestSetResponseCallback(request, allocator, None, complete, None)
    triton.ServerInferAsync(server, request, None)
    if not (answered.wait(SECONDS) and released.wait(SECONDS)):
        raise Failed("the request was not answered in time")
    response = c_void_p(answers[0])
    triton.InferenceResponseError(response)
    text = first_text(triton, response)
    triton.InferenceResponseDelete(response)
    triton.InferenceRequestDelete(request)
    triton.ResponseAllocatorDelete(allocator)
    return text


def first_text(triton, response):
    """The one string of a response's first output."""
    name, data_type, shape, dims = c_char_p(), c_int(), POINTER(c_int64)(), c_uint64()
    base, size, kind, kind_id, userp = c_void_p(), c_size_t(), c_int(), c_int64(), c_void_p()
    places = [name, data_type, shape, dims, base, size, kind, kind_id, userp]
    triton.InferenceResponseOutput(response, c_uint32(0), *map(byref, places))
    data = ctypes.string_at(base, size.value)
    (length,) = struct.unpack_from("<I", data)
    return data[4 : 4 + length].decode()


def samples_of(path):
    """The samples of a PCM16 file in [-1, 1]."""
    with wave.open(path) as file:
        frames = file.readframes(file.getnframes())
    return [value / 32768 for (value,) in struct.iter_unpack("<h", frames)]


def main(library, repository, backends, wav):
    """Starts a server, asks it once and ends it."""
    triton = Library(library)
    server = start(triton, repository, backends)
    print(transcribe(triton, server, samples_of(wav)), flush=True)
    triton.ServerStop(server)
    triton.ServerDelete(server)


if __name__ == "__main__":
    main(*sys.argv[1:])
