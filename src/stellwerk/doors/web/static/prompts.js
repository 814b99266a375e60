// The editor of a prompt: leads to the line of a mistake, says that something is not saved yet, and asks before it is lost.
"use strict";

const source = document.getElementById("prompt-source");
const unsaved = document.getElementById("unsaved");
const saved = source.defaultValue;

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-line]");
  if (!button) { return; }
  const lines = source.value.split("\n");
  const place = Number(button.dataset.line) - 1;
  const start = lines.slice(0, place).reduce((sum, line) => sum + line.length + 1, 0);
  source.focus();
  source.setSelectionRange(start, start + (lines[place] || "").length);
  const height = source.scrollHeight / Math.max(lines.length, 1);
  source.scrollTop = Math.max(0, height * place - source.clientHeight / 2);
});

const changed = () => source.value !== saved;
let leaving = false;

source.addEventListener("input", () => {
  unsaved.textContent = changed() ? source.form.dataset.unsaved : "";
});
source.form.addEventListener("submit", () => { leaving = true; });
window.addEventListener("beforeunload", (event) => {
  if (changed() && !leaving) { event.preventDefault(); }
});
document.addEventListener("keydown", (event) => {
  const button = source.form.querySelector("button[value=save]");
  if (button && (event.ctrlKey || event.metaKey) && event.key === "s") {
    event.preventDefault();
    source.form.requestSubmit(button);
  }
});
