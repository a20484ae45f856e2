"""What the command line clients share: audio files, connections to a Triton server, its models, a command's manners."""

# What the three repositories call the models that clients ask.
SENSEVOICE = "sensevoice"
PARAFORMER = "infer_pipeline"
STREAMING = "streaming_paraformer"
