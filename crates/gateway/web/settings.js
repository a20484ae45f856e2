// What a person chooses about the page itself, kept in the browser: its language and its appearance.

import { sayAll, sayIn, speakIn, spokenLanguage } from "./texts.js";

const APPEARANCES = { auto: "themeAuto", light: "themeLight", dark: "themeDark" };

/** Takes up what was chosen the last time, and listens for the next. */
export function settle() {
  const own = navigator.languages?.[0] ?? navigator.language ?? "en";
  speakIn(kept("language") ?? (own.toLowerCase().startsWith("zh") ? "zh" : "en"));
  sayAll(document);
  const language = document.getElementById("ui-language");
  const labelled = () => {
    // In the language that it leads to, whatever the page's own is.
    sayIn(language, "aria-label", "uiLanguageLabel");
    language.lang = spokenLanguage() === "zh" ? "en" : "zh-Hans";
  };
  labelled();
  language.addEventListener("click", () => {
    speakIn(spokenLanguage() === "zh" ? "en" : "zh");
    labelled();
    keep("language", spokenLanguage());
  });

  const theme = document.getElementById("theme");
  const show = (choice) => {
    theme.dataset.choice = choice;
    document.documentElement.dataset.theme = choice;
    sayIn(theme, "aria-label", APPEARANCES[choice]);
  };
  const chosen = kept("appearance");
  show(Object.hasOwn(APPEARANCES, chosen ?? "") ? chosen : "auto");
  theme.addEventListener("click", () => {
    const all = Object.keys(APPEARANCES);
    const next = all[(all.indexOf(theme.dataset.choice) + 1) % all.length];
    show(next);
    keep("appearance", next);
  });
}

function kept(name) {
  try {
    return localStorage.getItem(`triton-funasr-${name}`);
  } catch {
    // A browser may keep nothing for a page.
    return null;
  }
}

function keep(name, value) {
  try {
    localStorage.setItem(`triton-funasr-${name}`, value);
  } catch {
    // Then it is chosen anew the next time.
  }
}
