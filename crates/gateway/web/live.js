// Live speech: the microphone's samples to FunASR's WebSocket, and what it answers into a transcript.

import { askForKey } from "./key.js";
import { MicrophoneError, listen } from "./microphone.js";
import { dismiss, notice, untilReady } from "./notices.js";
import { liveAddress, probe } from "./server.js";
import { announce } from "./texts.js";
import { RATE, two } from "./times.js";
import { Transcript } from "./transcript.js";
import { Recording } from "./wave.js";
import { ofMessage } from "./words.js";

// Two minutes of speech that the server has not taken yet.
const MOST_WAITING = 120 * 2 * RATE;
// How long the last answer is waited for.
const LAST_ANSWER = 120_000;

/** One recording, from the first sample to the last answer. `changed` is told `starting`, `on`, `finishing`, `off`; `level` how loud it is. */
export class Live {
  constructor(wishes, changed, level) {
    this.wishes = wishes;
    this.changed = changed;
    this.level = level;
    this.recording = new Recording();
    this.text = "";
    this.waiting = [];
    this.isOver = false;
  }

  /** Begins; comes back when it runs, or when it is clear that it does not. */
  async begin() {
    dismiss("noMicrophone", "noDevice", "microphoneFailed", "insecure", "streamsFull", "slow");
    this.changed("starting");
    try {
      this.hush = await listen(
        (samples) => this.heard(samples),
        () => this.end(),
      );
    } catch (error) {
      this.changed("off");
      const known = error instanceof MicrophoneError ? error : new MicrophoneError("microphoneFailed", String(error));
      notice(known.key, { reason: known.reason });
      return;
    }
    if (!(await this.connect())) {
      await this.hush();
      this.changed("off");
      return;
    }
    if (this.isOver) {
      // The microphone went meanwhile.
      this.socket.close();
      this.changed("off");
      return;
    }
    const now = new Date();
    const day = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join("-");
    const time = `${two(now.getHours())}:${two(now.getMinutes())}`;
    this.transcript = new Transcript({ key: "live", values: { time } }, `live-${day}-${time.replace(":", "")}`);
    this.transcript.live(true);
    this.transcript.mayBeRemoved("cancelOf");
    this.transcript.onAway(() => this.cancel());
    this.changed("on");
    announce("listening");
  }

  /** Whether there is a connection. If not, it was said why. */
  async connect() {
    const socket = new WebSocket(liveAddress(), "binary");
    socket.binaryType = "arraybuffer";
    const opened = await new Promise((resolve) => {
      socket.onopen = () => resolve(true);
      socket.onclose = () => resolve(false);
    });
    if (!opened) return this.refused();
    this.socket = socket;
    socket.onmessage = ({ data }) => this.told(JSON.parse(data));
    socket.onclose = () => this.broken();
    const { language, hotwords } = this.wishes();
    const first = { mode: "2pass", wav_name: "microphone", wav_format: "pcm", audio_fs: RATE, is_speaking: true, itn: true };
    if (language) first.svs_lang = language;
    if (hotwords) first.hotwords = hotwords;
    socket.send(JSON.stringify(first));
    this.waiting.splice(0).forEach((samples) => socket.send(samples));
    return true;
  }

  /** A browser does not say why a WebSocket was refused: what else is asked tells it. */
  async refused() {
    try {
      await probe();
      notice("streamsFull");
    } catch (error) {
      if (error.status === 401) return (await askForKey()) && this.connect();
      if (error.status === 429) notice("streamsFull");
      else untilReady(error);
    }
    return false;
  }

  heard(samples) {
    if (this.isOver) return;
    this.recording.push(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    // From -60 dB to -10 dB.
    this.level(Math.max(0, Math.min(1, (10 * Math.log10(power / 32768 ** 2 + 1e-9) + 60) / 50)), this.recording.seconds);
    this.transcript?.length(this.recording.seconds);
    if (this.socket?.readyState !== WebSocket.OPEN) {
      this.waiting.push(samples);
      return;
    }
    this.socket.send(samples);
    if (this.socket.bufferedAmount > MOST_WAITING) {
      notice("slow");
      this.end();
    }
  }

  told(message) {
    if (message.error) this.failed = message.error;
    if (message.text !== undefined) {
      const settles = message.mode === "2pass-offline" || message.is_final;
      if (settles) this.settle(message);
      else this.transcript?.partial((this.text += message.text).trim());
    }
    if (message.is_end) this.finish();
  }

  /** What comes in place of all that was said so far since the last time. */
  settle(message) {
    // A model for streams alone says at its end what is new, as before.
    const isNew = message.mode !== "2pass-offline";
    const whole = isNew ? { ...message, text: (this.text + message.text).trim() } : message;
    this.text = "";
    this.transcript?.partial("");
    const sentences = ofMessage(whole);
    this.transcript?.add(sentences);
    if (sentences.length > 0) announce("settled", { text: whole.text });
  }

  /** The person has said all. What was said is waited for. */
  async end() {
    if (this.isEnding) return;
    this.isEnding = true;
    this.changed("finishing");
    await this.hush?.();
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ is_speaking: false, is_end: true }));
      this.transcript?.status("transcribing", {}, null);
      this.timer = setTimeout(() => this.broken(), LAST_ANSWER);
    } else {
      this.finish();
    }
  }

  broken() {
    if (this.isOver) return;
    this.isBroken = true;
    this.finish();
    probe().catch((error) => error.status !== 401 && untilReady(error));
  }

  /** Nothing more will come. */
  async finish() {
    if (this.isOver) return;
    this.isOver = true;
    clearTimeout(this.timer);
    this.socket?.close();
    await this.hush?.();
    if (this.text.trim()) this.settle({ mode: "online", text: "" });
    const { transcript, recording } = this;
    if (transcript) {
      transcript.live(false);
      transcript.settled();
      if (this.failed) transcript.fail("failed", { reason: this.failed });
      else if (this.isBroken) transcript.fail("brokeOff");
      transcript.onAway(() => transcript.close());
      transcript.finish({ recording: recording.seconds > 0 ? recording.file() : null, offset: recording.offset });
    }
    this.changed("off");
  }

  /** Throws away what was said. */
  cancel() {
    const { transcript } = this;
    this.transcript = null;
    transcript.close();
    this.finish();
  }
}
