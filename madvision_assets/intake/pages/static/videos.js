// The list of this browser's videos. Tokens go in a header: no address has them, and no log.
"use strict";

const AT_ONCE = 100;
const POLL_MS = 10000;
const FINAL = new Set(["done", "failed", "parked"]);
const GROUPS = {
  going: (video) => !FINAL.has(video.status),
  clips: (video) => video.clips > 0,
  without: (video) => video.status === "done" && video.outcome !== "clips",
  failed: (video) => video.status === "failed" || video.status === "parked",
};

const list = document.getElementById("videos");
const filters = document.getElementById("filters");
const state = document.getElementById("list-state");
const undo = document.getElementById("undo");
const gone = document.getElementById("gone");
const fields = ["by-title", "by-state", "by-host"].map((id) => document.getElementById(id));
const entries = new Map(); // by token: the video, and its element
let unknown = [];
let timer = 0;
let removed = null; // the last one: its token, and its place

// --- what is shown ---

function length(seconds) {
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  return minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

function languageName(code) {
  try {
    return new Intl.DisplayNames(["en"], { type: "language" }).of(code);
  } catch {
    return code; // no browser knows all of Whisper's
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function entryOf(token) {
  const element = document.getElementById("entry").content.firstElementChild.cloneNode(true);
  element.querySelector(".remove").addEventListener("click", () => remove(token));
  // A picture that is not there any more leaves its place empty.
  element.querySelector("img").addEventListener("error", (event) => (event.target.hidden = true));
  return element;
}

function fill(element, video) {
  const name = video.title || video.url;
  const part = (selector) => element.querySelector(selector);
  setText(part("h2 a"), name);
  part("h2 a").href = `/video/${video.token}`;
  const lasts = video.duration_s === null ? null : length(video.duration_s);
  const facts = [video.kind, lasts, video.language && languageName(video.language), video.host];
  setText(part(".facts"), facts.filter(Boolean).join(" · "));
  setText(part(".in-short"), video.in_short);
  part(".in-short").className = `in-short ${video.status} ${video.outcome || ""}`;
  setText(part(".remove .unseen"), ` “${name}” from the list`);
  const bar = part("progress");
  bar.hidden = video.status !== "running";
  bar.value = video.progress;
  bar.setAttribute("aria-label", `Progress of “${name}”`);
  const picture = part("img");
  const source = video.thumbnail_url ? new URL(video.thumbnail_url).pathname : "";
  if (source !== (picture.getAttribute("src") || "")) {
    picture.hidden = !source;
    if (source) picture.src = source;
    else picture.removeAttribute("src");
  }
}

function show() {
  const tokens = kept.all();
  for (const [token, entry] of entries) {
    if (tokens.includes(token) && !unknown.includes(token)) continue;
    entry.element.remove();
    entries.delete(token);
  }
  const shown = tokens.map((token) => entries.get(token)).filter(Boolean);
  shown.forEach((entry, place) => {
    if (list.children[place] !== entry.element) list.insertBefore(entry.element, list.children[place] || null);
  });
  showHosts(shown.map((entry) => entry.video.host).filter(Boolean));
  narrow();
  const missing = unknown.filter((token) => tokens.includes(token)).length;
  gone.hidden = !missing;
  const were = missing === 1 ? "One video of this list is" : `${missing} videos of this list are`;
  setText(document.getElementById("gone-count"), `${were} not there any more: deleted, or never known here.`);
  filters.hidden = shown.length < 2;
  document.getElementById("search").hidden = !shown.length;
  document.getElementById("empty").hidden = tokens.length > 0;
}

function showHosts(hosts) {
  const select = fields[2];
  const wanted = [...new Set(hosts)].sort();
  const there = [...select.options].slice(1).map((option) => option.value);
  if (wanted.join("\n") === there.join("\n")) return;
  const chosen = select.value;
  select.replaceChildren(select.options[0], ...wanted.map((host) => new Option(host, host)));
  select.value = wanted.includes(chosen) ? chosen : "";
}

function narrow() {
  const [text, group, host] = fields.map((field) => field.value.trim());
  let fitting = 0;
  for (const { video, element } of entries.values()) {
    const words = `${video.title || ""} ${video.url}`.toLocaleLowerCase();
    const fits =
      words.includes(text.toLocaleLowerCase()) && (!group || GROUPS[group](video)) && (!host || video.host === host);
    element.hidden = !fits;
    fitting += Number(fits);
  }
  const narrowed = text || group || host;
  setText(document.getElementById("count"), narrowed ? `${fitting} of ${entries.size} videos` : "");
}

function say(text, wrong = false) {
  setText(state, text);
  state.classList.toggle("fault", wrong);
}

// --- what is done ---

function remove(token) {
  const { element, video } = entries.get(token);
  const visible = [...list.children].filter((each) => !each.hidden);
  const place = visible.indexOf(element);
  removed = { token, place: kept.all().indexOf(token) };
  kept.remove([token]);
  show();
  say(`“${video.title || video.url}” is off the list. Its page and its clips stay.`);
  undo.hidden = false;
  const next = visible[place + 1] || visible[place - 1];
  (next ? next.querySelector(".remove") : undo).focus();
}

function putBack() {
  kept.add(removed.token, removed.place);
  undo.hidden = true;
  say("It is on the list again.");
  document.querySelector("h1").focus();
  load();
}

async function ask(tokens) {
  const answer = await fetch("/public/videos", {
    headers: { "MadVision-Tokens": tokens.join(",") },
    cache: "no-store",
  });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

async function load() {
  clearTimeout(timer);
  const tokens = kept.all();
  try {
    const missing = [];
    for (let start = 0; start < tokens.length; start += AT_ONCE) {
      const told = await ask(tokens.slice(start, start + AT_ONCE));
      for (const video of told.videos) {
        const element = entries.get(video.token)?.element || entryOf(video.token);
        fill(element, video);
        entries.set(video.token, { video, element });
      }
      missing.push(...told.unknown);
    }
    unknown = missing;
    if (state.classList.contains("fault")) say("");
  } catch {
    say("The list cannot be read just now. It is tried again.", true);
  }
  show();
  const going = [...entries.values()].some((entry) => GROUPS.going(entry.video));
  if (going || state.classList.contains("fault")) timer = setTimeout(load, POLL_MS);
}

for (const field of fields) field.addEventListener("input", narrow);
filters.addEventListener("submit", (event) => event.preventDefault());
undo.addEventListener("click", putBack);
document.getElementById("drop").addEventListener("click", () => {
  kept.remove(unknown);
  show();
  document.querySelector("h1").focus();
});
// Another tab has submitted one.
addEventListener("storage", load);
addEventListener("pageshow", (event) => event.persisted && load());
load();
