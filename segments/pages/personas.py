"""The list of a project's personas."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from keys.models import Project
from keys.visibility import may_change, project_page
from segments import overview, watermark

# Word, key, whether figures; the first press sorts figures from the greatest.
COLUMNS = (
    ("Persona", "name", False),
    ("Status", "status", False),
    ("Size", "size", True),
    ("Enters 24 h", "enters", True),
    ("Leaves 24 h", "leaves", True),
)


@project_page
def persona_list(request: HttpRequest, project: Project) -> HttpResponse:
    """Searched, sorted and filtered by the address."""
    query, status = request.GET.get("q", "")[:200], request.GET.get("status", "")
    sort = request.GET.get("sort", "name")
    mark = watermark.of_project(project.pk)
    found = overview.rows(project, mark.now)
    live = sum(row.persona.status == "live" for row in found)
    shown = {
        "rows": overview.chosen(found, query=query, status=status, sort=sort),
        "columns": [_column(word, key, figures, sort) for word, key, figures in COLUMNS],
        "tabs": [("", "All", len(found)), ("live", "Live", live), ("other", "Other", len(found) - live)],
        "query": query,
        "status": status,
        "sort": sort,
        "total": len(found),
        "mark": mark,
        "may_change": may_change(request.user, project),
    }
    return render(request, "segments/personas.html", {**shown, "project": project, "here": "personas"})


def _column(word: str, key: str, figures: bool, sort: str) -> dict[str, object]:
    down, up = f"-{key}", key
    first, other = (down, up) if figures else (up, down)
    return {
        "word": word,
        "figures": figures,
        "target": other if sort == first else first,
        "order": {up: "ascending", down: "descending"}.get(sort, ""),
        "arrow": {up: "↑", down: "↓"}.get(sort, ""),
    }
