"""A command's manners: options that all share, exit codes, Ctrl-C, progress on a terminal."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NoReturn, TypeVar

from .connection import GRPC, GRPC_STREAM, HTTP, Address, parse_address
from .errors import ClientError

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

Item = TypeVar("Item")
Result = TypeVar("Result")


def parser(description: str, examples: str) -> argparse.ArgumentParser:
    """A parser whose help ends with examples."""
    return argparse.ArgumentParser(
        description=description,
        epilog=f"examples:\n{examples.rstrip()}\n\nexit codes: 0 well, 1 something failed, 2 wrong arguments, 130 Ctrl-C",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_server_options(options: argparse.ArgumentParser, streaming: bool = False) -> None:
    """--url, --protocol and --timeout."""
    protocols = [HTTP, GRPC, GRPC_STREAM] if streaming else [HTTP, GRPC]
    group = options.add_argument_group("server")
    group.add_argument(
        "--url",
        metavar="[SCHEME://]HOST[:PORT]",
        help="where the server is; schemes are http, https, grpc, grpcs (default: 127.0.0.1, port 8000 for HTTP, 8001 for gRPC)",
    )
    group.add_argument(
        "--protocol",
        choices=protocols,
        help="how to talk to it (default: what --url's scheme says, else http)"
        + ("; grpc-stream: one bidirectional call per stream" if streaming else ""),
    )
    group.add_argument(
        "--timeout",
        type=positive,
        default=300.0,
        metavar="SECONDS",
        help="longest wait for an answer (default: %(default)g)",
    )


def address(options: argparse.Namespace, options_parser: argparse.ArgumentParser) -> Address:
    """Where --url and --protocol lead; a contradiction ends the program."""
    try:
        return parse_address(options.url, options.protocol)
    except ValueError as error:
        options_parser.error(str(error))


def positive(text: str) -> float:
    """An argument type: a number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not above 0")
    return value


def milliseconds(text: str) -> float:
    """An argument type: a duration of at least a sample."""
    value = positive(text)
    if value < 0.1:
        raise argparse.ArgumentTypeError(f"'{text}' is below 0.1 ms")
    return value


def not_negative(text: str) -> float:
    """An argument type: 0 or more."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is below 0")
    return value


def count(text: str) -> int:
    """An argument type: 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not at least 1")
    return value


def count_or_none(text: str) -> int:
    """An argument type: 0 or more."""
    return 0 if text == "0" else count(text)


# What argparse calls a value it refuses.
positive.__name__ = not_negative.__name__ = milliseconds.__name__ = "number"
count.__name__ = count_or_none.__name__ = "whole number"


def run(main: Callable[[], int]) -> NoReturn:
    """Ends the program with the exit code of `main`, or the one of what went wrong."""
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stderr.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    try:
        code = main()
        sys.stdout.flush()
    except ClientError as error:
        complain(str(error))
        code = FAILED
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        code = INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has left, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        # Threads that wait for an answer are not waited for.
        os._exit(code)


def first_interrupt() -> threading.Event:
    """Set by the first Ctrl-C, which then interrupts nothing; the second one interrupts as always."""
    interrupted = threading.Event()

    def handle(_signal: int, _frame: object) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    signal.signal(signal.SIGINT, handle)
    return interrupted


def complain(message: str, kind: str = "error") -> None:
    """Says on standard error what went wrong."""
    with _terminal:
        _erase()
        print(f"{kind}: {message}", file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """Says on standard error what may be wrong."""
    complain(message, "warning")


def say(text: str) -> None:
    """Prints a line of output, above the progress."""
    with _terminal:
        _erase()
        print(text, flush=True)


def in_order(work: Callable[[Item], Result], items: Iterable[Item], at_once: int) -> Iterator[Future[Result]]:
    """Does the work for all items, `at_once` at any time; the futures are done, and in the items' order."""
    todo = enumerate(items)
    running: dict[Future[Result], int] = {}
    done: dict[int, Future[Result]] = {}
    following = 0
    pool = ThreadPoolExecutor(at_once)
    try:
        while True:
            # Not far ahead of what has been handed out, so that a slow one does not pile up the others' results.
            while len(running) < at_once and len(done) < 16 * at_once and (item := next(todo, None)) is not None:
                running[pool.submit(work, item[1])] = item[0]
            while following in done:
                yield done.pop(following)
                following += 1
            if running:
                for each in wait(running, return_when=FIRST_COMPLETED).done:
                    done[running.pop(each)] = each
            elif not done:
                return
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class Progress:
    """A line on the terminal: how many of how many; nothing where standard error is not a terminal."""

    def __init__(self, total: int | None, what: str) -> None:
        self._total = total
        self._what = what
        self._done = 0
        self._audio = 0.0
        self._began = self._drawn = time.monotonic()
        self._shown = sys.stderr.isatty()

    def advance(self, audio_seconds: float) -> None:
        """One more is done; it lasted so long."""
        self._done += 1
        self._audio += audio_seconds
        now = time.monotonic()
        if self._shown and (now - self._drawn > 0.1 or self._done == self._total):
            self._drawn = now
            with _terminal:
                _draw(self._line(now - self._began))

    def end(self) -> None:
        """Takes the line away."""
        with _terminal:
            _erase()

    def _line(self, elapsed: float) -> str:
        speed = f"{self._audio / elapsed:.0f} x real time" if elapsed > 0 else ""
        if not self._total:
            return f"{self._done} {self._what}  {elapsed:.0f} s  {speed}"
        filled = 24 * self._done // self._total
        left = elapsed / self._done * (self._total - self._done)
        bar = "█" * filled + "░" * (24 - filled)
        return f"{bar} {self._done}/{self._total} {self._what}  {speed}  {left:.0f} s left"


_terminal = threading.RLock()
_line_is_drawn = False


def _draw(line: str) -> None:
    global _line_is_drawn
    width = shutil.get_terminal_size().columns
    sys.stderr.write("\r\x1b[K" + line[: width - 1])
    sys.stderr.flush()
    _line_is_drawn = True


def _erase() -> None:
    global _line_is_drawn
    if _line_is_drawn:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
        _line_is_drawn = False
