"""The reference pages of docs/ as the product shows them. `type` in a problem document leads to a heading here.

It reads what our own pages use and no more: headings, paragraphs, lists, tables, code. Everything is escaped first.
"""

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"

_BLOCK = re.compile(
    r"^```[a-z]*\n(?P<fenced>.*?)\n```$|(?P<indented>(?:^ {4}[^\n]*\n+)+)|(?P<text>(?:^[^\n]+\n?)+)",
    re.DOTALL | re.MULTILINE,
)
_HEADING = re.compile(r"(#{1,3}) (.+)")
_ROW_OF_DASHES = re.compile(r"\|(?:\s*:?-+:?\s*\|)+")
_CODE = re.compile(r"(`[^`]+`)")
_BOLD = re.compile(r"\*\*([^*]+)\*\*")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
_TARGET = re.compile(r"(?:([a-z-]+)\.md)?(#[\w.-]+)?")


@require_safe
def page(request: HttpRequest, name: str) -> HttpResponse:
    """A page of docs/reference, open to everybody: programs that are refused lead here."""
    if name not in {path.stem for path in REFERENCE.glob("*.md")}:
        raise Http404
    text = (REFERENCE / f"{name}.md").read_text()
    return render(request, "docs.html", {"title": text.partition("\n")[0].removeprefix("# "), "text": html(text)})


def html(text: str) -> SafeString:
    """A page as HTML. The anchor of a heading is that of GitHub, but keeps dots: error codes are headings too."""
    return mark_safe("\n".join(_KINDS[str(found.lastgroup)](found[0]) for found in _BLOCK.finditer(text)))  # noqa: S308 - its parts are escaped


def anchor(heading: str) -> str:
    return re.sub(r"[^\w. -]", "", heading.strip().lower()).replace(" ", "-")


def _block(text: str) -> str:
    lines = text.rstrip().split("\n")
    if heading := _HEADING.fullmatch(lines[0]):
        level = len(heading[1])
        return f'<h{level} id="{escape(anchor(heading[2]))}">{_inline(heading[2])}</h{level}>'
    if len(lines) > 1 and _ROW_OF_DASHES.fullmatch(lines[1]):
        return _table(lines[0], lines[2:])
    if lines[0].startswith("- "):
        items = "\n".join(lines).removeprefix("- ").split("\n- ")
        return f"<ul>{''.join(f'<li>{_inline(item)}</li>' for item in items)}</ul>"
    return f"<p>{_inline(' '.join(lines))}</p>"


def _table(titles: str, rows: list[str]) -> str:
    head, *body = (_row(line, "td" if place else "th") for place, line in enumerate([titles, *rows]))
    return (
        '<div class="card"><div class="table-wrap"><table class="table">'
        f"<thead>{head}</thead><tbody>{''.join(body)}</tbody></table></div></div>"
    )


def _row(line: str, tag: str) -> str:
    cells = (_inline(cell.strip()) for cell in line.strip()[1:-1].split(" | "))
    return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>"


def _fenced(text: str) -> str:
    return _pre(text.partition("\n")[2].rpartition("\n")[0])


def _pre(code: str) -> str:
    return f'<pre class="code" tabindex="0">{escape(code)}</pre>'


def _inline(text: str) -> str:
    """Code is left as it is; elsewhere bold words and links."""
    parts = _CODE.split(text)
    return "".join(f"<code>{escape(part[1:-1])}</code>" if part[:1] == "`" else _words(part) for part in parts)


def _words(text: str) -> str:
    return _LINK.sub(_linked, _BOLD.sub(r"<strong>\1</strong>", str(escape(text))))


def _linked(found: re.Match[str]) -> str:
    """A link within these pages; what leads elsewhere in the repository stays words."""
    target = _TARGET.fullmatch(found[2])
    if target is None:
        return found[1]
    address = f"/docs/{target[1]}" if target[1] else ""
    return f'<a href="{address}{target[2] or ""}">{found[1]}</a>'


_KINDS: dict[str, Callable[[str], str]] = {
    "fenced": _fenced,
    "indented": lambda text: _pre(dedent(text).rstrip()),
    "text": _block,
}
