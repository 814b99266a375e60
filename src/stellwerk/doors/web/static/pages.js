// What pages do in the browser beside htmx: copy a command, say what happened, show a run as it goes.
"use strict";

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    navigator.clipboard.writeText(button.dataset.copy).then(() => say(button.dataset.done || "✓"));
  }
});

// A sentence from the server, such as the reason of a refusal, is shown where the reader is.
document.addEventListener("htmx:responseError", (event) => {
  const answer = event.detail.xhr;
  let sentence = answer.statusText;
  try { sentence = JSON.parse(answer.responseText).error || sentence; } catch { /* the answer is a page */ }
  say(sentence);
});

function say(sentence) {
  const place = document.getElementById("said");
  place.textContent = sentence;
  place.classList.add("shown");
  clearTimeout(say.timer);
  say.timer = setTimeout(() => place.classList.remove("shown"), 6000);
}

// On a phone each row of a table stands as a block, and each cell is told with the head of its column (see .stacks in the style).
const ROLES = { THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };

function stack(root) {
  for (const table of root.querySelectorAll(".scroll > table:not(.data, .sides, .timeline, .stacks)")) {
    const heads = table.tHead ? [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim()) : [];
    if (heads.length < 3 || heads.length > 12) { continue; }
    table.classList.add("stacks");
    // Where rows are blocks, some browsers no longer take them for rows.
    table.setAttribute("role", "table");
    for (const part of table.querySelectorAll("thead, tbody, tr, th, td")) {
      part.setAttribute("role", ROLES[part.tagName] || (part.scope === "col" ? "columnheader" : "rowheader"));
      if (part.tagName === "TD" && part.colSpan === 1 && part.hasChildNodes()) {
        part.dataset.label = heads[part.cellIndex];
        const held = document.createElement("div");
        held.append(...part.childNodes);
        part.append(held);
      }
    }
  }
}

stack(document);
document.addEventListener("htmx:load", (event) => stack(event.target));
