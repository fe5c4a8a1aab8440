"""Numbers in, SVG path data out: the pictures of the pages. Shapes stretch; words are HTML beside them."""

from collections.abc import Sequence

WIDTH, HEIGHT = 112.0, 22.0


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
