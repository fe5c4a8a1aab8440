// Small behaviors, each bound to a data attribute, each optional: every page works without this file.
const on = (type, selector, act) => document.addEventListener(type, (event) => {
  const target = event.target.closest?.(selector);
  if (target) act(target, event);
});

// Theme: auto -> light -> dark -> auto. The storage key and the words are those of Django's admin: one choice serves both.
const themes = ["auto", "light", "dark"];
const theme = () => localStorage.getItem("theme") || "auto";
const showTheme = () => {
  const label = document.querySelector("[data-theme-toggle] span");
  if (label) label.textContent = "Theme: " + theme();
};
showTheme();
on("click", "[data-theme-toggle]", () => {
  const next = themes[(themes.indexOf(theme()) + 1) % themes.length];
  localStorage.setItem("theme", next);
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  showTheme();
});

// Copy: says so in the button, then goes back. Without a secure context there is no clipboard: the text is selected instead.
on("click", "[data-copy]", async (button) => {
  const source = document.getElementById(button.dataset.copy);
  if (!navigator.clipboard) return getSelection().selectAllChildren(source);
  await navigator.clipboard.writeText(source.textContent.trim());
  const label = button.querySelector("span"), before = label.textContent;
  label.textContent = "Copied";
  setTimeout(() => { label.textContent = before; }, 2000);
});

// Times: the server writes UTC; the title shows the reader's own clock.
on("mouseover", "time[datetime]", (element) => { element.title ||= new Date(element.dateTime).toLocaleString(); });

// A chart's read-out: the figures are in data attributes, the words go to an <output>.
on("mousemove", "[data-readout]", (chart, event) => {
  const values = JSON.parse(chart.dataset.values), labels = JSON.parse(chart.dataset.labels);
  const box = chart.getBoundingClientRect();
  const at = Math.max(0, Math.min(values.length - 1, Math.floor((event.clientX - box.left) / box.width * values.length)));
  const [stored, rejected] = values[at].map((value) => value.toLocaleString("en"));
  document.getElementById(chart.dataset.readout).textContent = `${labels[at]}  ${stored} stored, ${rejected} rejected`;
  chart.querySelectorAll(".over").forEach((bar, place) => bar.classList.toggle("on", place === at));
});
