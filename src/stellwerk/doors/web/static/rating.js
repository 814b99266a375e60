// Rating by keys: a digit presses the button of that number, the arrows leaf through. While somebody writes, keys write.
"use strict";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) { return; }
  if (event.target.closest("input, textarea, select, [contenteditable]")) { return; }
  const place = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === event.key);
  if (place) {
    event.preventDefault();
    place.click();
  }
});

// A second press on the way to the server would rate the next thing unseen.
document.getElementById("rate")?.addEventListener("submit", (event) => {
  const form = event.currentTarget;
  if (form.dataset.sent) { event.preventDefault(); }
  form.dataset.sent = "1";
});
