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
