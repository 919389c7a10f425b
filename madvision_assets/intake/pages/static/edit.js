// Changes the clips of one video: points by words, titles, clips that go and that come, shapes and captions of all.
// Nothing is sent before "Render again", and then all at once, by PATCH /public/video/clips. A clip's points are places
// in the list of words.
"use strict";

const main = document.querySelector("main[data-editable]");
const token = location.pathname.split("/")[2];
const { version, words, clips: served, renditions, captions } = JSON.parse(main.dataset.editable);
const cards = document.getElementById("cards");
const list = document.getElementById("words");
const render = document.getElementById("render");
const preview = document.getElementById("preview");
const problem = document.getElementById("problem");
const own = document.getElementById("source"); // captions in the source's own shape
const boxes = [own, ...document.querySelectorAll("#shapes input")];
const style = document.getElementById("captions");
const were = { renditions, captions };
const MOST_TITLE_CHARS = 120;

const middles = words.map((word) => (word.start_s + word.end_s) / 2);
const nodes = [];
const clips = served.map((clip) => {
  const points = { first: firstFrom(clip.start_s), last: lastUntil(clip.end_s) };
  const was = { title: clip.title, ...points, id: clip.clip_id, startS: clip.start_s, endS: clip.end_s };
  return { clip: clip.clip, title: clip.title, ...points, was, dropped: false };
});
let chosen = clips[0] || null;
let anchor = 0; // of what is marked, and its other end, which has the focus
let cursor = 0;
let isMarked = false;

// As the server has it: a word is on the side of a point on which most of it is.
function firstFrom(startS) {
  const found = middles.findIndex((middle) => middle >= startS);
  return found < 0 ? words.length : found;
}

function lastUntil(endS) {
  return middles.findLastIndex((middle) => middle <= endS);
}

// --- what is asked for ---

function edits() {
  const wanted = pictures();
  const isOther = JSON.stringify(wanted) !== JSON.stringify(were);
  return [...clipEdits(), ...(isOther ? [{ change: "pictures", ...wanted }] : [])];
}

function clipEdits() {
  return clips.flatMap((clip) => {
    if (!clip.was) {
      const title = clip.title.trim() ? { title: clip.title } : {};
      return [{ change: "add", first_word: clip.first, last_word: clip.last, ...title }];
    }
    if (clip.dropped) return [{ change: "drop", clip: clip.clip }];
    const points = {};
    if (clip.first !== clip.was.first) points.first_word = clip.first;
    if (clip.last !== clip.was.last) points.last_word = clip.last;
    const trim = isRecut(clip) ? [{ change: "trim", clip: clip.clip, ...points }] : [];
    const isRenamed = clip.title !== clip.was.title;
    return isRenamed ? [...trim, { change: "retitle", clip: clip.clip, title: clip.title }] : trim;
  });
}

function isRecut(clip) {
  return Boolean(clip.was) && (clip.first !== clip.was.first || clip.last !== clip.was.last);
}

// In the one form that the server keeps: the source's own shape counts only beside others, and with captions.
function pictures() {
  const ticked = boxes.filter((box) => box.checked).map((box) => box.id);
  const others = ticked.filter((name) => name !== own.id);
  const captions = style.value || null;
  return { renditions: captions && others.length ? ticked : others, captions };
}

// The pictures beside the clip as it was cut: how their captions are, by what they are called.
function files({ renditions, captions }) {
  const captioned = captions ? (renditions.length ? renditions : [own.id]) : [];
  const clean = renditions.filter((name) => name !== own.id);
  return new Map([...clean.map((name) => [name, ""]), ...captioned.map((name) => [`${name} with captions`, captions])]);
}

function newPictures() {
  const before = files(were);
  return [...files(pictures())].filter(([name, captions]) => before.get(name) !== captions).map(([name]) => name);
}

function droppedPictures() {
  const after = files(pictures());
  return [...files(were).keys()].filter((name) => !after.has(name));
}

function summary() {
  if (!edits().length) return "Nothing is changed yet.";
  const [made, gone] = [newPictures(), droppedPictures()];
  const told = clipEdits().length || !(made.length || gone.length) ? [clipSummary()] : [];
  if (made.length) told.push(`Made of every clip: ${made.join(", ")}.`);
  if (gone.length) told.push(`Not delivered any more: ${gone.join(", ")}.`);
  return told.join(" ");
}

function clipSummary() {
  const rendered = clips.filter((clip) => !clip.dropped && (!clip.was || isRecut(clip))).length;
  const stay = clips.filter((clip) => !clip.dropped).length - rendered;
  const count = (number) => `${number} ${number === 1 ? "clip" : "clips"}`;
  return `${rendered ? count(rendered) : "No clip"} will be rendered, ${count(stay)} ${stay === 1 ? "stays" : "stay"} as cut.`;
}

// --- what is shown ---

function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function card(clip) {
  const name = clip.clip ? `clip ${clip.clip}` : "the new clip";
  const radio = make("input", { type: "radio", name: "chosen", "aria-label": `Work on ${name}` });
  radio.addEventListener("change", () => choose(clip));
  const span = make("span", { class: "points" });
  const rank = make("span", { class: "rank" }, clip.clip ? String(clip.clip) : "+");
  const title = make("input", { type: "text", maxlength: MOST_TITLE_CHARS, "aria-label": `Title of ${name}`, dir: "auto" });
  title.value = clip.title;
  if (!clip.was) title.placeholder = "A sentence of it";
  title.addEventListener("input", () => {
    clip.title = title.value;
    paint();
  });
  const state = make("span", { class: "help" });
  const drop = make("button", { type: "button", class: "quiet" });
  drop.addEventListener("click", () => (clip.was ? toggle(clip) : remove(clip)));
  const head = make("label", { class: "head" }, radio, rank, span);
  clip.parts = { radio, span, title, state, drop };
  clip.element = make("li", { class: "card" }, head, title, make("p", { class: "foot" }, state, drop));
  cards.append(clip.element);
}

function paint() {
  watch();
  const hasNew = newPictures().length > 0;
  own.disabled = !style.value || !boxes.some((box) => box !== own && box.checked);
  for (const clip of clips) {
    const { radio, span, title, state, drop } = clip.parts;
    const [first, last] = [words[clip.first], words[clip.last]];
    radio.checked = clip === chosen;
    span.textContent = first && last ? `${clock(first.start_s)} to ${clock(last.end_s)}` : "no words";
    title.disabled = clip.dropped;
    const isRenamed = clip.was && clip.title !== clip.was.title;
    const stays = [isRenamed && "Renamed", hasNew && "New pictures"].filter(Boolean).join(" · ");
    state.textContent = clip.dropped ? "Goes" : !clip.was || isRecut(clip) ? "Rendered" : stays;
    drop.textContent = clip.dropped ? "Keep it" : "Drop";
    drop.setAttribute("aria-label", `${drop.textContent} ${clip.clip ? `clip ${clip.clip}` : "the new clip"}`);
    clip.element.classList.toggle("dropped", clip.dropped);
    clip.element.classList.toggle("chosen", clip === chosen);
  }
  paintWords();
  document.getElementById("summary").textContent = summary();
  document.getElementById("begin").disabled = !chosen || chosen.dropped || !words.length;
  document.getElementById("end").disabled = document.getElementById("begin").disabled;
  document.getElementById("add").disabled = !words.length;
  render.disabled = !edits().length;
}

function paintWords() {
  const [from, to] = marked();
  const kinds = new Array(words.length).fill("word");
  for (const clip of clips) {
    if (clip.dropped) continue;
    for (let n = clip.first; n <= clip.last; n += 1) kinds[n] = clip === chosen ? "word inside" : "word taken";
  }
  nodes.forEach((node, n) => {
    const isIn = isMarked && from <= n && n <= to;
    const name = isIn ? `${kinds[n]} marked` : kinds[n];
    if (node.className !== name) node.className = name;
    if ((node.getAttribute("aria-selected") === "true") !== isIn) node.setAttribute("aria-selected", String(isIn));
  });
  const told = isMarked
    ? `${clock(words[from].start_s)} to ${clock(words[to].end_s)} is marked: ${to - from + 1} ${to === from ? "word" : "words"}.`
    : "No word is marked.";
  document.getElementById("marked").textContent = told;
}

function marked() {
  return [Math.min(anchor, cursor), Math.max(anchor, cursor)];
}

// --- what a person does ---

function choose(clip) {
  chosen = clip;
  paint();
  const first = nodes[clip.first];
  if (first) {
    place(clip.first);
    first.scrollIntoView({ block: "center" });
  }
}

// The clip as it is cut now, if it is; a new one has no picture yet.
function watch() {
  const file = chosen?.was ? `/video/${token}/clips/${chosen.was.id}.mp4` : "";
  if (preview.getAttribute("src") === file) return;
  preview.hidden = !file;
  if (file) preview.src = file;
  else preview.removeAttribute("src");
}

function seek(word) {
  const { startS, endS } = chosen?.was || {};
  if (!preview.hidden && startS <= word.start_s && word.start_s < endS) preview.currentTime = word.start_s - startS;
}

// The one word that the Tab key leads to.
function place(number) {
  nodes[cursor].tabIndex = -1;
  cursor = number;
  nodes[cursor].tabIndex = 0;
}

function mark(number, { extend = false, focus = true } = {}) {
  if (!nodes.length) return;
  place(Math.min(nodes.length - 1, Math.max(0, number)));
  if (!extend) anchor = cursor;
  isMarked = true;
  seek(words[cursor]);
  if (focus) nodes[cursor].focus({ preventScroll: false });
  paintWords();
}

function begin() {
  if (!chosen || chosen.dropped || !isMarked) return tell("Click a word first.");
  const [from] = marked();
  if (from > chosen.last) return tell("That word lies after the end of the clip. Set its end first.");
  chosen.first = from;
  return done();
}

function end() {
  if (!chosen || chosen.dropped || !isMarked) return tell("Click a word first.");
  const [, to] = marked();
  if (to < chosen.first) return tell("That word lies before the beginning of the clip. Set its beginning first.");
  chosen.last = to;
  return done();
}

function add() {
  if (!isMarked) return tell("Mark the words of the new clip first.");
  const [first, last] = marked();
  const clip = { clip: null, title: "", first, last, was: null, dropped: false };
  clips.push(clip);
  card(clip);
  chosen = clip;
  return done();
}

function toggle(clip) {
  clip.dropped = !clip.dropped;
  done();
}

function remove(clip) {
  clips.splice(clips.indexOf(clip), 1);
  clip.element.remove();
  if (chosen === clip) chosen = clips[0] || null;
  done();
}

function done() {
  tell("");
  paint();
}

function tell(sentence) {
  problem.textContent = sentence;
  problem.hidden = !sentence;
}

function wordOf(node) {
  const element = node instanceof Element ? node : node?.parentElement;
  const word = element?.closest("[data-word]");
  return word && list.contains(word) ? Number(word.dataset.word) : null;
}

// Where a segment begins that lies so many after that of a word.
function segmentStart(number, step) {
  const order = [...new Set(words.map((word) => word.segment))];
  const wanted = order[order.indexOf(words[number].segment) + step];
  return wanted === undefined ? number : words.findIndex((word) => word.segment === wanted);
}

const MOVES = {
  ArrowRight: () => cursor + 1,
  ArrowLeft: () => cursor - 1,
  ArrowDown: () => segmentStart(cursor, 1),
  ArrowUp: () => segmentStart(cursor, -1),
  Home: () => 0,
  End: () => nodes.length - 1,
};
const KEYS = { i: begin, o: end, a: add };

list.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const move = MOVES[event.key];
  const act = KEYS[event.key.toLowerCase()];
  if (move) mark(move(), { extend: event.shiftKey });
  else if (act) act();
  else if (event.key === " " || event.key === "Enter") mark(cursor);
  else return;
  event.preventDefault();
});
list.addEventListener("click", (event) => {
  const number = wordOf(event.target);
  if (number !== null && getSelection().isCollapsed) mark(number, { extend: event.shiftKey });
});
document.addEventListener("mouseup", () => {
  const selection = getSelection();
  if (selection.isCollapsed) return;
  const [from, to] = [wordOf(selection.anchorNode), wordOf(selection.focusNode)];
  if (from === null || to === null || from === to) return;
  selection.removeAllRanges();
  mark(from);
  mark(to, { extend: true });
});
for (const field of [...boxes, style]) field.addEventListener("change", done);
document.getElementById("begin").addEventListener("click", begin);
document.getElementById("end").addEventListener("click", end);
document.getElementById("add").addEventListener("click", add);
render.addEventListener("click", send);
addEventListener("beforeunload", warn);
preview.addEventListener("error", () => {
  preview.hidden = true;
});

function warn(event) {
  if (edits().length) event.preventDefault();
}

async function send() {
  render.disabled = true;
  tell("");
  let answer = null;
  try {
    answer = await fetch("/public/video/clips", {
      method: "PATCH",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify({ version, edits: edits() }),
      cache: "no-store",
    });
  } catch {
    tell("The server cannot be reached just now. Nothing is lost: try again in a moment.");
  }
  if (answer?.ok) {
    removeEventListener("beforeunload", warn);
    location.assign(`/video/${token}`);
    return;
  }
  render.disabled = false;
  if (answer) tell(await detail(answer));
}

async function detail(answer) {
  try {
    return (await answer.json()).detail;
  } catch {
    return `The server refused the changes (${answer.status}). Try again in a moment.`;
  }
}

// --- begin ---

let paragraph = null;
words.forEach((word, n) => {
  if (!n || words[n - 1].segment !== word.segment) {
    paragraph = make("p", { dir: "auto", role: "presentation" });
    const time = make("span", { class: "time", "aria-hidden": "true" }, `${clock(word.start_s)} `);
    paragraph.append(time);
    list.append(paragraph);
  }
  const node = make("span", { class: "word", role: "option", "aria-selected": "false", "data-word": n, tabindex: -1 }, word.text);
  nodes.push(node);
  paragraph.append(node, " ");
});
if (nodes.length) nodes[0].tabIndex = 0;
for (const box of boxes) box.checked = renditions.includes(box.id); // whatever the browser remembers
style.value = captions || "";
clips.forEach(card);
paint();
