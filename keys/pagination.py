"""Pages of a table that may be huge: counting stops at a bound, and the order is that of the key."""

from functools import cached_property
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

MOST = 10_000  # rows that can be paged to; what is older is found by a filter


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """Says at most MOST rows, so that no page costs a count of the whole table."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list  # a QuerySet; the stubs know only what can be paged
        return int(rows[:MOST].count())


class NewestFirst(ChangeList):
    """Takes no other order, from no column and from no address: it would sort the whole table."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return ["-id"]
