// The quickstart page: fills a pasted key in, sends an event with the very file that the snippet loads, shows what arrives.
const box = document.querySelector("[data-quickstart]"), state = document.querySelector("[data-state]");
const shown = document.querySelectorAll("[data-key-shown]"), pasted = document.querySelector("[data-key]");
const EVERY = 1000, MOST = 10;
const cursor = { event: box.dataset.event, change: box.dataset.change };

if (pasted) pasted.addEventListener("input", () => {
  for (const place of shown) place.textContent = pasted.value.trim() || "YOUR_PUBLISHABLE_KEY";
});

document.querySelector("[data-send]").addEventListener("click", () => {
  const key = shown[0].textContent;
  if (!key.startsWith("pk_")) { state.textContent = "A publishable key is needed first: it begins with pk_"; return; }
  state.textContent = "Sent, not yet arrived";
  persona.init(key, { onError: (code) => { state.textContent = `The server refuses the key: ${code}`; } });
  persona.reset();  // a new visitor each time: somebody who is not in any persona yet
  persona.track("page_viewed", { path: location.pathname });
});

let looking = false, timer = 0;
async function look() {
  if (looking) return;
  looking = true;
  try {
    const query = new URLSearchParams({ after_event: cursor.event, after_change: cursor.change });
    const response = await fetch(`${box.dataset.rows}?${query}`, { signal: AbortSignal.timeout(10_000) });
    if (response.redirected || response.status === 404) return location.reload(); // signed out, or no longer a member
    const answer = await response.json();
    Object.assign(cursor, { event: answer.event, change: answer.change });
    if (answer.shown) take(answer.rows);
  } catch (error) { // the server is away: asked again
  }
  looking = false;
  clearTimeout(timer);
  timer = setTimeout(look, document.hidden ? EVERY * 10 : EVERY);
}

function take(html) {
  const fresh = document.createElement("template"), rows = box.querySelector("tbody");
  fresh.innerHTML = `<table><tbody>${html}</tbody></table>`; // made and escaped by the server's template
  rows.prepend(...fresh.content.querySelectorAll("tr"));
  while (rows.rows.length > MOST) rows.rows[MOST].remove();
  state.textContent = "Arrived";
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); }); // who comes back waits no longer
look();
