// The live page: asks for new rows once a second and puts them on top. Without this file the page shows what was new on load.
const live = document.querySelector("[data-live]");
const $ = (selector) => document.querySelector(selector);
const body = live.tBodies[0], held = document.createElement("tbody");
const dot = $(".live-dot"), rate = $("[data-rate]"), pause = $("[data-pause]"), more = $("[data-more]"), filter = $("[data-filter]");
const MOST = 200, EVERY = 1000, HIDDEN = 10_000, RETRY = 2000, FIGURES = 10_000;
const cursor = { event: live.dataset.event, change: live.dataset.change };
let paused = false, reached = true, outcome = "";
let shown = 0, seen = 0, since = performance.now();

function tellState() {
  dot.textContent = !reached ? "Reconnecting" : paused ? "Paused" : "Live";
  dot.classList.toggle("off", paused || !reached);
}

const fits = (row) => (!outcome || row.dataset.outcome === outcome || (outcome === "changes" && row.querySelector(".op")))
  && row.textContent.toLowerCase().includes(filter.value.trim().toLowerCase());
const refilter = () => { for (const row of body.rows) row.hidden = !fits(row); };
const trim = (rows) => { while (rows.rows.length > MOST) rows.rows[MOST].remove(); };

// A change whose event is already on the page stands beside that event, not in a row of its own.
function joined(row) {
  if (row.dataset.kind !== "change" || !row.dataset.uid) return false;
  const same = `[data-outcome="stored"][data-uid="${CSS.escape(row.dataset.uid)}"]`;
  const event = held.querySelector(same) || body.querySelector(same);
  if (!event) return false;
  event.querySelector("[data-changes]").append(...row.querySelector("[data-changes]").children);
  event.hidden = !fits(event);
  event.classList.remove("arrived");
  requestAnimationFrame(() => event.classList.add("arrived"));
  return true;
}

function release() {
  for (const row of held.rows) { row.hidden = !fits(row); row.classList.add("arrived"); }
  body.prepend(...held.rows);
  trim(body);
  $("[data-empty]").hidden = body.rows.length > 0;
  tellHeld();
}

function tellHeld() {
  more.hidden = !held.rows.length;
  more.textContent = held.rows.length >= MOST ? `${MOST} or more new` : `${held.rows.length} new`;
}

function take(html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = `<table><tbody>${html}</tbody></table>`;  // made and escaped by the server's template
  const rows = [...fresh.content.querySelectorAll("tr")];
  held.prepend(...rows.filter((row) => !joined(row)));
  trim(held);
  if (paused) tellHeld(); else release();
}

function tellRate(answer) {
  shown += answer.shown;
  seen += answer.seen;
  const passed = performance.now() - since;
  if (passed < FIGURES) return;
  const minute = Math.round(seen * 60_000 / passed);
  const part = seen > shown && shown ? `, 1 in ${Math.round(seen / shown).toLocaleString("en")} shown` : "";
  rate.textContent = `${minute.toLocaleString("en")} events / min${part}`;
  shown = seen = 0;
  since = performance.now();
}

async function ask() {
  const address = `${live.dataset.rows}?after_event=${cursor.event}&after_change=${cursor.change}`;
  const response = await fetch(address, { signal: AbortSignal.timeout(10_000), headers: { Accept: "application/json" } });
  if (response.redirected || response.status === 404) return location.reload();  // signed out, or no longer a member
  if (!response.ok) throw new Error(String(response.status));
  const answer = await response.json();
  cursor.event = answer.event;
  cursor.change = answer.change;
  if (answer.rows) take(answer.rows);
  tellRate(answer);
}

let asking = false, timer = 0;
async function loop() {
  if (asking) return;
  asking = true;
  try {
    await ask();
    reached = true;
  } catch {
    reached = false;
  }
  asking = false;
  tellState();
  clearTimeout(timer);
  timer = setTimeout(loop, !reached ? RETRY : document.hidden ? HIDDEN : EVERY);
}

function setPaused(value) {
  paused = value;
  pause.setAttribute("aria-pressed", String(paused));
  pause.querySelector("span").textContent = paused ? "Resume" : "Pause";
  tellState();
  if (!paused) release();
}

pause.addEventListener("click", () => setPaused(!paused));
more.addEventListener("click", () => setPaused(false));
filter.addEventListener("input", refilter);
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-outcome-filter]");
  if (!button) return;
  outcome = button.dataset.outcomeFilter;
  for (const other of document.querySelectorAll("[data-outcome-filter]")) other.setAttribute("aria-pressed", String(other === button));
  refilter();
});
document.addEventListener("keydown", (event) => {
  if (event.target !== document.body || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " ") { event.preventDefault(); setPaused(!paused); }
  if (event.key === "/") { event.preventDefault(); filter.focus(); }
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) loop(); });  // who comes back waits no longer
tellState();
loop();
