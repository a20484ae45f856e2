// Another rate for samples that come piece by piece: a low-pass filter (a sinc under a Blackman window) evaluated where the new samples lie.
// For whole-numbered rates these places repeat, so that all the filter's values are known beforehand.

// Zero crossings of the sinc on each side: the filter falls from passing to stopping within a tenth of the lower rate's band.
const CROSSINGS = 32;
// Where it stops, as a part of the lower rate's half.
const CUTOFF = 0.92;

function greatestCommonDivisor(a, b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

function blackman(x) {
  // x from -1 to 1
  return 0.42 + 0.5 * Math.cos(Math.PI * x) + 0.08 * Math.cos(2 * Math.PI * x);
}

export class Resampler {
  constructor(from, to) {
    const common = greatestCommonDivisor(from, to);
    this.up = to / common;
    this.down = from / common;
    // In cycles per incoming sample.
    const cutoff = (0.5 * CUTOFF * Math.min(from, to)) / from;
    this.half = Math.ceil(CROSSINGS / (2 * cutoff));
    this.phases = [];
    for (let phase = 0; phase < this.up; phase += 1) this.phases.push(this.filter(phase / this.up, cutoff));
    // Incoming samples that are still needed; the first new sample lies on the first old one.
    this.kept = new Float32Array(this.half);
    // The place of the next new sample, in 1/up of an incoming sample from the beginning of `kept`.
    this.next = this.half * this.up;
  }

  /** The weights of the incoming samples around a place between two of them, which sum up to 1. */
  filter(fraction, cutoff) {
    const weights = new Float32Array(2 * this.half);
    let sum = 0;
    for (let tap = 0; tap < weights.length; tap += 1) {
      const distance = tap - this.half + 1 - fraction;
      const angle = 2 * Math.PI * cutoff * distance;
      const sinc = distance === 0 ? 1 : Math.sin(angle) / angle;
      weights[tap] = sinc * blackman(Math.max(-1, Math.min(1, distance / this.half)));
      sum += weights[tap];
    }
    return weights.map((weight) => weight / sum);
  }

  /** The new samples that these incoming ones complete. */
  push(samples) {
    if (this.up === 1 && this.down === 1) return samples;
    const all = new Float32Array(this.kept.length + samples.length);
    all.set(this.kept);
    all.set(samples, this.kept.length);
    const made = [];
    let place = Math.floor(this.next / this.up);
    while (place + this.half < all.length) {
      const weights = this.phases[this.next % this.up];
      const first = place - this.half + 1;
      let value = 0;
      for (let tap = 0; tap < weights.length; tap += 1) value += weights[tap] * all[first + tap];
      made.push(value);
      this.next += this.down;
      place = Math.floor(this.next / this.up);
    }
    const gone = Math.max(0, Math.min(all.length, place - this.half + 1));
    this.kept = all.slice(gone);
    this.next -= gone * this.up;
    return Float32Array.from(made);
  }
}
