"""Processes that end with the one that started them, however that ends."""

import shutil
import threading


def tied(command):
    """The command, told to end when this process is gone, without a chance to stop what it started: pytest kills its workers so.

    What counts for Linux is the end of the thread that starts it, so from others than the main one the command stays as it is.
    """
    setpriv = shutil.which("setpriv")
    if not setpriv or threading.current_thread() is not threading.main_thread():
        return list(command)
    return [setpriv, "--pdeathsig", "TERM", "--", *command]
