// The videos of this browser: their tokens, the newest first. They are secrets, and are kept in this browser alone.
"use strict";

const kept = (() => {
  const KEY = "madvision-videos";
  const MOST = 1000;
  const TOKEN = /^[A-Za-z0-9_-]{20,100}$/;

  function all() {
    try {
      const found = JSON.parse(localStorage.getItem(KEY));
      return Array.isArray(found) ? found.filter((each) => typeof each === "string" && TOKEN.test(each)) : [];
    } catch {
      return []; // the browser keeps nothing, or somebody else wrote there
    }
  }

  function write(tokens) {
    try {
      localStorage.setItem(KEY, JSON.stringify(tokens.slice(0, MOST)));
    } catch {
      // the browser keeps nothing
    }
  }

  // Where it was put before, it stays.
  function add(token, place = 0) {
    const tokens = all();
    if (TOKEN.test(token) && !tokens.includes(token)) write(tokens.toSpliced(place, 0, token));
  }

  function remove(gone) {
    write(all().filter((token) => !gone.includes(token)));
  }

  return { all, add, remove };
})();

const deleted = document.querySelector("[data-deleted]");
if (deleted) kept.remove([deleted.dataset.deleted]);
