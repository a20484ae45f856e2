// One transcript in the list: its state, its sentences, its words, its recording, and its files.

import { json, save, srt, txt } from "./downloads.js";
import { Player } from "./player.js";
import { announce, fromTemplate, has, say, sayIn } from "./texts.js";
import { clock } from "./times.js";

const LANGUAGES = { zh: "zh-Hans", en: "en", yue: "yue", ja: "ja", ko: "ko" };

export class Transcript {
  /** `name` is a text, or { key, values } of one of the page's; `fileName` is what its files are called. */
  constructor(name, fileName) {
    this.name = name;
    this.fileName = fileName;
    this.sentences = [];
    this.element = fromTemplate("card");
    this.part = (selector) => this.element.querySelector(selector);
    const title = this.part("h3");
    if (typeof name === "string") title.textContent = title.title = name;
    else say(title, name.key, name.values);
    this.said = this.part(".said");
    this.away = this.part(".away");
    sayIn(this.said, "aria-label", "wordsOf", { name });
    sayIn(this.part("progress"), "aria-label", "transcribing");
    this.mayBeRemoved("remove");
    this.player = new Player(this.part(".player"), name);
    this.said.addEventListener("click", ({ target }) => this.hear(target.closest(".word")));
    this.said.addEventListener("keydown", (event) => this.keyed(event));
    // Browsers give it to secure pages alone.
    this.part('[data-action="copy"]').hidden = !navigator.clipboard;
    for (const button of this.element.querySelectorAll("footer button")) {
      const { action } = button.dataset;
      if (action !== "copy") sayIn(button, "aria-label", "download", { kind: action });
      button.addEventListener("click", () => this.act(action, button));
    }
    document.getElementById("empty").hidden = true;
    document.getElementById("list").prepend(this.element);
  }

  /** What the cross is for: `remove`, or `cancelOf` while there is something to cancel. */
  mayBeRemoved(key) {
    sayIn(this.away, "aria-label", key, { name: this.name });
  }

  /** Called when the cross is pressed. */
  onAway(act) {
    this.away.onclick = act;
  }

  /** Says how it stands; `part` of the whole is done, null where nobody knows, and no bar is shown without it. */
  status(key, values, part) {
    const status = this.part(".status");
    status.hidden = false;
    status.classList.remove("bad");
    say(this.part(".told"), key, values);
    const bar = this.part("progress");
    bar.hidden = part === undefined;
    if (part === null) bar.removeAttribute("value");
    else if (part !== undefined) bar.value = part;
    this.part(".status button").hidden = true;
  }

  /** Says what went wrong, and that nothing more will come; `again` is called to try it once more. */
  fail(key, values, again) {
    this.mayBeRemoved("remove");
    this.status(key, values);
    this.part(".status").classList.add("bad");
    const button = this.part(".status button");
    button.hidden = !again;
    button.onclick = again;
    announce(key, values);
  }

  settled() {
    this.part(".status").hidden = true;
  }

  live(isLive) {
    this.part(".pulse").hidden = !isLive;
    this.said.setAttribute("aria-busy", String(isLive));
  }

  length(seconds) {
    this.seconds = seconds;
    this.part(".length").textContent = clock(seconds);
  }

  /** Puts sentences behind those that are there. */
  add(sentences) {
    for (const sentence of sentences) {
      this.partialElement?.remove();
      this.partialElement = null;
      this.said.append(this.sentence(sentence, this.sentences.at(-1)));
      this.sentences.push(sentence);
    }
    this.words = [...this.said.querySelectorAll(".word")];
    if (this.words.length > 0 && !this.said.querySelector('.word[tabindex="0"]')) this.words[0].tabIndex = 0;
    this.player.follow(this.words.map((element) => ({ element, ...this.times(element) })));
  }

  /** What is heard so far and not settled. */
  partial(text) {
    if (!text) {
      this.partialElement?.remove();
      this.partialElement = null;
      return;
    }
    if (!this.partialElement) {
      this.partialElement = document.createElement("div");
      this.partialElement.className = "sentence";
      const [when, said] = [document.createElement("span"), document.createElement("p")];
      said.className = "partial";
      this.partialElement.append(when, said);
      this.said.append(this.partialElement);
    }
    this.partialElement.querySelector("p").textContent = text;
  }

  /** Nothing more will come: it can be played and taken away. */
  finish({ recording, offset = 0, answer }) {
    this.answer = answer;
    this.mayBeRemoved("remove");
    if (recording) this.player.load(recording, offset, () => this.status("cannotPlay"));
    if (offset > 0) this.status("forgotten");
    for (const word of this.words ?? []) word.classList.toggle("mute", this.times(word).start < offset || !recording);
    if (this.sentences.length === 0) {
      if (this.part(".status").hidden) this.status("noSpeech");
      return;
    }
    this.part("footer").hidden = false;
    const isTimed = this.sentences.some((sentence) => sentence.end > sentence.start);
    this.part('[data-action="srt"]').hidden = !isTimed;
    announce("done", { name: this.name });
  }

  close() {
    this.player.close();
    const neighbour = this.element.nextElementSibling ?? this.element.previousElementSibling;
    this.element.remove();
    document.getElementById("empty").hidden = Boolean(neighbour);
    // The focus stays near what is gone.
    (neighbour?.querySelector(".away") ?? document.getElementById("transcripts")).focus();
  }

  sentence(sentence, before) {
    const [row, when, said] = ["div", "span", "p"].map((tag) => document.createElement(tag));
    row.className = "sentence";
    when.className = "when";
    when.textContent = sentence.start === undefined ? "" : clock(sentence.start);
    said.lang = LANGUAGES[sentence.language] ?? "";
    for (const piece of sentence.pieces) said.append(this.piece(piece));
    const marks = document.createElement("span");
    marks.className = "marks";
    for (const kind of ["language", "emotion", "event"]) {
      const value = sentence[kind];
      // Said where it begins to be so.
      if (!value || value === before?.[kind] || !has(value)) continue;
      const mark = document.createElement("span");
      mark.className = kind === "language" ? "mark" : "mark feeling";
      mark.dataset.mark = value;
      say(mark, value);
      marks.append(mark);
    }
    if (marks.childElementCount > 0) said.append(marks);
    row.append(when, said);
    return row;
  }

  piece({ text, start, end }) {
    if (!(end > start)) return document.createTextNode(text);
    const word = document.createElement("span");
    word.className = "word";
    word.setAttribute("role", "button");
    word.tabIndex = -1;
    word.dataset.start = start;
    word.dataset.end = end;
    word.title = clock(start);
    word.textContent = text;
    return word;
  }

  times(word) {
    return { start: Number(word.dataset.start), end: Number(word.dataset.end) };
  }

  hear(word) {
    if (!word) return;
    this.moveTo(word);
    if (!word.classList.contains("mute")) this.player.playFrom(this.times(word).start);
  }

  /** The one word that the tabulator reaches. */
  moveTo(word) {
    const former = this.said.querySelector('.word[tabindex="0"]');
    if (former) former.tabIndex = -1;
    word.tabIndex = 0;
    word.focus();
  }

  keyed(event) {
    const word = event.target.closest(".word");
    if (!word || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.words.indexOf(word);
    const row = word.closest(".sentence");
    const inRow = (next) => next?.querySelector(".word");
    const last = this.words.length - 1;
    const goals = {
      ArrowRight: () => this.words[Math.min(last, at + 1)],
      ArrowLeft: () => this.words[Math.max(0, at - 1)],
      ArrowDown: () => inRow(row.nextElementSibling) ?? this.words[last],
      ArrowUp: () => inRow(word === inRow(row) ? row.previousElementSibling : row) ?? this.words[0],
      Home: () => this.words[0],
      End: () => this.words[last],
    };
    if (Object.hasOwn(goals, event.key)) this.moveTo(goals[event.key]());
    else if (event.key === "Enter" || event.key === " ") this.hear(word);
    else if (event.key === "Escape") this.player.pause();
    else return;
    event.preventDefault();
  }

  async act(action, button) {
    const text = txt(this.sentences);
    if (action === "txt") save(`${this.fileName}.txt`, "text/plain", text);
    if (action === "srt") save(`${this.fileName}.srt`, "application/x-subrip", srt(this.sentences));
    if (action === "json") save(`${this.fileName}.json`, "application/json", json(this.sentences, this.answer, this.seconds));
    if (action !== "copy") return;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Forbidden to this page; the text can still be selected.
      return;
    }
    say(button, "copied");
    announce("copied");
    setTimeout(() => say(button, "copy"), 2000);
  }
}
