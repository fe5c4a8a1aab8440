"""What a process remembers of a log for its streams."""

from segments.log import LogRow
from segments.streaming.feed import PIECES, Feed, View

ALL = View()


def test_readers_that_ask_from_everywhere_do_not_fill_the_memory() -> None:
    feed = Feed(1)
    rows = PIECES + 10
    feed.extend(
        LogRow(seq, "u_1", 1, "keen", 1, "enter", 0, "event", 1, None, None, silent=False) for seq in range(1, rows)
    )
    first = feed.piece(0, ALL)
    assert feed.piece(0, ALL) is first  # one copy for all who stand at the same place
    for cursor in range(1, rows - 1):
        feed.piece(cursor, ALL)
    assert feed.piece(0, ALL) is not first
    assert feed.piece(0, ALL) == first
