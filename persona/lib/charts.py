"""Numbers in, SVG path data out: the pictures of the pages. Shapes stretch; words are HTML beside them."""

from collections.abc import Sequence

import msgspec

WIDTH, HEIGHT = 112.0, 22.0
BARS_WIDTH, BARS_HEIGHT = 600.0, 160.0
SLIVER = 1.5  # the least height of something wrong: it must be seen
ROUND = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)  # tops of an axis, times a power of ten
LINES = (4, 5, 3, 2, 1)  # of the grid: the first number that leaves whole figures


class Bar(msgspec.Struct, frozen=True):
    """One part of a chart: its slot, the good part of it from the bottom, and the bad one on top of that."""

    slot_x: float
    slot: float
    x: float
    width: float
    y: float
    height: float
    bad_y: float
    bad_height: float


class Bars(msgspec.Struct, frozen=True):
    """A chart of stacked bars. ticks: figures of the axis, from the top; grid: where its lines are."""

    bars: list[Bar]
    ticks: list[str]
    grid: list[float]
    width: float = BARS_WIDTH
    height: float = BARS_HEIGHT


def spark(values: Sequence[float], *, own_scale: bool = False) -> str:
    """A line through `values`, left to right, in a box of WIDTH by HEIGHT.

    From zero, as counts are shown; `own_scale`: from the lowest value, as sizes are. Nothing or all zero lies flat.
    """
    if not values:
        return f"M0,{HEIGHT} {WIDTH},{HEIGHT}"
    low = min(values) if own_scale else 0
    span = (max(values) - low) or 1
    step = WIDTH / max(1, len(values) - 1)
    points = (
        f"{round(place * step, 1)},{round(HEIGHT - (value - low) / span * HEIGHT, 1)}"
        for place, value in enumerate(values)
    )
    return "M" + " ".join(points)


def area(line: str) -> str:
    """The shape under a line of `spark`."""
    return f"{line} L{WIDTH},{HEIGHT} L0,{HEIGHT}z"


def bars(good: Sequence[int], bad: Sequence[int]) -> Bars:
    """A bar for each pair, from zero: the good below, the bad on top, never less than a sliver."""
    top = round_top(max([1, *map(sum, zip(good, bad, strict=True))]))
    slot = BARS_WIDTH / max(1, len(good))
    made = [
        _bar(place, slot, fine / top, wrong / top) for place, (fine, wrong) in enumerate(zip(good, bad, strict=True))
    ]
    lines = next(count for count in LINES if top % count == 0)
    ticks = [f"{top * line / lines:,.0f}" for line in range(lines, -1, -1)]
    return Bars(made, ticks, [round(BARS_HEIGHT * line / lines, 1) for line in range(lines)])


def _bar(place: int, slot: float, fine: float, wrong: float) -> Bar:
    height, bad = fine * BARS_HEIGHT, max(SLIVER, wrong * BARS_HEIGHT) if wrong else 0.0
    x, y = place * slot, BARS_HEIGHT - height
    return Bar(*(round(n, 2) for n in (x, slot, x + slot * 0.12, slot * 0.76, y, height, y - bad, bad)))


def round_top(highest: float) -> float:
    """The round number at or above the highest value, so that the axis reads well."""
    scale = 1.0
    while highest > ROUND[-1] * scale:
        scale *= 10
    return next(step for step in ROUND if highest <= step * scale) * scale


def share(part: float, whole: float) -> float:
    """How long a bar of 100 is."""
    return round(100 * part / whole, 1) if whole else 0.0
