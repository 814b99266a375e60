// Leafing through calls by the arrow keys, and walking over the cells of a matrix. While somebody writes, keys write.
"use strict";

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) { return; }
  if (event.target.closest("input, textarea, select, [contenteditable]")) { return; }
  const cell = event.target.closest(".matrix tbody td, .matrix tbody th");
  if (cell) { walk(event, cell); return; }
  // A box that scrolls sideways takes the arrows for itself.
  if (event.target.closest(".scroll") || event.repeat) { return; }
  const place = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === event.key);
  if (place) {
    event.preventDefault();
    place.click();
  }
});

// From a cell to the next one of that direction that leads somewhere.
function walk(event, cell) {
  const step = STEPS[event.key];
  if (!step) { return; }
  event.preventDefault();
  const rows = [...cell.closest("tbody").rows];
  let row = rows.indexOf(cell.parentElement) + step[0];
  let column = cell.cellIndex + step[1];
  while (rows[row] && rows[row].cells[column]) {
    const link = rows[row].cells[column].querySelector("a");
    if (link) { link.focus(); return; }
    row += step[0];
    column += step[1];
  }
}
