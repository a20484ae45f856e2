"""What can go wrong, in words for the person at the terminal."""

from __future__ import annotations


class ClientError(Exception):
    """Something the user should read: the message is the whole story."""


class Unreachable(ClientError):
    """Nobody answers, or not in the expected protocol."""


class Refused(ClientError):
    """The server answered with an error."""
