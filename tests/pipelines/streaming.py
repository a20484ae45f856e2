"""Streams in any pieces."""

import numpy as np

from paraformer.streaming import MODEL, send_all
from support.client import GRPC

NOTHING = np.zeros(0, np.float32)


def transcribe(client, pieces, stream, model=MODEL, protocol=GRPC):
    """The text of a stream."""
    return "".join(send_all(client, pieces or [NOTHING], stream, protocol, model))
