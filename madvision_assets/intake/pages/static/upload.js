// Sends a file by tus 1.0 (https://tus.io/protocols/resumable-upload): whatever breaks off goes on where it stopped.
"use strict";

const ENDPOINT = "/public/upload";
const VERSION = { "Tus-Resumable": "1.0.0" };
// Less than what proxies take in one request.
const PIECE_BYTES = 32 * 1024 * 1024;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30000;
const ANNOUNCED_SHARE = 0.1;
// What may be another time.
const PASSING = new Set([408, 409, 423, 425, 429]);
const GONE = new Set([404, 410]);

const part = document.getElementById("sending");
const input = document.getElementById("file");
const button = document.getElementById("send");
const state = document.getElementById("sent-state");
let sending = null; // the file that is being sent

class Refused extends Error {
  constructor(status, detail, retryAfterS) {
    super(detail);
    this.status = status;
    this.retryAfterMs = 1000 * (Number(retryAfterS) || 0);
  }

  get passes() {
    return PASSING.has(this.status) || this.status >= 500;
  }
}

class Stopped extends Error {}

// --- the protocol ---

async function ask(method, address, headers) {
  const answer = await fetch(address, { method, headers: { ...VERSION, ...headers }, cache: "no-store" });
  if (!answer.ok) throw await refusal(answer.status, answer.headers.get("Retry-After"), () => answer.json());
  return answer.headers;
}

async function refusal(status, retryAfterS, read) {
  let detail = "";
  try {
    detail = (await read()).detail;
  } catch {
    // no problem document: a proxy has answered
  }
  return new Refused(status, detail || `The server refused the file (${status}).`, retryAfterS);
}

async function begin(job) {
  const metadata = { filename: job.file.name, priority: job.priority, options: job.options };
  const pairs = Object.entries(metadata).map(([name, value]) => `${name} ${base64(value)}`);
  const headers = { "Upload-Length": String(job.file.size), "Upload-Metadata": pairs.join(",") };
  const answer = await ask("POST", ENDPOINT, headers);
  return new URL(answer.get("Location"), location.href).pathname; // of the page's own host, whatever its name
}

// Send the next piece; gives the headers of the answer.
function push(job, offset) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of what was sent
    job.request = request;
    request.open("PATCH", job.address);
    const headers = { ...VERSION, "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(offset) };
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => show(job, offset + event.loaded);
    request.onerror = () => reject(new Error("cut"));
    request.onabort = () => reject(new Stopped());
    request.onload = async () => {
      const header = (name) => request.getResponseHeader(name);
      if (request.status >= 200 && request.status < 300) resolve({ get: header });
      else reject(await refusal(request.status, header("Retry-After"), async () => JSON.parse(request.responseText)));
    };
    request.send(job.file.slice(offset, offset + PIECE_BYTES));
  });
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

// --- one file, from its first byte to its page ---

async function deliver(job) {
  job.address = recall(job);
  let furthest = 0;
  let failures = 0;
  for (;;) {
    try {
      if (!job.address) remember(job, await begin(job));
      let answer = await ask("HEAD", job.address);
      for (;;) {
        const offset = Number(answer.get("Upload-Offset"));
        if (offset > furthest) failures = 0;
        furthest = Math.max(furthest, offset);
        show(job, offset);
        if (answer.get("MadVision-Token")) return answer.get("MadVision-Token");
        if (job.stopped) throw new Stopped();
        answer = await push(job, offset);
      }
    } catch (error) {
      if (error instanceof Stopped || job.stopped) throw new Stopped();
      const again = error instanceof Refused && GONE.has(error.status) && job.recalled;
      if (again) remember(job, null); // an earlier try, that has expired: from the beginning
      else if (error instanceof Refused && !error.passes) throw error;
      else await pause(job, error, failures++);
    }
  }
}

async function pause(job, error, failures) {
  const pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS * 2 ** failures, error.retryAfterMs || 0));
  const why = error instanceof Refused ? error.message : "The connection was cut.";
  say(`${why} It goes on by itself in ${Math.ceil(pauseMs / 1000)} s.`);
  job.announced = -1;
  await new Promise((resolve) => {
    job.wake = resolve;
    setTimeout(resolve, pauseMs);
    addEventListener("online", resolve, { once: true });
  });
}

// The address of an upload is known to this tab alone, so that the page may be loaded again.
function key(job) {
  return `upload ${job.file.name} ${job.file.size} ${job.file.lastModified} ${job.priority} ${job.options}`;
}

function recall(job) {
  try {
    const address = sessionStorage.getItem(key(job));
    job.recalled = Boolean(address);
    return address;
  } catch {
    return null; // the browser keeps nothing
  }
}

function remember(job, address) {
  job.address = address;
  job.recalled = false;
  try {
    if (address) sessionStorage.setItem(key(job), address);
    else sessionStorage.removeItem(key(job));
  } catch {
    // the browser keeps nothing
  }
}

// --- what is shown ---

function show(job, doneBytes) {
  const share = doneBytes / job.file.size;
  document.getElementById("sent").hidden = false;
  document.getElementById("sent-bar").value = share;
  document.getElementById("sent-percent").textContent = `${Math.floor(share * 100)}%`;
  if (share - job.announced < ANNOUNCED_SHARE) return;
  job.announced = share;
  say(`${Math.floor(share * 100)}% of the file is sent.`);
}

function say(text, wrong = false) {
  state.textContent = text;
  state.classList.toggle("fault", wrong);
  state.classList.toggle("help", !wrong);
}

function fieldsAreValid() {
  const fields = ["max_clips", "min_clip_s", "max_clip_s", "priority"].map((name) => document.getElementById(name));
  const wrong = fields.find((field) => !field.checkValidity());
  if (!wrong) return true;
  wrong.closest("details").open = true;
  wrong.reportValidity();
  return false;
}

// Seconds, 12:34 or 1:02:03; what is none is sent as it is, and refused with a sentence.
function secondsOf(text) {
  if (!/^(?:(?:\d{1,3}:)?\d{1,4}:)?\d{1,7}(?:\.\d{1,6})?$/.test(text)) return text;
  return text.split(":").reduce((sum, part) => 60 * sum + Number(part), 0);
}

function jobOf(file) {
  const number = (name) => Number(document.getElementById(name).value);
  const names = ["max_clips", "min_clip_s", "max_clip_s"].filter((name) => document.getElementById(name).value);
  const asked = Object.fromEntries(names.map((name) => [name, number(name)]));
  const text = (name) => document.getElementById(name).value.trim();
  for (const name of ["topic", "title_language", "language"]) if (text(name)) asked[name] = text(name);
  for (const name of ["start_s", "end_s"]) if (text(name)) asked[name] = secondsOf(text(name));
  if (text("vocabulary")) asked.vocabulary = text("vocabulary").split(",");
  if (document.getElementById("translate").checked) asked.translate = true;
  const shapes = ["vertical", "square", "portrait"].filter((name) => document.getElementById(name).checked);
  if (shapes.length) asked.renditions = shapes;
  const captions = document.getElementById("captions").value;
  if (captions) asked.captions = captions;
  const options = JSON.stringify(asked);
  return { file, priority: String(number("priority")), options, announced: -1 };
}

async function start() {
  const [file] = input.files;
  if (!file) return say("Choose a file first.", true);
  if (!file.size) return say("The file is empty.", true);
  if (file.size > Number(part.dataset.longest)) return say("The file is larger than what is taken.", true);
  if (!fieldsAreValid()) return undefined;
  sending = jobOf(file);
  input.disabled = true;
  button.textContent = "Stop";
  say("The file is being sent.");
  try {
    const token = await deliver(sending);
    remember(sending, null);
    sending = null;
    say("The file is sent.");
    return location.assign(`/video/${token}`);
  } catch (error) {
    if (error instanceof Stopped) say("Stopped. What was sent is deleted.");
    else say(error.message, true);
  }
  document.getElementById("sent").hidden = true;
  sending = null;
  input.disabled = false;
  button.textContent = "Send the file";
  return undefined;
}

function stop() {
  const job = sending;
  job.stopped = true;
  if (job.request) job.request.abort();
  if (job.wake) job.wake();
  if (job.address) ask("DELETE", job.address).catch(() => {}); // else it expires
  remember(job, null);
}

part.hidden = false;
button.addEventListener("click", () => (sending ? stop() : start()));
addEventListener("beforeunload", (event) => {
  if (sending) event.preventDefault();
});
