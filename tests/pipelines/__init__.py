"""Tests of the whole pipelines: components that own the request and call encoder and decoder themselves."""
