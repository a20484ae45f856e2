// The page's beginning: what is pressed and dropped goes to whom it concerns.

import { take } from "./files.js";
import { askForKey } from "./key.js";
import { Live } from "./live.js";
import { untilReady } from "./notices.js";
import { probe } from "./server.js";
import { settle } from "./settings.js";
import { say } from "./texts.js";
import { clock } from "./times.js";

const part = (id) => document.getElementById(id);

settle();

/** What is chosen in the options. */
function wishes() {
  return { language: part("language").value, hotwords: part("hotwords").value.trim() };
}

// Files, chosen or dropped anywhere.

part("choose").addEventListener("click", () => part("files").click());
part("files").addEventListener("change", ({ target }) => {
  take([...target.files], wishes);
  // The same file may be chosen again.
  target.value = "";
});

const bringsFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragover", (event) => {
  if (!bringsFiles(event)) return;
  event.preventDefault();
  document.body.classList.add("dragging");
});
addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) document.body.classList.remove("dragging");
});
addEventListener("drop", (event) => {
  document.body.classList.remove("dragging");
  if (!bringsFiles(event)) return;
  event.preventDefault();
  take([...event.dataTransfer.files], wishes);
});

// Live speech.

let live = null;
const SPEAK = { off: "speak", starting: "starting", on: "stop", finishing: "finishing" };

function changed(state) {
  const button = part("speak");
  button.dataset.state = state;
  // Not `disabled`, which would take the focus away from who works by keyboard.
  button.setAttribute("aria-disabled", String(state === "starting" || state === "finishing"));
  say(part("speak-label"), SPEAK[state]);
  say(part("speak-title"), SPEAK[state]);
  say(part("speak-hint"), state === "on" ? "listening" : "speakHint");
  if (state === "off") live = null;
}

function level(loudness, seconds) {
  part("speak").style.setProperty("--level", loudness.toFixed(2));
  if (live && part("speak").dataset.state === "on") part("speak-title").textContent = clock(seconds);
}

part("speak").addEventListener("click", ({ currentTarget }) => {
  if (currentTarget.ariaDisabled === "true") return;
  if (live) {
    live.end();
  } else {
    live = new Live(wishes, changed, level);
    live.begin();
  }
});
changed("off");

// Whether there is somebody at the other end.

async function greet() {
  try {
    await probe();
  } catch (error) {
    if (error.status === 401) {
      if (await askForKey()) await greet();
    } else if (error.status === 0 || error.status === 503) {
      await untilReady(error);
      await greet();
    }
  }
}
greet();
