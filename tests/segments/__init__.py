"""Voice activity detection and punctuation on the real server, against what funasr_onnx answers."""
