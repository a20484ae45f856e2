// Files, one after the other: sent, waited for, shown.

import { askForKey } from "./key.js";
import { untilReady } from "./notices.js";
import { transcribe } from "./server.js";
import { Transcript } from "./transcript.js";
import { ofTranscript } from "./words.js";

const queue = [];
let isWorking = false;
// Whether the server's model says when each word is spoken, as far as is known.
let wordsAreTimed = true;
// So often a file is sent to a server that is there, and does not answer.
const UNANSWERED = 5;

/** Puts files into the queue; `wishes` gives what is chosen when a file's turn comes. */
export function take(files, wishes) {
  for (const file of files) {
    const name = file.name.replace(/\.[^.]+$/, "") || file.name;
    enqueue({ file, wishes, transcript: new Transcript(file.name, name) });
  }
}

function enqueue(job) {
  const giveUp = new AbortController();
  const { transcript } = job;
  Object.assign(job, { giveUp, unanswered: 0 });
  transcript.status("waiting");
  transcript.mayBeRemoved("cancelOf");
  transcript.onAway(() => {
    giveUp.abort();
    const at = queue.indexOf(job);
    if (at >= 0) queue.splice(at, 1);
    transcript.close();
  });
  queue.push(job);
  work();
}

async function work() {
  if (isWorking) return;
  isWorking = true;
  while (queue.length > 0) await one(queue.shift());
  isWorking = false;
}

async function one(job) {
  const { file, wishes, transcript, giveUp } = job;
  const again = () => enqueue(job);
  while (!giveUp.signal.aborted) {
    try {
      const progress = (part) => {
        if (part < 1) transcript.status("uploading", { percent: Math.floor(100 * part) }, part);
        else transcript.status("transcribing", {}, null);
      };
      progress(0);
      const answer = await transcribe(file, { ...wishes(), words: wordsAreTimed }, progress, giveUp.signal);
      show(transcript, file, answer);
      return;
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(await mayGoOn(error, job))) {
        if (error.status === 413) transcript.fail("tooLarge");
        else transcript.fail("failed", { reason: error.message || `HTTP ${error.status}` }, again);
        return;
      }
    }
  }
}

function show(transcript, file, answer) {
  transcript.settled();
  transcript.length(answer.duration);
  transcript.add(ofTranscript(answer));
  transcript.finish({ recording: file, answer });
}

/** Whether it is worth another try, once what stood in its way is over. */
async function mayGoOn(error, job) {
  const { transcript } = job;
  const { signal } = job.giveUp;
  if (error.status === 400 && error.param === "timestamp_granularities" && wordsAreTimed) {
    wordsAreTimed = false;
    return true;
  }
  if (error.status === 401) return askForKey();
  if (error.status === 429) {
    for (let seconds = error.retryAfter; seconds > 0 && !signal.aborted; seconds -= 1) {
      transcript.status("busy", { seconds });
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    return true;
  }
  // Without an answer the file may have been too much for the connection; with the server there again it is tried again, but not for ever: it
  // may be the file, which was changed or taken away.
  if (error.status === 0 && (job.unanswered += 1) > UNANSWERED) return false;
  if (error.status === 0 || error.status === 503) {
    transcript.status("waiting");
    await untilReady(error);
    return true;
  }
  return false;
}
