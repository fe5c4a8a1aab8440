// Figures that renew themselves: every ten seconds, or each second while something is under way, the regions of the page that have an id "part-..." are put in anew.
// A region that is being used (it has the focus, or shows a table) is left alone. Without this file one reloads the page.
const EVERY = 10_000, SOON = 1_000;
const root = document.querySelector("[data-refresh]");

const inUse = (region) => region.contains(document.activeElement) || region.querySelector("details[open]");

async function renew() {
  const response = await fetch(root.dataset.refresh, { signal: AbortSignal.timeout(EVERY) });
  if (response.redirected || response.status === 404) return location.reload();  // signed out, or no longer a member
  if (!response.ok) return;
  const fresh = document.createElement("template");
  fresh.innerHTML = await response.text();  // made and escaped by the server's template
  for (const part of fresh.content.querySelectorAll("[id^=part-]")) {
    const region = document.getElementById(part.id);
    if (region && !inUse(region) && region.innerHTML !== part.innerHTML) region.replaceChildren(...part.childNodes);
  }
}

const next = () => setTimeout(loop, !document.hidden && document.querySelector("[data-soon]") ? SOON : EVERY);

async function loop() {
  try {
    if (!document.hidden) await renew();
  } catch {
    // The next round tries again; what is shown stays, with its own time beside it.
  }
  next();
}
next();
