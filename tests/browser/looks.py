"""What is wrong with a page, by width and theme: what keeps somebody from using it, sideways scroll, errors, requests
to anywhere else."""

from tests.browser import axe
from tests.browser.chromium import Chromium
from tests.browser.person import Person

DESK, PHONE = 1440, 390
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

# When a page that draws itself is there, by the end of its address.
DRAWN = {
    "/live/": "document.querySelector('.live-dot').textContent === 'Live'",
    "/api/docs": "document.querySelectorAll('.opblock-tag').length > 3",
}


def opened(person: Person, path: str) -> None:
    """Go there, until all of it is drawn."""
    person.go(path)
    drawn = next((script for end, script in DRAWN.items() if path.endswith(end)), "true")
    person.chromium.wait(lambda: person.chromium.run(drawn) is True, f"{path} to be drawn")


def look(chromium: Chromium, *, width: int, dark: bool = False, height: int = 900) -> None:
    """As if on such a screen, with nothing that moves."""
    chromium.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
    theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    still = {"name": "prefers-reduced-motion", "value": "reduce"}
    chromium.call("Emulation.setEmulatedMedia", features=[theme, still])


def faults(person: Person, path: str, *, both: bool = True) -> list[str]:
    """Of the page at `path`: on a desk in light, and, if `both`, on a phone in dark. The other two pairs have the same
    words and colors; `make screenshots` judges them as well."""
    look(person.chromium, width=DESK)
    person.chromium.faults.clear()
    person.chromium.asked.clear()
    opened(person, path)
    return faults_of_what_is_open(person, both=both)


def faults_of_what_is_open(person: Person, *, both: bool = True) -> list[str]:
    chromium = person.chromium
    found = axe.findings(chromium) + _sideways(chromium)
    look(chromium, width=PHONE, dark=True)
    found += _sideways(chromium)
    if both:
        found += [f"on a phone, dark: {one}" for one in axe.findings(chromium)]
    look(chromium, width=DESK)
    found += [fault for fault in chromium.faults if "status of 404" not in fault and "status of 422" not in fault]
    return found + [f"asks {address}" for address in chromium.asked if not address.startswith((person.url, "data:"))]


def _sideways(chromium: Chromium) -> list[str]:
    beyond = chromium.run(SIDEWAYS)
    return [f"scrolls sideways by {beyond} px"] if beyond else []
