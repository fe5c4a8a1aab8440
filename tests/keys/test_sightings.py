"""What is kept of a use of a key: little, rarely, and of no person."""

from collections.abc import Mapping

import pytest

from keys.known.sightings import CHARACTERS, EVERY, Sightings, used_by
from tests.keys.test_limits import principal


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"user-agent": "curl/8.5.0"}, "curl/8.5.0"),
        ({"user-agent": "curl/8.5.0", "origin": "https://shop.example"}, "https://shop.example"),
        ({"user-agent": "curl/8.5.0", "origin": "null"}, "curl/8.5.0"),
        ({"user-agent": "Mozilla/5.0 (X11; Linux x86_64)"}, "a browser"),
        ({"user-agent": "a\x00b\x1b[31mc\u202ed"}, "ab[31mcd"),
        ({"user-agent": "x" * 5_000}, "x" * CHARACTERS),
        ({}, ""),
    ],
)
def test_what_a_program_is_called(headers: Mapping[str, str], said: str) -> None:
    assert used_by(headers) == said


class Written:
    """Stands where the ring's connection does."""

    def __init__(self) -> None:
        self.rows: list[tuple[object, ...]] = []

    def execute(self, _: str, values: list[list[object]]) -> None:
        self.rows += zip(*values, strict=True)


def test_a_key_is_noted_once_in_a_while() -> None:
    now, line = [0.0], Written()
    sightings = Sightings(clock=lambda: now[0])
    for moment in (0.0, 1.0, EVERY - 0.1, EVERY):
        now[0] = moment
        sightings.note(principal(7), "api", {"user-agent": str(moment)})
        sightings.note(principal(0), "events", {"user-agent": "signed"})
        sightings.write(line)  # type: ignore[arg-type]  # what it uses of a line
    assert [(key, way, used) for _, key, way, _, used in line.rows] == [(7, "api", "0.0"), (7, "api", str(EVERY))]
