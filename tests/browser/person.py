"""Somebody at the browser: goes to a page, writes into fields, presses buttons by their words, and reads."""

import json
from typing import Any

from tests.browser.chromium import Chromium

FIELD = """(() => {
  const field = document.querySelector(`main [name="${%(name)s}"]`);
  if (field.type === "checkbox") field.checked = Boolean(%(value)s);
  else if (field.type === "radio") {
    document.querySelector(`main [name="${%(name)s}"][value="${%(value)s}"]`).checked = true;
  } else field.value = %(value)s;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.dispatchEvent(new Event("change", { bubbles: true }));
})()"""
PRESS = """(() => {
  const said = (one) => one.innerText.trim().replace(/\\s+/g, " ");
  const all = [...document.querySelectorAll("main a, main button")].filter((one) => one.checkVisibility());
  const found = all.find((one) => said(one) === %(words)s) || all.find((one) => said(one).startsWith(%(words)s));
  if (!found) return all.map(said).join(" | ");
  window.leaving = true;
  found.click();
  return "";
})()"""
ARRIVED = "document.readyState === 'complete' && !window.leaving"


class Person:
    """At `url`, in the one page of the browser."""

    def __init__(self, chromium: Chromium, url: str) -> None:
        self.chromium = chromium
        self.url = url

    @property
    def text(self) -> str:
        """What can be read on the page."""
        return str(self.chromium.run("document.querySelector('main').innerText"))

    @property
    def path(self) -> str:
        return str(self.chromium.run("location.pathname"))

    def go(self, path: str) -> None:
        self.chromium.open(self.url + path)

    def fill(self, **fields: str | bool) -> None:
        """By name."""
        for name, value in fields.items():
            self.chromium.run(FIELD % {"name": json.dumps(name), "value": json.dumps(value)})

    def press(self, words: str, *, stay: bool = False) -> None:
        """A link or button by its words, or by how they begin. `stay`: no other page comes of it."""
        others = self.chromium.run(PRESS % {"words": json.dumps(words)})
        assert not others, f"nothing says {words!r} on {self.path}: {others}"
        if stay:
            self.chromium.run("window.leaving = false")
        else:
            self.chromium.wait(lambda: self.chromium.run(ARRIVED) is True, f"a page after {words!r}")

    def reads(self, words: str) -> None:
        """Until the words are on the page."""
        self.chromium.wait(lambda: words in self.text, f"{words!r} on {self.path}: {self.text[:2_000]}")

    def find(self, selector: str) -> str:
        """The text of the first element."""
        return str(self.chromium.run(f"document.querySelector({json.dumps(selector)}).textContent.trim()"))

    def answers(self, paths: list[str]) -> dict[str, tuple[int, int]]:
        """Status of each page, and a number that is the same for the same body."""
        script = f"""Promise.all({json.dumps(paths)}.map(async (path) => {{
          const answer = await fetch(path, {{ redirect: "manual" }});
          const body = await answer.text();
          return [path, answer.status, [...body].reduce((sum, sign) => (sum * 31 + sign.codePointAt(0)) | 0, 0)];
        }}))"""
        found: list[list[Any]] = self.chromium.run(script)
        return {path: (status, number) for path, status, number in found}

    def sign_in(self, name: str, password: str) -> None:
        self.chromium.call("Network.clearBrowserCookies")
        self.go("/signin/")
        self.chromium.run(
            f"document.querySelector('#id_username').value = {json.dumps(name)},"
            f" document.querySelector('#id_password').value = {json.dumps(password)}, null"
        )
        self.press("Sign in")
        assert self.path != "/signin/", self.text
