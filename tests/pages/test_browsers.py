"""What the list of sessions calls a browser."""

import pytest

from persona.lib.browsers import MOST, spoken

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) {} Safari/604.1"
)


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (CHROME, "Chrome on Linux"),
        (CHROME.replace("X11; Linux x86_64", "Windows NT 10.0; Win64; x64") + " Edg/130.0.0.0", "Edge on Windows"),
        (PHONE.format("Version/17.5"), "Safari on iPhone"),
        (PHONE.format("CriOS/130.0"), "Chrome on iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:132.0) Gecko/20100101 Firefox/132.0", "Firefox on macOS"),
        ("An old phone", "An old phone"),
        ("x" * 5_000, "x" * MOST),
        ("", "unknown"),
    ],
)
def test_a_browser_is_called_by_its_name(agent: str, said: str) -> None:
    assert spoken(agent) == said
