// Plays a recording, and shows which of its words is heard.

import { sayIn } from "./texts.js";
import { clock } from "./times.js";

let playing = null;

export class Player {
  /** `root` has a button, a range and a clock; `name` is what the recording is called. */
  constructor(root, name) {
    this.root = root;
    this.name = name;
    this.words = [];
    this.offset = 0;
    this.button = root.querySelector(".toggle");
    this.range = root.querySelector("input");
    this.clock = root.querySelector(".clock");
    this.audio = new Audio();
    this.audio.preload = "metadata";
    root.append(this.audio);
    this.button.addEventListener("click", () => (this.audio.paused ? this.play() : this.audio.pause()));
    this.range.addEventListener("input", () => this.seek(Number(this.range.value) + this.offset));
    for (const event of ["loadedmetadata", "durationchange", "timeupdate", "seeked"]) this.audio.addEventListener(event, () => this.show());
    for (const event of ["play", "pause", "ended"]) this.audio.addEventListener(event, () => this.changed());
    sayIn(this.range, "aria-label", "position", { name });
    this.changed();
  }

  /** Takes a recording, the first `offset` seconds of which are gone; `failed` is called if the browser cannot play it. */
  load(blob, offset, failed) {
    this.offset = offset;
    this.audio.addEventListener("error", () => {
      this.root.hidden = true;
      failed();
    });
    this.audio.src = URL.createObjectURL(blob);
    this.root.hidden = false;
  }

  /** The words, in the order of their times: { element, start, end }. */
  follow(words) {
    this.words = words;
  }

  get isLoaded() {
    return !this.root.hidden;
  }

  /** Plays from a place in the recording, in seconds. */
  playFrom(seconds) {
    if (!this.isLoaded || seconds < this.offset) return;
    this.seek(seconds);
    this.play();
  }

  play() {
    if (playing !== this) playing?.audio.pause();
    playing = this;
    // Refused where the browser cannot play it, which is told elsewhere.
    this.audio.play().catch(() => {});
  }

  pause() {
    this.audio.pause();
  }

  seek(seconds) {
    this.audio.currentTime = Math.max(0, seconds - this.offset);
    this.show();
  }

  /** Lets go of the recording. */
  close() {
    this.audio.pause();
    cancelAnimationFrame(this.frame);
    URL.revokeObjectURL(this.audio.src);
    this.audio.removeAttribute("src");
  }

  changed() {
    const isPlaying = !this.audio.paused && !this.audio.ended;
    this.root.classList.toggle("playing", isPlaying);
    sayIn(this.button, "aria-label", isPlaying ? "pause" : "play", { name: this.name });
    cancelAnimationFrame(this.frame);
    const follow = () => {
      this.show();
      this.frame = requestAnimationFrame(follow);
    };
    if (isPlaying) follow();
    else this.show();
  }

  show() {
    const { currentTime, duration } = this.audio;
    const whole = Number.isFinite(duration) ? duration : 0;
    this.range.max = whole;
    this.range.value = currentTime;
    this.range.style.setProperty("--played", `${whole > 0 ? (100 * currentTime) / whole : 0}%`);
    const told = `${clock(currentTime)} / ${clock(whole)}`;
    this.range.setAttribute("aria-valuetext", told);
    if (this.clock.textContent !== told) this.clock.textContent = told;
    this.mark(this.audio.paused || this.audio.ended ? null : this.wordAt(currentTime + this.offset));
  }

  wordAt(seconds) {
    let [low, high] = [0, this.words.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.words[middle].start <= seconds + 0.02) low = middle + 1;
      else high = middle;
    }
    const word = this.words[low - 1];
    return word && seconds < word.end + 0.05 ? word.element : null;
  }

  mark(element) {
    if (this.marked === element) return;
    this.marked?.classList.remove("heard");
    this.marked?.removeAttribute("aria-current");
    element?.classList.add("heard");
    element?.setAttribute("aria-current", "true");
    this.marked = element;
  }
}
