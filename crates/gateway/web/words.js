// From what a server answers to sentences whose words have times. A sentence is
// { text, start, end, pieces, language, emotion, event }, a piece { text, start, end } with seconds, or { text } alone where no time is known.

// A word that comes only later in the text than this is not the one that is looked for.
const REACH = 32;
const MARKS = /[\p{P}\p{S}\s]*/uy;
const LETTERS = /[\p{L}\p{N}]/u;
const TOKENS = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{N}]+(?:['’.-][\p{L}\p{N}]+)*/gu;

/** The sentences of a verbose transcript. */
export function ofTranscript(answer) {
  const segments = answer.segments ?? [];
  const words = (answer.words ?? []).map(({ word, start, end }) => ({ text: word.trim(), start, end }));
  let at = 0;
  return segments.map((segment, index) => {
    const next = segments[index + 1]?.start ?? Infinity;
    const own = [];
    while (at < words.length && words[at].start < next) {
      own.push(words[at]);
      at += 1;
    }
    return sentence(segment.text.trim(), segment.start, segment.end, own, segment);
  });
}

/** The sentences of a final message of FunASR's protocol. */
export function ofMessage(message) {
  const text = message.text ?? "";
  const spans = inSeconds(typeof message.timestamp === "string" ? parsed(message.timestamp) : message.timestamp);
  const stamped = message.stamp_sents ?? [];
  if (stamped.length === 0) {
    const tokens = text.match(TOKENS) ?? [];
    const known = spans.length > 0 && tokens.length === spans.length;
    const words = known ? tokens.map((token, index) => ({ text: token, ...spans[index] })) : [];
    const whole = sentence(text.trim(), spans[0]?.start, spans.at(-1)?.end, words, message);
    return text.trim() ? [whole] : [];
  }
  let at = 0;
  return stamped.map((own, index) => {
    const times = inSeconds(own.ts_list);
    const tokens = own.text_seg.split(" ").filter(Boolean);
    const words = tokens.length === times.length ? tokens.map((token, place) => ({ text: token, ...times[place] })) : [];
    const end = index + 1 === stamped.length ? text.length : endOf(text, at, words.length > 0 ? tokens : [own.text_seg]);
    const part = text.slice(at, end).trim();
    at = end;
    return sentence(part, own.start / 1000, own.end / 1000, words, message);
  });
}

function sentence(text, start, end, words, { language, emotion, event }) {
  let pieces = words.length > 0 ? aligned(text, words) : [{ text }];
  if (words.length === 0 && end > start) pieces = [{ text, start, end }];
  return { text, start, end, pieces, language, emotion, event };
}

/** Where the text of these words ends, with the marks behind it. */
function endOf(text, from, words) {
  let at = from;
  for (const word of words) {
    const found = place(text, word, at);
    if (found >= 0) at = found + word.length;
  }
  MARKS.lastIndex = at;
  return at + MARKS.exec(text)[0].length;
}

function place(text, word, from) {
  const lower = text.toLowerCase();
  const same = lower.length === text.length;
  const found = (same ? lower : text).indexOf(same ? word.toLowerCase() : word, from);
  return found - from > REACH ? -1 : found;
}

/** The text cut into words with times and what stands between. Words that are written otherwise, such as numbers, share the text in their place. */
export function aligned(text, words) {
  const pieces = [];
  let at = 0;
  let missing = [];
  const upTo = (end) => {
    const between = text.slice(at, end);
    if (missing.length > 0 && LETTERS.test(between)) {
      const first = between.search(LETTERS);
      const last = between.length - [...between].reverse().join("").search(LETTERS);
      pieces.push({ text: between.slice(0, first) });
      pieces.push({ text: between.slice(first, last), start: missing[0].start, end: missing.at(-1).end });
      pieces.push({ text: between.slice(last) });
    } else {
      pieces.push({ text: between });
    }
    missing = [];
  };
  for (const word of words) {
    const found = word.text ? place(text, word.text, at) : -1;
    const skipsText = found > at && missing.length === 0 && LETTERS.test(text.slice(at, found));
    if (found < 0 || skipsText) {
      missing.push(word);
      continue;
    }
    upTo(found);
    at = found + word.text.length;
    pieces.push({ text: text.slice(found, at), start: word.start, end: word.end });
  }
  upTo(text.length);
  return pieces.filter((piece) => piece.text);
}

function inSeconds(spans) {
  return Array.isArray(spans) ? spans.map(([start, end]) => ({ start: start / 1000, end: end / 1000 })) : [];
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return [];
  }
}
