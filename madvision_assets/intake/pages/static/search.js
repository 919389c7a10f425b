// Finds what is said in this browser's videos. Tokens go in a header: no address has them, and no log.
"use strict";

const AT_A_TIME = 20;
// Scripts that leave no space between words: each character counts as one, as the server has it (domain/spoken.py).
const UNSPACED =
  "\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u{20000}-\\u{3ffff}";
const WORD = new RegExp(`[${UNSPACED}]|(?:(?![${UNSPACED}])[\\p{L}\\p{N}\\p{M}\\u200c\\u200d])+`, "gu");
// What is written or left out as one likes, as the server has it: accents, points of Hebrew and Arabic, joiners.
const OPTIONAL =
  /[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08ca-\u08e1\u08e3-\u08ff\u180b-\u180d\u200d\ufe00-\ufe0f\u{e0100}-\u{e01ef}]|(?<=[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca])\u200c/gu;
const QUOTED = /["\u201c\u201d\u201e\u00ab\u00bb]/;
const NOTHING = "Nobody says that in these videos. Look for fewer words, or for one of them alone.";
const BUSY = "Many requests came from your network just now. Wait a moment, then search again.";
const AWAY = "The search cannot be answered just now. Try it again in a moment.";

const searching = document.getElementById("search");
const question = document.getElementById("words");
const answered = document.getElementById("search-state");
const moments = document.getElementById("moments");
const more = document.getElementById("more");
let asked = null; // the search that is shown: its words, its phrases, and what is still to be asked

// --- the words, and where they stand ---

function folded(word) {
  return word.normalize("NFKD").replace(OPTIONAL, "").toUpperCase().toLowerCase().normalize("NFC");
}

function wordsIn(text) {
  return [...text.matchAll(WORD)].map((found) => ({
    word: folded(found[0]),
    start: found.index,
    end: found.index + found[0].length,
  }));
}

function phrasesOf(text) {
  const parts = text.split(QUOTED).flatMap((part, place) => (place % 2 ? [part] : part.split(/\s+/)));
  return parts.map((part) => wordsIn(part).map((each) => each.word)).filter((phrase) => phrase.length);
}

// The text, in pieces; those that were asked for are marked. Pieces become text, never HTML.
function marked(text, phrases) {
  const said = wordsIn(text);
  const pieces = [];
  let end = 0;
  for (let place = 0; place < said.length; place += 1) {
    const fitting = phrases.filter((phrase) => phrase.every((word, n) => said[place + n]?.word === word));
    if (!fitting.length) continue;
    const last = place + Math.max(...fitting.map((phrase) => phrase.length)) - 1;
    const mark = document.createElement("mark");
    mark.textContent = text.slice(said[place].start, said[last].end);
    pieces.push(text.slice(end, said[place].start), mark);
    end = said[last].end;
    place = last;
  }
  return [...pieces, text.slice(end)];
}

// --- what is shown ---

function clock(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
}

function pathOf(url) {
  return new URL(url).pathname; // this page's own host, whatever name it was reached by
}

function momentOf(found, phrases) {
  const element = document.getElementById("moment").content.firstElementChild.cloneNode(true);
  const part = (selector) => element.querySelector(selector);
  part("h2 a").textContent = found.title || "A video without a title";
  part("h2 a").href = pathOf(found.page_url);
  part(".span").textContent = `${clock(found.start_s)} to ${clock(found.end_s)}`;
  part(".said").replaceChildren(...marked(found.text, phrases));
  if (found.clip) {
    part(".in a").href = pathOf(found.clip.url);
    part(".in bdi").textContent = found.clip.title;
  } else {
    part(".in").remove();
  }
  return element;
}

function tell(text, wrong = false) {
  answered.textContent = text;
  answered.classList.toggle("fault", wrong);
}

function clear() {
  asked?.stop.abort();
  asked = null;
  moments.replaceChildren();
  more.hidden = true;
  question.removeAttribute("aria-invalid");
  tell("");
}

function count() {
  const found = moments.children.length;
  if (!found) return NOTHING;
  const told = found === 1 ? "1 moment" : `${found} moments`;
  return more.hidden ? told : `${told}; there are more`;
}

// --- what is asked ---

// Gives null where it was refused, after telling why.
async function askFor(search, group) {
  const parameters = new URLSearchParams({ q: search.words, limit: AT_A_TIME });
  if (group.before !== null) parameters.set("before", group.before);
  const answer = await fetch(`/public/search?${parameters}`, {
    headers: { "MadVision-Tokens": group.tokens.join(",") },
    cache: "no-store",
    signal: search.stop.signal,
  });
  if (answer.ok) return answer.json();
  const problem = await answer.json();
  if (answer.status === 404) return { moments: [], next_before: null }; // none of them is there any more
  if (answer.status === 422) {
    question.setAttribute("aria-invalid", "true");
    tell(problem.errors?.[0]?.detail || problem.detail, true);
  } else {
    tell(answer.status === 429 ? BUSY : AWAY, true);
  }
  return null;
}

async function goOn() {
  const search = asked;
  if (search.going) return;
  search.going = true;
  const before = moments.children.length;
  tell("Searching …");
  try {
    while (search.groups.length && moments.children.length < before + AT_A_TIME) {
      const [group] = search.groups;
      const found = await askFor(search, group);
      if (found === null || search !== asked) return;
      moments.append(...found.moments.map((each) => momentOf(each, search.phrases)));
      group.before = found.next_before;
      if (group.before === null) search.groups.shift();
    }
  } catch {
    if (search === asked) tell(AWAY, true);
    return;
  } finally {
    search.going = false;
  }
  const focused = document.activeElement === more;
  more.hidden = !search.groups.length;
  tell(count());
  if (focused) moments.children[before]?.querySelector("a").focus();
}

searching.addEventListener("submit", (event) => {
  event.preventDefault();
  clear();
  const tokens = kept.all();
  const groups = [];
  for (let start = 0; start < tokens.length; start += AT_ONCE) {
    groups.push({ tokens: tokens.slice(start, start + AT_ONCE), before: null });
  }
  asked = { words: question.value, phrases: phrasesOf(question.value), groups, stop: new AbortController() };
  goOn();
});
question.addEventListener("input", () => {
  question.removeAttribute("aria-invalid");
  if (!question.value) clear();
});
more.addEventListener("click", goOn);
