// The editor of rules: buttons change the form without leaving the page, and a pause in typing brings a preview.
// Every button is a button of the form, so without this file the page does the same, one load at a time.
const form = document.querySelector("[data-editor]");
const PAUSE = 400;
const WHOLE = ["rule-card", "in-words", "preview", "json-card"], FIGURES = ["in-words", "preview", "json-card"];
let asked = 0, timer = 0;

async function ask(deed, parts) {
  const mine = ++asked;
  clearTimeout(timer);
  const fields = new FormData(form);
  fields.set("do", deed);
  const response = await fetch(location.href, { method: "POST", body: fields });
  if (mine !== asked) return;  // something was changed meanwhile
  if (response.status !== 200 && response.status !== 422) return form.requestSubmit();  // let the page itself say it
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  const focus = placeOf(document.activeElement);
  for (const id of parts) {
    const region = document.getElementById(id), anew = fresh.getElementById(id);
    if (!region || !anew || (parts === FIGURES && region.contains(document.activeElement))) continue;
    region.replaceWith(anew);
  }
  return focus;
}

// Where somebody is, as it can be found again in a fresh region.
function placeOf(element) {
  const region = element?.name && WHOLE.find((id) => document.getElementById(id)?.contains(element));
  const value = element?.name === "do" ? `[value="${CSS.escape(element.value)}"]` : "";
  return region ? `#${region} [name="${CSS.escape(element.name)}"]${value}` : "";
}

// What was taken away is followed by the button that would add another of its kind.
const adds = (place) => {
  const kind = { w: "filter", s: "step" }[place.split(".").at(-2)] || "add";
  return `#rule-card [value="${kind}:${place.replace(/(\.[ws])?\.\d+$/, "")}"]`;
};

// The first field of what a button has added: the last of its kind in that place.
function added(kind, place) {
  const last = (selector) => [...form.querySelectorAll(selector)].at(-1);
  if (kind === "filter") return last(`[name^="${place}.w."][name$=".path"]`);
  if (kind === "step") return last(`[name^="${place}.s."][name$=".event"]`);
  if (kind !== "add" && kind !== "group") return null;
  const parts = [...form.querySelectorAll(`[id^="${place}."]`)].filter((part) => /^\d+$/.test(part.id.slice(place.length + 1)));
  return parts.at(-1)?.querySelector("select");
}

async function change(deed) {
  const focus = await ask(deed, WHOLE);
  const place = deed.split(":")[1];
  const kept = deed.startsWith("remove:") ? adds(place) : focus;
  (added(deed.split(":")[0], place) || (kept && document.querySelector(kept)))?.focus();
  later();
}

const later = () => { clearTimeout(timer); timer = setTimeout(() => ask("preview", FIGURES), PAUSE); };

form.addEventListener("click", (event) => {
  const button = event.target.closest("button[name=do]");
  if (!button || button.value === "save") return;
  event.preventDefault();
  change(button.value);
});
form.addEventListener("change", (event) => {
  if (event.target.matches("[data-layout]")) change("layout");
});
form.addEventListener("input", (event) => { if (event.target.id !== "json") later(); });
if (new URLSearchParams(location.search).has("event")) later();  // begun with an event: there is something to count
// The first thing that is wrong has the focus.
(form.querySelector('[aria-invalid="true"]'))?.focus();
