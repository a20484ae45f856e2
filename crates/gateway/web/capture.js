// Runs beside the page, where the browser handles sound: takes what the microphone hears and hands out 16 kHz samples of 16 bits.

import { Resampler } from "./resampler.js";
import { RATE } from "./times.js";

// 60 ms at a time.
const BLOCK = 960;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(Math.round(sampleRate), RATE);
    this.block = new Int16Array(BLOCK);
    this.filled = 0;
    this.ended = false;
    this.port.onmessage = () => {
      this.hand(this.filled);
      this.ended = true;
      this.port.postMessage("end");
    };
  }

  process([input]) {
    if (this.ended) return false;
    if (input.length === 0) return true;
    for (const sample of this.resampler.push(mixed(input))) {
      this.block[this.filled] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
      this.filled += 1;
      if (this.filled === BLOCK) this.hand(BLOCK);
    }
    return true;
  }

  hand(count) {
    if (count === 0) return;
    const samples = this.block.slice(0, count);
    this.port.postMessage(samples, [samples.buffer]);
    this.filled = 0;
  }
}

/** All channels as one. */
function mixed(channels) {
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, index) => channels.reduce((sum, channel) => sum + channel[index], 0) / channels.length);
}

registerProcessor("capture", Capture);
