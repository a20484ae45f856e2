// The microphone: opened, listened to, and let go.

import { RATE } from "./times.js";

/** Why there is no microphone; `key` names the texts that say so. */
export class MicrophoneError extends Error {
  constructor(key, reason = "") {
    super(reason || key);
    this.key = key;
    this.reason = reason;
  }
}

/** Opens the microphone; `heard` is called with 16 kHz samples of 16 bits, as they come. What it gives back closes it again, however often it is called. */
export async function listen(heard, broken) {
  if (!navigator.mediaDevices?.getUserMedia || !globalThis.AudioWorkletNode) throw new MicrophoneError("insecure");
  const stream = await open();
  let context;
  let source;
  try {
    ({ context, source } = await contextFor(stream));
    await context.audioWorklet.addModule(new URL("./capture.js", import.meta.url));
  } catch (error) {
    stopAll(stream);
    await context?.close();
    throw new MicrophoneError("microphoneFailed", String(error.message ?? error));
  }
  const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
  let ended;
  const end = new Promise((resolve) => (ended = resolve));
  node.port.onmessage = ({ data }) => (data === "end" ? ended() : heard(data));
  // Unplugged, or taken away.
  stream.getAudioTracks().forEach((track) => track.addEventListener("ended", broken));
  source.connect(node);
  await context.resume();
  let closing;
  return () => (closing ??= close());

  async function close() {
    node.port.postMessage("end");
    // A context that the browser has put to sleep does not answer.
    await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 500))]);
    stopAll(stream);
    await context.close();
  }
}

async function open() {
  // As the microphone hears it: what browsers do for calls takes some speech with the noise, and makes the beginning so loud that it is clipped.
  const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    if (["NotAllowedError", "SecurityError"].includes(error.name)) throw new MicrophoneError("noMicrophone");
    if (["NotFoundError", "OverconstrainedError"].includes(error.name)) throw new MicrophoneError("noDevice");
    throw new MicrophoneError("microphoneFailed", error.message || error.name);
  }
}

/** A context at the models' rate where the browser resamples; at the microphone's own where it refuses to. */
async function contextFor(stream) {
  let context;
  try {
    context = new AudioContext({ sampleRate: RATE });
    return { context, source: context.createMediaStreamSource(stream) };
  } catch {
    await context?.close();
    context = new AudioContext();
    return { context, source: context.createMediaStreamSource(stream) };
  }
}

function stopAll(stream) {
  stream.getTracks().forEach((track) => track.stop());
}
