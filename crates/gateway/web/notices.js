// What is wrong with the server or the microphone, above all else, and gone when it is over.

import { whenReady } from "./server.js";
import { fromTemplate, say } from "./texts.js";

const shown = new Map();

/** Shows a notice once; `key` names its text, `keyTitle` what stands above it. */
export function notice(key, values = {}, kind = "") {
  dismiss(key);
  const element = fromTemplate("notice");
  if (kind) element.classList.add(kind);
  element.dataset.notice = key;
  say(element.querySelector("strong"), `${key}Title`);
  const more = element.querySelector("p");
  if (kind === "good") more.remove();
  else say(more, key, values);
  element.querySelector("button").addEventListener("click", () => dismiss(key));
  shown.set(key, element);
  document.getElementById("notices").append(element);
}

export function dismiss(...keys) {
  for (const key of keys) {
    shown.get(key)?.remove();
    shown.delete(key);
  }
}

let waiting = null;

/** Says that there is no server, until there is one. Comes back then. */
export function untilReady(error) {
  const key = error.status === 0 ? "gone" : "notReady";
  dismiss("gone", "notReady", "back");
  notice(key);
  waiting ??= whenReady().then(() => {
    waiting = null;
    dismiss("gone", "notReady");
    notice("back", {}, "good");
    setTimeout(() => dismiss("back"), 5000);
  });
  return waiting;
}
