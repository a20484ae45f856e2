"""The web page, in a browser: what people see, hear, press and drop."""

import json
import os
import re
import time
import urllib.error
import urllib.request
import wave
from pathlib import Path

import numpy as np
import pytest
import soxr

from gateway.browser import browser, webdriver
from gateway.repositories import demo, keys_file
from gateway.running import error_of, gateway, post
from gateway.test_safety import ALICE
from support.client import serving
from support.environment import PROJECT
from support.recordings import WITHOUT_ITN, read_wav, recordings
from support.repository import fresh_directory

KEYS = webdriver.Keys
RATE = 16000
SPOKEN = "04_zh.wav"
CONVERSATION = PROJECT / "demo/conversation/conversation.ogg"
MARKS = re.compile(r"[，。？！、；,.?!;\s]")


@pytest.fixture(scope="module")
def behind():
    """A client of a server with the demo's models, whose texts are known."""
    with serving(demo(), "--model-config-name=pipeline", "--exit-timeout-secs=5") as client:
        yield client


@pytest.fixture(scope="module")
def front(behind):
    """A gateway in front of it."""
    with gateway(behind) as running:
        yield running


def write_for_microphone(path, samples):
    """A WAV file at a microphone's rate: what the browser makes of 16 kHz is not what was spoken."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(np.round(soxr.resample(samples, RATE, 48000) * 32768).clip(-32768, 32767).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def spoken():
    """What is said into the microphone: a recording of the demo with silence around it, at a microphone's rate. Its path, text and seconds."""
    (recording,) = [each for each in recordings() if each.name == SPOKEN]
    samples = np.concatenate([np.zeros(RATE), recording.samples, np.zeros(RATE)])
    path = fresh_directory("spoken") / "spoken.wav"
    write_for_microphone(path, samples)
    return path, recording.texts[WITHOUT_ITN].rsplit("|>", 1)[1].strip(), len(samples) / RATE


@pytest.fixture(scope="module")
def page(spoken):
    """A browser whose microphone hears that."""
    with browser(spoken[0]) as running:
        running.emulate(width=1200)
        yield running


def sentences():
    """The conversation's sentences, as cargo xtask demo --long expects them."""
    lines = (PROJECT / "demo/conversation/sentences.tsv").read_text(encoding="utf-8").splitlines()
    head, *rows = [line.split("\t") for line in lines]
    return [dict(zip(head, row)) for row in rows]


def shown(page):
    """The sentences that stand in the topmost transcript, without times and marks."""
    return page.script(
        """return [...document.querySelector(".card").querySelectorAll(".sentence p")].map((row) =>
          [...row.childNodes].filter((node) => node.className !== "marks").map((node) => node.textContent).join(""))"""
    )


def is_done(page):
    """The topmost transcript is complete."""
    return page.script("return document.querySelector('.card footer')?.hidden === false")


def speak(page, seconds):
    """Speaks as long as the recording is; the settled sentences and what is still open, as they could be read in between."""
    page.click("#speak")
    page.wait(lambda: page.one("#speak").get_attribute("data-state") == "on", "listening")
    seen = []

    def note():
        seen.append((shown(page), page.text(".card .partial")))
        return float(page.script("return document.querySelector('.card .length').textContent.split(':').reduce((m, s) => 60 * m + Number(s), 0)")) > seconds + 1

    page.wait(note, "the whole recording")
    page.click("#speak")
    page.wait(lambda: is_done(page), "a final text")
    return seen


def heard_at(page):
    """Where the topmost recording plays."""
    return page.script("return document.querySelector('.card audio').currentTime")


def of_one_origin(page, running):
    """The addresses that were asked for all lie at the gateway, and nothing was complained of."""
    allowed = (running.url, f"ws://{running.address}", f"blob:{running.url}", "about:", "data:", "chrome:")
    elsewhere = [url for url in page.asked() if not url.startswith(allowed)]
    assert not elsewhere and not page.errors()


def test_what_is_spoken_is_read_at_once_and_then_settled(page, front, spoken):
    _, text, seconds = spoken
    page.open(front.url)
    seen = speak(page, seconds)
    # It grows while one speaks, and is settled in the silence behind it.
    still_open = [partial for _, partial in seen if partial]
    assert len(set(still_open)) >= 2 and all(text.startswith(each) for each in still_open)
    assert (MARKS.sub("", "".join(seen[-1][0])), seen[-1][1]) == (text, "")
    assert MARKS.sub("", "".join(shown(page))) == text
    assert not page.all(".partial") and not page.all(".status:not([hidden])")
    # Every word has its time, and is heard from there.
    words = page.all(".card .word")
    assert [word.text for word in words] == list(text)
    times = [float(word.get_attribute("data-start")) for word in words]
    assert times == sorted(times) and 0.8 < times[0] < times[-1] < seconds
    words[1].click()
    page.wait(lambda: heard_at(page) > times[1], "the recording plays")
    page.wait(lambda: page.all(".word.heard[aria-current=true]"), "the word that is heard")
    duration = page.script("return document.querySelector('.card audio').duration")
    assert seconds < duration < seconds + 10
    of_one_origin(page, front)


def test_a_dropped_recording_has_sentences_words_and_files(page, front):
    page.open(front.url)
    page.drop(CONVERSATION)
    page.wait(lambda: is_done(page), "a text")
    answer = json.loads(
        post(front, CONVERSATION.read_bytes(), **{"model": "", "response_format": "verbose_json", "timestamp_granularities[]": "word"})[2]
    )
    expected = [row["text"] for row in sentences()]
    assert shown(page) == expected
    words = page.all(".card .word")
    timed = page.script("return [...document.querySelectorAll('.card .word')].map((each) => [Number(each.dataset.start), each.textContent])")
    assert timed == [[word["start"], word["word"]] for word in answer["words"]]
    # What language it is stands where it changes, beside what is felt.
    assert page.text(".card .sentence:first-child .mark") == "Chineseneutral"
    assert [each.text for each in page.all(".card .mark")][2] == "English"
    # From word to word by the keyboard; Enter plays from there.
    words[20].click()
    page.press(KEYS.ARROW_RIGHT, KEYS.ARROW_RIGHT, KEYS.ARROW_LEFT, KEYS.ENTER)
    page.wait(lambda: timed[21][0] <= heard_at(page) < timed[21][0] + 20, "word 21 is played")
    assert page.script("return document.activeElement.dataset.start") == words[21].get_attribute("data-start")
    page.press(KEYS.ESCAPE)
    page.wait(lambda: page.script("return document.querySelector('.card audio').paused"), "silence")
    page.press(KEYS.ARROW_DOWN)
    assert page.script("return document.activeElement.closest('.sentence').querySelector('.word') === document.activeElement")
    page.press(KEYS.END)
    assert page.script("return document.activeElement.dataset.start") == words[-1].get_attribute("data-start")
    assert len(page.all('.word[tabindex="0"]')) == 1
    # The files.
    files = {kind: downloaded(page, kind) for kind in ("txt", "srt", "json")}
    assert files["txt"].splitlines() == expected
    document = json.loads(files["json"])
    assert [segment["text"] for segment in document["segments"]] == expected and document["words"] == answer["words"]
    assert {segment["language"] for segment in document["segments"]} == {"zh", "en"}
    cues = files["srt"].strip().split("\n\n")
    assert [cue.split("\n")[0] for cue in cues] == [str(number) for number in range(1, len(cues) + 1)]
    assert "".join(cue.split("\n")[2] for cue in cues).replace(" ", "") == "".join(expected).replace(" ", "")
    first = document["segments"][0]
    assert cues[0].split("\n")[1] == f"00:00:{first['start']:06.3f} --> 00:00:{first['end']:06.3f}".replace(".", ",")
    of_one_origin(page, front)


def downloaded(page, kind):
    """The content of the topmost transcript's file."""
    page.click(f".card [data-action={kind}]")
    path = page.downloads / f"{Path(CONVERSATION).stem}.{kind}"
    page.wait(path.exists, path.name)
    return path.read_text(encoding="utf-8")


def test_files_wait_for_each_other_and_a_wrong_one_says_so(page, front):
    page.open(front.url)
    wrong = fresh_directory("wrong") / "notes.txt"
    wrong.write_text("no audio")
    page.drop(PROJECT / "demo/recordings/02_zh.wav", wrong, PROJECT / "demo/recordings/10_nospeech.wav")
    page.shows("No speech was heard.")
    page.shows("It could not be transcribed: ")
    page.wait(lambda: "四七零" in page.text(".card .said"), "the first text")
    names = [each.text for each in page.all(".card h3")]
    assert names == ["10_nospeech.wav", "notes.txt", "02_zh.wav"]
    while page.all(".away"):
        page.click(".away")
    page.shows("What you say or drop appears here")


def test_languages_and_appearances(page, front):
    page.emulate(dark=False)
    page.open(front.url)
    ground = "return getComputedStyle(document.documentElement).backgroundColor"
    light = page.script(ground)
    page.emulate(dark=True)
    dark = page.script(ground)
    assert light != dark
    # As the system, light, dark, and kept over a visit.
    page.click("#theme")
    assert page.script(ground) == light
    page.click("#theme")
    page.emulate(dark=False)
    assert page.script(ground) == dark
    page.driver.refresh()
    assert page.script(ground) == dark and page.one("#theme").get_attribute("aria-label") == "Appearance: dark"
    page.click("#ui-language")
    page.shows("把录音拖到这里")
    assert page.script("return document.documentElement.lang") == "zh-Hans" and "语音转文字" in page.driver.title
    page.drop(PROJECT / "demo/recordings/00_zh.wav")
    page.wait(lambda: is_done(page), "a text")
    assert page.text(".card .mark") == "中文平静"
    # Nothing is left over of the other language.
    assert not re.search(r"\b(Speak|Choose|Copy|Download|Options|neutral)\b", page.text("main, header"))
    page.driver.refresh()
    page.shows("选择文件")
    page.click("#ui-language")
    page.shows("Choose files")
    # While somebody speaks, too.
    page.click("#speak")
    page.wait(lambda: page.one("#speak").get_attribute("data-state") == "on", "listening")
    page.click("#ui-language")
    assert page.text("#speak-hint") == "正在聆听"
    page.click("#ui-language")
    assert page.text("#speak-hint") == "Listening"
    page.click("#speak")
    page.wait(lambda: page.one("#speak").get_attribute("data-state") == "off", "the end")


def test_a_phone_shows_all_without_scrolling_sideways(page, front):
    page.emulate(width=360, height=740)
    try:
        page.open(front.url)
        page.drop(CONVERSATION)
        page.wait(lambda: is_done(page), "a text")
        assert page.script("return document.documentElement.scrollWidth <= 360")
        small = page.script(
            """return [...document.querySelectorAll("button, summary")].filter((each) => each.checkVisibility())
              .map((each) => each.getBoundingClientRect()).filter((box) => box.width < 32 || box.height < 36).length"""
        )
        assert small == 0, "buttons that a finger misses"
    finally:
        page.emulate(width=1200)


def test_the_keyboard_alone_will_do(page, front, spoken):
    page.open(front.url)
    focused = "return document.activeElement.id || document.activeElement.getAttribute('href') || document.activeElement.className"
    stops = []
    while "speak" not in stops:
        page.press(KEYS.TAB)
        stops.append(page.script(focused))
        assert len(stops) < 9, stops
    assert stops == ["#transcripts", "ui-language", "theme", "speak"]
    ring = page.script("return getComputedStyle(document.activeElement).outlineStyle")
    assert ring == "solid"
    page.press(KEYS.ENTER)
    page.wait(lambda: spoken[1][0] in page.text(".partial"), "a text")
    assert page.script(focused) == "speak"
    page.press(KEYS.SPACE)
    page.wait(lambda: is_done(page), "a final text")
    page.one("#speak").send_keys("")
    stops = []
    while len(stops) < 14 and "word" not in (stops or [""])[-1].split():
        page.press(KEYS.TAB)
        stops.append(page.script(focused))
    assert "choose" in stops and "word" in stops[-1]
    page.press(KEYS.ENTER)
    page.wait(lambda: heard_at(page) > 0, "the recording plays")
    page.press(KEYS.TAB)
    assert page.script("return document.activeElement.dataset.action") == "copy"


CONTRAST = """
const parse = (color) => {
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const luminance = (rgb) => rgb.slice(0, 3).map((value) => value / 255)
  .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
  .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = parse(getComputedStyle(at).backgroundColor);
    if (color[3] === 255) return color;
  }
  return [255, 255, 255, 255];
};
const found = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || !element.checkVisibility() || element.closest(":disabled, .visually-hidden, .skip")) continue;
  const [a, b] = [luminance(parse(getComputedStyle(element).color)), luminance(behind(element))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.5) found.push(`${element.className || element.id || element.tagName}: ${ratio.toFixed(2)}`);
}
return found;
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_who_does_not_see_well_can_use_it(page, front, dark):
    page.emulate(dark=dark)
    page.open(front.url)
    page.click(".options summary")
    page.drop(PROJECT / "demo/recordings/00_zh.wav")
    page.wait(lambda: is_done(page), "a text")
    assert page.script(CONTRAST) == []
    # What a screen reader is told.
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    told = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    needy = ("button", "slider", "textbox", "combobox", "link", "heading", "image", "progressbar")
    nameless = [role for role, name in told if role in needy and not name.strip()]
    assert not nameless
    assert {("banner", ""), ("main", ""), ("status", "")} <= set(told)
    assert {("button", "Speak"), ("button", "Play 00_zh.wav"), ("button", "Download as srt"), ("slider", "Position in 00_zh.wav")} <= set(told)
    assert ("group", "Words of 00_zh.wav. Arrow keys move, Enter plays from a word.") in told
    assert ("combobox", "Spoken language") in told and ("button", "Appearance: as the system") in told
    headings = [name for role, name in told if role == "heading"]
    assert headings == ["Speech to text", "Transcripts", "00_zh.wav"]
    assert page.text("#announcer") == "00_zh.wav: done"
    ids = page.script("return [...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("NotAllowedError", "The microphone is not allowed"),
        ("NotFoundError", "No microphone was found"),
        ("NotReadableError", "The microphone cannot be used"),
        (None, "Browsers give the microphone to secure pages alone"),
    ],
)
def test_without_a_microphone_it_says_so(page, front, error, told):
    page.open(front.url)
    if error:
        page.script("navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', arguments[0]); }".replace("arguments[0]", repr(error)))
    else:
        page.script("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    page.click("#speak")
    page.shows(told, "#notices[role=status]")
    # Files work without it, and it can be tried again.
    assert page.one("#speak").is_enabled()
    page.click(".notice button")
    assert not page.all(".notice")


def test_a_server_that_goes_and_comes_again(page, behind, spoken):
    with gateway(behind) as running:
        page.open(running.url)
        page.click("#speak")
        page.wait(lambda: page.text(".partial"), "a text")
        running.process.kill()
        page.shows("The connection broke off")
        page.shows("The server cannot be reached")
        assert page.script("return document.querySelector('.card .word, .card .sentence p').textContent").startswith(spoken[1][0])
        page.drop(PROJECT / "demo/recordings/02_zh.wav")
        page.shows("Waiting its turn")
        port = running.port
    with gateway(behind, port=port):
        page.shows("The server is there again")
        page.wait(lambda: is_done(page), "the file's text")
        assert shown(page) == ["四七零。"]


def test_without_a_server_behind_it_says_so(page):
    with gateway("127.0.0.1:1", ready=False) as running:
        running.wait_until(lambda: "Serving" in running.log())
        page.open(running.url)
        page.shows("The server is not ready")


def test_no_room_is_told(page, behind):
    with gateway(behind, options=["--max-streams", 0, "--max-requests", 0]) as running:
        page.open(running.url)
        page.click("#speak")
        page.shows("no room for another speaker")
        page.drop(PROJECT / "demo/recordings/02_zh.wav")
        page.shows("The server is busy. Next try in 1 s", ".status")
        # The cross gives it up.
        page.click(".away")
        assert not page.all(".card")


def test_a_key_is_asked_for_and_kept_for_the_tab(page, behind, spoken):
    with gateway(behind, options=["--keys", keys_file(f"alice {ALICE}\n")]) as running:
        page.open(running.url)
        page.shows("This server wants a key", "dialog")
        page.one("#key-value").send_keys("sk-wrong" + KEYS.ENTER)
        page.shows("does not know this key", "dialog [role=alert]")
        page.one("#key-value").send_keys(ALICE + KEYS.ENTER)
        page.wait(lambda: not page.all("dialog[open]"), "the dialog closes")
        page.drop(PROJECT / "demo/recordings/02_zh.wav")
        page.wait(lambda: is_done(page), "a text")
        page.click("#speak")
        page.wait(lambda: spoken[1][0] in page.text(".partial"), "a text")
        page.click("#speak")
        assert page.script("return [sessionStorage.length, Object.values(localStorage).join()]") == [1, ""]
        assert ALICE not in running.log()


def test_a_browser_that_keeps_nothing_will_do(page, front):
    forbidden = "Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
    script = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": forbidden})["identifier"]
    try:
        page.open(front.url)
        page.click("#speak")
        page.wait(lambda: page.one("#speak").get_attribute("data-state") == "on", "listening")
        page.click("#speak")
        page.wait(lambda: page.one("#speak").get_attribute("data-state") == "off", "the end")
        page.drop(PROJECT / "demo/recordings/00_zh.wav")
        page.wait(lambda: is_done(page), "a text")
        assert not page.all(".notice")
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": script})


def test_samples_of_other_rates_lose_what_is_too_high(page, front):
    """A tone keeps its level, and one that 16 kHz cannot hold is gone."""
    page.open(front.url)
    levels = page.driver.execute_async_script(
        """const done = arguments[0];
        import("./web/resampler.js").then(({ Resampler }) => {
          const level = (rate, hertz) => {
            const resampler = new Resampler(rate, 16000);
            let made = [];
            for (let at = 0; at < rate; at += 128)
              made.push(...resampler.push(Float32Array.from({ length: Math.min(128, rate - at) }, (_, n) => Math.sin((2 * Math.PI * hertz * (at + n)) / rate))));
            const middle = made.slice(4000, 12000);
            const power = middle.reduce((sum, value) => sum + value * value, 0) / middle.length;
            return [made.length, 10 * Math.log10(2 * power + 1e-12)];
          };
          done([48000, 44100, 96000, 8000].map((rate) => [level(rate, 1000), level(rate, 3000), rate > 16000 ? level(rate, 9000) : [0, -99]]));
        });"""
    )
    for (count, low), (_, middle), (_, high) in levels:
        assert 15900 < count <= 16000 and abs(low) < 0.1 and abs(middle) < 0.1 and high < -60, levels


def test_the_page_can_be_left_out_and_says_what_it_is(front, behind):
    with urllib.request.urlopen(front.url, timeout=30) as answer:
        headers = answer.headers
        assert b"<!doctype html>" in answer.read()
    assert headers["Content-Type"] == "text/html; charset=utf-8" and headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer" and "script-src 'self';" in headers["Content-Security-Policy"]
    request = urllib.request.Request(front.url, headers={"If-None-Match": headers["ETag"]})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    assert caught.value.code == 304
    assert front.get("/web/nothing.js")[0] == 404
    # What asks for something else gets it.
    assert "OpenAI's API is at /v1" in error_of((*post(front, b"", path="/"),))["message"]
    with gateway(behind, options=["--no-page"]) as running:
        assert running.get("/")[0] == 404 and running.get("/web/main.js")[0] == 404
        assert "OpenAI's API is at /v1" in running.get("/")[1]


PICTURES = os.environ.get("SCREENSHOTS")


@pytest.mark.skipif(not PICTURES, reason="SCREENSHOTS says where pictures of the page go")
def test_pictures(front, tmp_path):
    """Makes the pictures of docs/gateway.md."""
    place = PROJECT / PICTURES
    place.mkdir(parents=True, exist_ok=True)
    material = tmp_path / "spoken.wav"
    samples = np.concatenate([np.zeros(RATE), *(np.append(read_wav(PROJECT / "demo/recordings" / name), np.zeros(RATE)) for name in ("00_zh.wav", "06_en.wav", "02_zh.wav"))])
    write_for_microphone(material, samples)

    def picture(page, name, **size):
        page.emulate(**size)
        # Not in the middle of a blink, nor with the pointer upon something.
        page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": 1, "y": 1})
        time.sleep(0.4)
        page.driver.save_screenshot(str(place / f"{name}.png"))

    def conversation(page, language):
        page.open(front.url, **{"triton-funasr-language": language})
        page.drop(CONVERSATION)
        page.wait(lambda: is_done(page), "a text")

    with browser(material, pretty=True) as page:
        page.emulate(width=1120, height=860, dark=False)
        conversation(page, "en")
        words = page.all(".card .word")
        words[17].click()
        page.wait(lambda: page.all(".word.heard"), "a word that is heard")
        page.press(KEYS.ESCAPE)
        page.script("document.querySelectorAll('.word')[18].classList.add('heard'); document.activeElement.blur()")
        picture(page, "desktop", width=1120, height=980)
        conversation(page, "zh")
        page.script("document.activeElement.blur()")
        picture(page, "chinese", width=1120, height=980)
        page.emulate(width=1120, height=760, dark=True)
        page.open(front.url, **{"triton-funasr-language": "en"})
        page.click("#speak")
        page.wait(lambda: len(page.text(".card .partial")) > 12, "a text")
        page.script("document.activeElement.blur()")
        picture(page, "speaking-dark", width=900, height=720)
        page.click("#speak")
        page.wait(lambda: is_done(page), "a text")
        page.emulate(width=390, height=844, dark=False)
        conversation(page, "en")
        picture(page, "phone", width=390, height=844)
