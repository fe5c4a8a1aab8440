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
  const focus = document.activeElement?.name;
  for (const id of parts) {
    const region = document.getElementById(id), anew = fresh.getElementById(id);
    if (!region || !anew || (parts === FIGURES && region.contains(document.activeElement))) continue;
    region.replaceWith(anew);
  }
  return focus;
}

async function change(deed) {
  const focus = await ask(deed, WHOLE);
  const place = deed.split(":")[1];
  const added = /^(add|group|step|filter):/.test(deed) && [...form.querySelectorAll(`[name^="${place}."]:not([type=hidden], button)`)].at(-1);
  const wanted = added ? added.closest(".parts")?.querySelector("input, select") : focus && form.elements[focus];
  (wanted instanceof HTMLElement ? wanted : null)?.focus();
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
