"""Pages of a table that may be huge: counting stops at a bound."""

from functools import cached_property
from typing import Any

from django.core.paginator import Paginator

MOST = 10_000  # rows that can be paged to; what is older is found by a filter


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """Says at most MOST rows, so that no page costs a count of the whole table."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list  # a QuerySet; the stubs know only what can be paged
        return int(rows[:MOST].count())
