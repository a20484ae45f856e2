// Samples and seconds, and how seconds are written.

/** Samples a second of what is recorded, sent and kept. */
export const RATE = 16000;

/** A number with two digits at least. */
export function two(number) {
  return String(Math.floor(number)).padStart(2, "0");
}

/** For people, as 1:02:03 or 2:03. */
export function clock(seconds) {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** For subtitles, as 00:02:03,004. */
export function stamp(seconds) {
  const ms = Math.round(seconds * 1000);
  return `${two(ms / 3_600_000)}:${two((ms / 60_000) % 60)}:${two((ms / 1000) % 60)},${String(ms % 1000).padStart(3, "0")}`;
}
