"""The members of a persona as CSV, streamed: a page of them is in memory, however many there are."""

import csv
import io
from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse

from keys.models import Project
from keys.visibility import project_page
from segments.insight import reading
from segments.models import Persona
from segments.pages import places

PAGE = 500
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
           "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip
HEADER = ("profile", "external_ids", "since", "leaves_at")


@project_page
def member_download(request: HttpRequest, project: Project, persona: str) -> HttpResponseBase:
    """`persona.csv`; ids of the outside are separated by blanks. Spreadsheets get no formula to run."""
    found = places.persona_of(project, persona)
    answer = StreamingHttpResponse(stream(found), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{project.slug}-{found.slug}.csv"'
    return answer


async def stream(persona: Persona) -> AsyncIterator[bytes]:
    """Some lines at a time, each page read on the request's own thread."""
    pages = lines(persona)
    while page := await sync_to_async(_next)(pages):
        yield page


def lines(persona: Persona) -> Iterator[bytes]:
    """The header, then the members by pages."""
    yield _written([HEADER])
    after: int | None = 0
    while after is not None:
        members, after = reading.members(persona=persona, after=after, limit=PAGE)
        yield _written([(one.profile, " ".join(one.external_ids), one.since, one.leaves_at or "") for one in members])


def _written(rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([_plain(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _plain(cell: str) -> str:
    """What begins like a formula is no formula: the ids come from strangers."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def _next(pages: Iterator[bytes]) -> bytes:
    """An empty page of members ends it, too: then there is nothing to say."""
    return next(pages, b"")
