// Keeps the page of one video true: server-sent events, or polling where they fail. The words are the server's: where
// more than a number has changed, the page is fetched again and the parts that differ are put in place.
"use strict";

const FINAL = new Set(["done", "failed", "parked"]);
const POLL_MS = 3000;
const LONGEST_PAUSE_MS = 30000;
const STREAM_AGAIN_MS = 60000;
const TICK_MS = 1000;

const main = document.querySelector("main[data-status]");
const token = location.pathname.split("/")[2];
const served = new Map();
let shown = JSON.parse(main.dataset.status);
let latest = shown;
let fetching = false;
let stream = null;
let pollTimer = 0;
let failures = 0;
let streamFailedAt = 0;

// --- what is shown ---

// What a change of makes other words, and not only other numbers.
function wording(status) {
  const clips = status.clips.map((clip) => [clip.clip_id, clip.title, clip.start_s, clip.end_s]);
  const steps = status.steps.map((step) => step.status);
  const reason = [status.failure_cause, status.failure_details, status.next_attempt_at];
  return JSON.stringify([status.status, status.outcome, status.outcome_reason, steps, reason, clips]);
}

function isSettled(status) {
  const clipsMissing = status.status === "done" && status.outcome === "clips" && status.clips.length === 0;
  return FINAL.has(status.status) && !clipsMissing;
}

function show(status) {
  latest = status;
  if (wording(status) === wording(shown)) {
    showNumbers(status);
    shown = status;
  } else {
    refresh();
  }
}

function showNumbers(status) {
  document.getElementById("whole").value = status.progress;
  const percent = `${Math.floor(status.progress * 100)}%`;
  setText(document.getElementById("percent"), percent);
  document.title = document.title.replace(/^\d+%/, percent);
  const running = status.status === "running" ? status.message : "";
  setText(document.getElementById("message"), running);
  setText(document.getElementById("estimate"), status.estimate);
  for (const step of status.steps) {
    document.querySelector(`[data-step="${CSS.escape(step.step)}"] progress`).value = step.progress;
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

async function refresh() {
  if (fetching) return;
  fetching = true;
  try {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (answer.status === 404) location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.title = page.title;
    for (const part of document.querySelectorAll("[data-part]")) replace(part, page.getElementById(part.id));
    shown = JSON.parse(page.querySelector("main[data-status]").dataset.status);
    showNumbers(shown);
    tick();
  } catch {
    poll(POLL_MS);
  } finally {
    fetching = false;
  }
  // While the page was on its way, the video may have moved on.
  if (wording(latest) !== wording(shown)) poll(POLL_MS);
  else if (isSettled(shown)) stop();
}

// A part that did not change stays, so that a clip plays on and the focus is kept.
function replace(part, fresh) {
  if (served.get(part.id) === fresh.innerHTML) return;
  served.set(part.id, fresh.innerHTML);
  part.replaceChildren(...fresh.childNodes);
}

// --- the clock ---

function tick() {
  for (const time of document.querySelectorAll("time[data-local]")) {
    const moment = new Date(time.dateTime);
    const sameDay = moment.toDateString() === new Date().toDateString();
    setText(time, sameDay ? moment.toLocaleTimeString() : moment.toLocaleString());
  }
  for (const time of document.querySelectorAll("time[data-countdown]")) {
    setText(time, countdown((new Date(time.dateTime) - Date.now()) / 1000));
  }
}

function countdown(seconds) {
  if (seconds < 1) return "any moment now";
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const words = parts.map((part, n) => (part ? `${part} ${["h", "min", "s"][n]}` : "")).filter(Boolean);
  return `in ${words.join(" ")}`;
}

// --- where the news come from ---

function receive(status) {
  document.getElementById("connection").hidden = true;
  failures = 0;
  show(status);
  if (FINAL.has(status.status)) closeStream();
  return isSettled(status);
}

function listen() {
  if (!window.EventSource) return poll(0);
  closeStream();
  stream = new EventSource(`/video/${token}/events`);
  stream.onopen = () => clearTimeout(pollTimer);
  stream.onmessage = (event) => {
    if (!receive(JSON.parse(event.data)) && !stream) poll(POLL_MS);
  };
  stream.onerror = () => {
    document.getElementById("connection").hidden = false;
    // While it is connecting the browser tries again by itself; once it gave up, we ask.
    if (stream && stream.readyState === EventSource.CLOSED) {
      closeStream();
      streamFailedAt = Date.now();
      poll(0);
    }
  };
}

function closeStream() {
  if (stream) stream.close();
  stream = null;
}

function poll(pauseMs) {
  clearTimeout(pollTimer);
  pollTimer = setTimeout(ask, pauseMs);
}

async function ask() {
  try {
    const answer = await fetch("/public/video/status", {
      headers: { Authorization: `Bearer ${token}` },
      cache: "no-store",
    });
    if (answer.status === 404) return location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    if (receive(await answer.json())) return undefined;
  } catch {
    failures += 1;
    document.getElementById("connection").hidden = failures < 2;
  }
  if (stream && failures === 0) return undefined;
  const mayStream =
    !stream && window.EventSource && !FINAL.has(shown.status) && Date.now() - streamFailedAt > STREAM_AGAIN_MS;
  if (mayStream && failures === 0) return listen();
  return poll(Math.min(LONGEST_PAUSE_MS, POLL_MS * 2 ** failures));
}

function stop() {
  closeStream();
  clearTimeout(pollTimer);
}

function start() {
  if (isSettled(shown)) return;
  if (FINAL.has(shown.status)) poll(POLL_MS);
  else listen();
}

for (const part of document.querySelectorAll("[data-part]")) served.set(part.id, part.innerHTML);
kept.add(token);
tick();
setInterval(tick, TICK_MS);
start();
// A page that the browser kept aside and shows again.
addEventListener("pageshow", (event) => {
  if (event.persisted) refresh().then(start);
});
// One clip at a time.
document.addEventListener(
  "play",
  (event) => {
    for (const video of document.querySelectorAll("video")) if (video !== event.target) video.pause();
  },
  true,
);
