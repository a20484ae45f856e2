"""What the command line clients share: audio files, connections to a Triton server, its models, a command's manners."""
