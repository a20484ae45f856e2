"""The bytes of protocol buffers, which sentencepiece's and ONNX's files are."""


def field(number, content):
    """A field whose content has a length: a text, bytes or a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number):
    encoded = b""
    while number > 0x7F:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])
