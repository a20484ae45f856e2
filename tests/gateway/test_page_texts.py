"""What the page makes of what servers answer: sentences, words and their times, without a server behind it."""

import pytest

from gateway.browser import browser
from gateway.running import gateway


@pytest.fixture(scope="module")
def page():
    """The page, of a gateway whose server is away."""
    with gateway("127.0.0.1:1", ready=False) as running, browser() as page:
        running.wait_until(lambda: "Serving" in running.log())
        yield page.open(running.url)


def run(page, module, code, *arguments):
    """What JavaScript gives back that has a module of the page as `it`."""
    told = page.driver.execute_async_script(
        f"""const [done, ...given] = [...arguments].reverse().slice(0, 1).concat([...arguments].slice(0, -1));
        import("./web/{module}.js").then((it) => ({code})(it, ...given)).then((found) => done({{ found }}), (error) => done({{ error: String(error) }}));""",
        *arguments,
    )
    assert "error" not in told, told
    return told["found"]


def pieces(page, text, *words):
    """A text cut at words of which each begins a second after the one before and takes half of one."""
    timed = [{"text": word, "start": second, "end": second + 0.5} for second, word in enumerate(words)]
    cut = run(page, "words", "({ aligned }, text, words) => aligned(text, words)", text, timed)
    return [(piece["text"], piece["start"], piece["end"]) if "start" in piece else piece["text"] for piece in cut]


def test_words_are_found_in_the_text(page):
    assert pieces(page, "你好，大家。", *"你好大家") == [("你", 0, 0.5), ("好", 1, 1.5), "，", ("大", 2, 2.5), ("家", 3, 3.5), "。"]
    # Capitals and marks do not matter, nor does it that a word occurs again.
    assert pieces(page, "Good, good day.", "good", "good", "day") == [("Good", 0, 0.5), ", ", ("good", 1, 1.5), " ", ("day", 2, 2.5), "."]


def test_what_is_written_in_another_way_has_the_times_of_what_was_spoken(page):
    expected = [("再", 0, 0.5), ("见", 1, 1.5), "，", ("7929", 2, 5.5), "。"]
    assert pieces(page, "再见，7929。", *"再见七九二九") == expected
    assert pieces(page, "12 apples!", "twelve", "apples") == [("12", 0, 0.5), " ", ("apples", 1, 1.5), "!"]
    # A word of a text that is about something else hides nothing of it.
    assert "".join(piece if isinstance(piece, str) else piece[0] for piece in pieces(page, "one two", "three", "two")) == "one two"


def test_words_belong_to_the_sentence_in_which_they_begin(page):
    answer = {
        "segments": [
            {"text": "你好。", "start": 0.5, "end": 1.4, "language": "zh", "emotion": "HAPPY"},
            {"text": "good", "start": 2.0, "end": 2.5},
        ],
        "words": [{"word": word, "start": start, "end": start + 0.2} for word, start in (("你", 0.5), ("好", 1.1), ("good", 2.0))],
    }
    first, second = run(page, "words", "({ ofTranscript }, answer) => ofTranscript(answer)", answer)
    assert [piece.get("start") for piece in first["pieces"]] == [0.5, 1.1, None] and second["pieces"] == [{"text": "good", "start": 2.0, "end": 2.2}]
    assert (first["language"], first["emotion"], second.get("language")) == ("zh", "HAPPY", None)
    # Of a model that knows no words the sentence is one.
    (first, _) = run(page, "words", "({ ofTranscript }, answer) => ofTranscript(answer)", {"segments": answer["segments"]})
    assert first["pieces"] == [{"text": "你好。", "start": 0.5, "end": 1.4}]


STAMPED = {
    "mode": "2pass-offline",
    "text": "再见。good day?",
    "is_final": False,
    "language": "zh",
    "timestamp": "[[5100,5200],[5300,5400],[5900,6000],[6100,6300]]",
    "stamp_sents": [
        {"text_seg": "再 见", "punc": "。", "start": 5100, "end": 5400, "ts_list": [[5100, 5200], [5300, 5400]]},
        {"text_seg": "good day", "punc": "?", "start": 5900, "end": 6300, "ts_list": [[5900, 6000], [6100, 6300]]},
    ],
}


def test_a_message_says_sentences_and_words(page):
    of_message = "({ ofMessage }, message) => ofMessage(message)"
    first, second = run(page, "words", of_message, STAMPED)
    assert (first["text"], first["start"], first["language"]) == ("再见。", 5.1, "zh") and second["text"] == "good day?"
    assert [piece["text"] for piece in second["pieces"] if "start" in piece] == ["good", "day"]
    # A model without sentences says a time for each word alone.
    (whole,) = run(page, "words", of_message, {"text": "好 good day.", "timestamp": "[[0,100],[200,300],[400,500]]"})
    assert [piece.get("start") for piece in whole["pieces"]] == [0, None, 0.2, None, 0.4, None]
    # And one that says none at all is read all the same, as is a time that is none.
    for given in ({"text": "好"}, {"text": "好", "timestamp": "[[0,1],[2,3]]"}, {"text": "好", "timestamp": "?"}):
        (whole,) = run(page, "words", of_message, given)
        assert whole["text"] == "好"
    assert run(page, "words", of_message, {"text": " "}) == []


def test_finals_take_the_place_of_what_was_heard_since_the_last(page):
    online = {"mode": "2pass-online", "is_final": False}
    messages = [
        online | {"text": "再"},
        online | {"text": "见 good"},
        STAMPED,
        online | {"text": "你"},
        online | {"text": "好"},
        {"mode": "2pass-offline", "text": "您好。", "is_final": False},
        online | {"text": "water"},
        {"mode": "2pass", "is_final": True, "is_end": True},
    ]
    seen = run(
        page,
        "live",
        """async ({ Live }, messages) => {
          const { Transcript } = await import("./web/transcript.js");
          const live = new Live(() => ({}), () => {}, () => {});
          live.transcript = new Transcript("a", "a");
          const rows = (kind) => [...live.transcript.element.querySelectorAll(kind)].map((row) => row.textContent);
          return messages.map((message) => {
            live.told(message);
            return [live.transcript.sentences.map((own) => own.text), rows(".partial")];
          });
        }""",
        messages,
    )
    assert seen[:-1] == [
        [[], ["再"]],
        [[], ["再见 good"]],
        [["再见。", "good day?"], []],
        [["再见。", "good day?"], ["你"]],
        [["再见。", "good day?"], ["你好"]],
        [["再见。", "good day?", "您好。"], []],
        [["再见。", "good day?", "您好。"], ["water"]],
    ]
    # What no second pass came for stays as it is.
    page.wait(lambda: "water" in page.text(".card .said p"), "the rest")
    times = page.script("return [...document.querySelectorAll('.card .word')].map((word) => word.dataset.start)")
    assert times == ["5.1", "5.3", "5.9", "6.1"]


def test_subtitles_are_cut_where_they_are_long(page):
    words = [{"text": f"word{number}", "start": number, "end": number + 0.5} for number in range(12)]
    text = " ".join(word["text"] for word in words)
    subtitles = run(
        page,
        "downloads",
        """async ({ srt }, text, words) => {
          const { aligned } = await import("./web/words.js");
          return srt([{ text, start: 0, end: 11.9, pieces: aligned(text, words) }, { text: "no time", pieces: [{ text: "no time" }] }]);
        }""",
        text,
        words,
    )
    assert subtitles == (
        "1\n00:00:00,000 --> 00:00:06,500\nword0 word1 word2 word3 word4 word5 word6\n\n"
        "2\n00:00:07,000 --> 00:00:11,900\nword7 word8 word9 word10 word11\n"
    )
