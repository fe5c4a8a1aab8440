"""axe-core on the page that is open: what keeps somebody from using it."""

from pathlib import Path
from typing import Any

from tests.browser.chromium import Chromium

SCRIPT = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = f"""axe.run(document, {{ runOnly: {RULES}, resultTypes: ["violations"], elementRef: false }}).then((found) =>
  found.violations.map(({{ id, help, nodes }}) => [id, help, nodes.map((node) => node.target.join(" "))]))"""


def install(chromium: Chromium) -> None:
    """Into every page that is opened from now on, beside its policy."""
    chromium.call("Page.addScriptToEvaluateOnNewDocument", source=SCRIPT.read_text())


def findings(chromium: Chromium) -> list[str]:
    """One line a rule that is broken, with where."""
    found: list[list[Any]] = chromium.run(RUN)
    return [f"{rule} ({says}): {' | '.join(places[:5])}" for rule, says, places in found]
