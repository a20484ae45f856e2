// What the page asks its server: OpenAI's API for files, FunASR's protocol for live speech, and whether there is a server at all.

const KEPT = "triton-funasr-key";
const PAUSE = 2000;

/** Why a request failed. `status` is 0 where no answer came. */
export class ServerError extends Error {
  constructor(status, { message = "", param = null } = {}, retryAfter = 1) {
    super(message);
    this.status = status;
    this.param = param;
    this.retryAfter = retryAfter;
  }
}

let unkept = "";

/** The key of this tab. */
export function key() {
  try {
    return sessionStorage.getItem(KEPT) ?? "";
  } catch {
    // A browser may keep nothing for a page.
    return unkept;
  }
}

/** Keeps a key until the tab is closed. */
export function useKey(value) {
  unkept = value;
  try {
    if (value) sessionStorage.setItem(KEPT, value);
    else sessionStorage.removeItem(KEPT);
  } catch {
    // Then it is asked for anew the next time.
  }
}

function address(path) {
  return new URL(path, document.baseURI);
}

function headers() {
  return key() ? { Authorization: `Bearer ${key()}` } : {};
}

/** Whether the server would do something for us: fails with the reason if not. */
export async function probe() {
  let answer;
  try {
    answer = await fetch(address("v1/models"), { headers: headers(), cache: "no-store" });
  } catch {
    throw new ServerError(0);
  }
  if (!answer.ok) throw refused(answer.status, await answer.text(), answer.headers.get("Retry-After"));
}

/** Comes back when the server is ready, however long that takes. */
export async function whenReady() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    try {
      const answer = await fetch(address("health/ready"), { cache: "no-store" });
      if (answer.ok) return;
    } catch {
      // Not yet.
    }
  }
}

/** Where live speech goes. Browsers cannot give a WebSocket a header, so the key stands in its address. */
export function liveAddress() {
  const url = address("./");
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.search = key() ? `?api_key=${encodeURIComponent(key())}` : "";
  url.hash = "";
  return url;
}

/** Sends a file; `progress` is told which part of it, 0 to 1, has been sent. `signal` gives it up. */
export function transcribe(file, { language, hotwords, words }, progress, signal) {
  const form = new FormData();
  form.set("model", "");
  form.set("response_format", "verbose_json");
  form.append("timestamp_granularities[]", "segment");
  if (words) form.append("timestamp_granularities[]", "word");
  if (language) form.set("language", language);
  if (hotwords) form.set("hotwords", hotwords);
  form.set("file", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address("v1/audio/transcriptions"));
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => progress(total > 0 ? loaded / total : 1);
    request.upload.onload = () => progress(1);
    request.onload = () => {
      if (request.status !== 200) {
        reject(refused(request.status, request.responseText, request.getResponseHeader("Retry-After")));
        return;
      }
      try {
        resolve(JSON.parse(request.responseText));
      } catch {
        reject(new ServerError(502, { message: "the answer is no JSON" }));
      }
    };
    request.onerror = () => reject(new ServerError(0));
    request.onabort = () => reject(new DOMException("given up", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

function refused(status, body, retryAfter) {
  let error = {};
  try {
    error = JSON.parse(body).error ?? {};
  } catch {
    // A proxy in between answers in its own way.
  }
  return new ServerError(status, error, Math.min(60, Math.max(1, Number(retryAfter) || 1)));
}
