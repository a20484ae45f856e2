"""Synthetic speech by espeak-ng, called in its shared library: a process for each text would take ten times as long, and the
library also tells when each word begins.
"""

import ctypes
import ctypes.util

import numpy as np
import soxr

RATE = 16000
# Names and numbers of espeak-ng's speak_lib.h.
_SYNCHRONOUS, _UTF8 = 2, 1
_SPEED, _PITCH = 1, 3
_END_OF_LIST, _WORD = 0, 1


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    ]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Speaker:
    """espeak-ng; one for each process, since the library has one state."""

    def __init__(self):
        name = ctypes.util.find_library("espeak-ng")
        if name is None:
            raise SystemExit("libespeak-ng is not there: install it (Debian: apt-get install espeak-ng)")
        self._library = ctypes.CDLL(name)
        self._rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, None, 0)
        if self._rate <= 0:
            raise SystemExit("espeak-ng found no voices")
        # Kept here: the library calls it, and Python would free it.
        self._callback = _CALLBACK(self._take)
        self._library.espeak_SetSynthCallback(self._callback)
        self._samples, self._words = [], {}

    def _take(self, samples, count, events):
        if count > 0 and samples:
            self._samples.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _END_OF_LIST:
            if events[index].type == _WORD:
                self._words.setdefault(events[index].text_position, events[index].audio_position)
            index += 1
        return 0

    def say(self, words, voice, speed, pitch):
        """Speaks `words`, in the voice's writing, each a word of its own.

        Returns samples in [-1, 1] at 16 kHz, and where each word begins, in seconds from the first sample. None in place of
        the beginnings where espeak-ng joined words.
        """
        self._samples, self._words = [], {}
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise SystemExit(f"espeak-ng has no voice {voice}")
        self._library.espeak_SetParameter(_SPEED, speed, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        text = " ".join(words).encode()
        self._library.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8, None, None)
        spoken = np.concatenate(self._samples).astype(np.float32) / 32768
        beginnings = [milliseconds / 1000 for _, milliseconds in sorted(self._words.items())]
        return soxr.resample(spoken, self._rate, RATE), beginnings if len(beginnings) == len(words) else None
