// What was recorded, kept within bounds, and as a file that the browser plays.

import { RATE } from "./times.js";

// Half an hour, 58 MB. Of what is longer, the latest half hour is kept.
const MOST_SAMPLES = 30 * 60 * RATE;

/** Samples as they come, the oldest of which are forgotten. */
export class Recording {
  constructor() {
    this.blocks = [];
    this.kept = 0;
    this.forgotten = 0;
  }

  push(block) {
    this.blocks.push(block);
    this.kept += block.length;
    while (this.kept > MOST_SAMPLES) {
      const oldest = this.blocks.shift();
      this.kept -= oldest.length;
      this.forgotten += oldest.length;
    }
  }

  /** Seconds that are kept no more. */
  get offset() {
    return this.forgotten / RATE;
  }

  /** Seconds of all that came. */
  get seconds() {
    return (this.forgotten + this.kept) / RATE;
  }

  /** A WAV file of what is kept. */
  file() {
    return new Blob([header(this.kept), ...this.blocks], { type: "audio/wav" });
  }
}

function header(samples) {
  const bytes = samples * 2;
  const view = new DataView(new ArrayBuffer(44));
  const put = (at, word) => [...word].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  put(0, "RIFF");
  view.setUint32(4, 36 + bytes, true);
  put(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  // PCM, one channel.
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, RATE * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  put(36, "data");
  view.setUint32(40, bytes, true);
  return view.buffer;
}
