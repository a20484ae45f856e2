"""Streams in two passes on the real server: what is told at once, and what takes its place."""
