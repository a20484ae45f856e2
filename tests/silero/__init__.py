"""Voice activity detection with Silero's own model on the real server, against what the package silero-vad answers."""
