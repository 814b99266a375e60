// Shows how far a run is while it goes: listens to its events, and loads the page anew when it has ended.
"use strict";

const live = document.getElementById("live");
if (live) {
  const events = new EventSource(live.dataset.events);
  events.addEventListener("state", (event) => {
    if (JSON.parse(event.data).state !== live.dataset.state) { again(); }
  });
  events.addEventListener("progress", (event) => tell(JSON.parse(event.data)));
  events.addEventListener("end", again);

  function again() {
    events.close();
    window.location.reload();
  }
}

function tell(line) {
  const list = document.getElementById("progress");
  const units = Object.fromEntries(list.dataset.units.split(";").map((pair) => pair.split("=")));
  const unit = units[line.unit] || line.unit;
  const number = new Intl.NumberFormat(document.documentElement.lang);
  let row = [...list.children].find((one) => one.dataset.step === line.step);
  if (!row) {
    document.getElementById("quiet")?.remove();
    row = document.createElement("li");
    row.dataset.step = line.step;
    const bar = document.createElement("progress");
    bar.setAttribute("aria-label", line.step);
    const name = document.createElement("span"), far = document.createElement("span");
    name.textContent = line.step;
    far.className = "muted small";
    row.append(name, " ", bar, " ", far);
    list.append(row);
  }
  const bar = row.querySelector("progress");
  if (line.total) {
    bar.max = line.total;
    bar.value = line.done;
  }
  row.lastElementChild.textContent = number.format(line.done) + (line.total ? " / " + number.format(line.total) : "") + " " + unit;
}
