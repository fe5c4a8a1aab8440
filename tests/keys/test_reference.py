"""The page about keys says what the code does."""

from pathlib import Path

from keys import refusals
from keys.scopes import SCOPES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "keys.md").read_text()


def test_every_scope_is_explained() -> None:
    for scope, allows in SCOPES.items():
        assert f"| `{scope}` | {allows} |" in PAGE


def test_every_refusal_is_listed() -> None:
    codes = [value for name, value in vars(refusals).items() if name.isupper() and isinstance(value, str)]
    assert len(codes) == 15
    for code in codes:
        assert f"`{code}`" in PAGE
        assert refusals.refusal(code).code == code
