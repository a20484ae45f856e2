// Asks for the key of a server that wants one.

import { key, useKey } from "./server.js";
import { say } from "./texts.js";

let asking = null;

/** Asks for a key, and keeps it. Whether there is one now; several who ask are answered together. */
export function askForKey() {
  asking ??= ask().finally(() => (asking = null));
  return asking;
}

function ask() {
  const dialog = document.getElementById("key");
  const field = document.getElementById("key-value");
  const wrong = document.getElementById("key-wrong");
  // One that is kept and did not help was wrong.
  if (key()) say(wrong, "keyWrong");
  else wrong.textContent = "";
  field.setAttribute("aria-invalid", key() ? "true" : "false");
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const cancel = document.getElementById("key-cancel");
    const close = () => dialog.close("");
    cancel.addEventListener("click", close, { once: true });
    dialog.querySelector("form").onsubmit = (event) => {
      // The form goes nowhere: the page's policy lets none go.
      event.preventDefault();
      useKey(field.value.trim());
      dialog.close("given");
    };
    dialog.addEventListener(
      "close",
      () => {
        cancel.removeEventListener("click", close);
        resolve(dialog.returnValue === "given");
      },
      { once: true },
    );
  });
}
