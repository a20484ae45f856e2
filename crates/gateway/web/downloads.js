// A transcript as a file: text, subtitles, or all that is known of it.

import { stamp } from "./times.js";

// Subtitles: as long on the screen, and as wide in columns (of which a Chinese character has two), as a reader can follow.
const LONGEST = 7;
const WIDEST = 84;

/** The text, a sentence a line. */
export function txt(sentences) {
  return sentences.map((sentence) => `${sentence.text}\n`).join("");
}

/** Subtitles; nothing where no times are known. */
export function srt(sentences) {
  const cues = sentences.filter((sentence) => sentence.end > sentence.start).flatMap(cuesOf);
  return cues.map((cue, index) => `${index + 1}\n${stamp(cue.start)} --> ${stamp(cue.end)}\n${cue.text}\n`).join("\n");
}

/** What the server said of a file; of live speech, the same fields. */
export function json(sentences, answer, seconds) {
  const timed = sentences.flatMap((sentence) => sentence.pieces).filter((piece) => piece.end > piece.start);
  const live = () => ({
    duration: seconds,
    text: sentences.map((sentence) => sentence.text).join(" "),
    words: timed.map(({ text, start, end }) => ({ word: text, start, end })),
    segments: sentences.map(({ text, start, end, language, emotion, event }, id) => ({ id, start, end, text, language, emotion, event })),
  });
  return `${JSON.stringify(answer ?? live(), null, 2)}\n`;
}

/** Hands a file to the browser. */
export function save(name, kind, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: kind }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function cuesOf(sentence) {
  const cues = [];
  let cue = null;
  for (const piece of sentence.pieces) {
    const isTimed = piece.end > piece.start;
    const isFull = cue && isTimed && (piece.end - cue.start > LONGEST || columns(cue.text + piece.text) > WIDEST);
    if (isFull) {
      cues.push(cue);
      cue = null;
    }
    cue ??= { text: "", start: cues.length === 0 ? sentence.start : piece.start, end: sentence.end };
    cue.text += piece.text;
    if (isTimed) cue.end = piece.end;
  }
  if (cue) cues.push({ ...cue, end: Math.max(cue.end, sentence.end) });
  return cues.map((own) => ({ ...own, text: own.text.trim() }));
}

function columns(text) {
  return [...text].reduce((sum, letter) => sum + (letter.codePointAt(0) > 0x2e7f ? 2 : 1), 0);
}
