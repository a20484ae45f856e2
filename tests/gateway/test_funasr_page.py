"""FunASR's own page of a microphone and files (runtime/html5/static of its repository), as it is, in a browser.

Its files are not part of this project: `FUNASR_HTML5=…/runtime/html5/static cargo xtask test --only server -- tests/gateway/test_funasr_page.py`
"""

import os
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gateway.browser import browser
from gateway.test_page import MARKS, SPOKEN, behind, front, spoken  # noqa: F401: fixtures
from support.environment import PROJECT

PAGE = os.environ.get("FUNASR_HTML5", "")
pytestmark = pytest.mark.skipif(not PAGE, reason="FUNASR_HTML5 says where FunASR's page is")
RECORDING = PROJECT / "demo/recordings" / SPOKEN
# The page puts the time in front of each piece of a sentence.
TIME = re.compile(r"^[\d.]+:", re.MULTILINE)


@pytest.fixture(scope="module")
def address():
    """Where the page is served."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=Path(PAGE))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/index.html"
        server.shutdown()


def result(page):
    """What it shows, without times."""
    return TIME.sub("", page.script("return document.getElementById('varArea').value"))


def plain(text):
    """Without marks and blanks."""
    return MARKS.sub("", text)


def choose(page, name, value):
    """Presses one of its round buttons."""
    page.script("document.querySelector(`input[name=${arguments[0]}][value='${arguments[1]}']`).click()", name, value)


def opened(page, address, front):
    """The page, with the gateway's address and without hot words in it."""
    page.open(address)
    page.script("document.getElementById('wssip').value = arguments[0]", f"ws://{front.address}/")
    page.script("document.getElementById('varHot').value = ''")


def enabled(page, button):
    """Waits until a button can be pressed, and presses it."""
    page.wait(lambda: page.script("return !document.getElementById(arguments[0]).disabled", button), button)
    page.script("document.getElementById(arguments[0]).click()", button)


@pytest.mark.parametrize("mode", ["2pass", "online", "offline"])
def test_it_hears_the_microphone(spoken, front, address, mode):  # noqa: F811
    path, text, seconds = spoken
    with browser(path) as page:
        opened(page, address, front)
        choose(page, "asr_mode", mode)
        enabled(page, "btnConnect")
        enabled(page, "btnStart")
        heard = "return parseFloat(document.getElementById('info_div').textContent)"
        page.wait(lambda: (page.script(heard) or 0) > seconds + 1, "the whole recording")
        if mode != "offline":
            assert result(page), "nothing is shown while somebody speaks"
        enabled(page, "btnStop")
        page.wait(lambda: plain(result(page)) == plain(text), f"{text}, not {result(page)}")


@pytest.mark.parametrize("form", ["wav", "ogg"])
def test_it_sends_a_file(spoken, front, address, form):  # noqa: F811
    _, text, _ = spoken
    file = RECORDING if form == "wav" else PROJECT / "crates/audio-input/tests/data" / "08_en.ogg"
    with browser() as page:
        opened(page, address, front)
        choose(page, "recoder_mode", "file")
        page.script("document.getElementById('upfile').style.display = 'block'")
        page.one("#upfile").send_keys(str(file))
        page.wait(lambda: "请点击连接" in page.text("#info_div"), "the file is read")
        page.script("btnConnect.disabled = false")
        enabled(page, "btnConnect")
        page.wait(lambda: plain(result(page)), "a text")
        if form == "wav":
            assert plain(result(page)) == plain(text)
