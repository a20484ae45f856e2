"""Tests of both Paraformers, offline and streaming, on the real server."""
