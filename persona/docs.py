"""The documentation as the product shows it, open to everybody: programs that are refused lead here.

`/docs/` is docs/README.md, `/docs/errors` a page of docs/reference (the `type` of a problem document leads to a heading
there), `/docs/guide/people` one of another folder.
"""

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

FOLDER = Path(__file__).resolve().parent.parent / "docs"
FOLDERS = {"": "reference", "guide/": "guide", "operations/": "operations"}  # by what stands before the name


@require_safe
def page(request: HttpRequest, name: str = "") -> HttpResponse:
    """One of `pages`."""
    path = pages().get(name)
    if path is None:
        raise Http404
    title, text = _shown(path)
    return render(request, "docs.html", {"title": title, "text": text, "name": name})


@cache
def pages() -> dict[str, Path]:
    """All that are shown, by what follows `/docs/` in their addresses."""
    found = {f"{before}{path.stem}": path for before, name in FOLDERS.items() for path in (FOLDER / name).glob("*.md")}
    return {"": FOLDER / "README.md", **found}


def html(text: str, path: Path) -> SafeString:
    """What is written at `path`, as HTML. All HTML in it is text. A link to what is not shown stays words."""
    reader = _reader()
    tokens = reader.parse(text)
    for token, content in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", anchor(content.content))
    for token in tokens:
        if token.children:
            token.children = _linked(token.children, path)
    return mark_safe(str(reader.renderer.render(tokens, reader.options, {})))  # noqa: S308 - the reader escapes


def anchor(heading: str) -> str:
    """That of GitHub, but with its dots: error codes are headings too."""
    return re.sub(r"[^\w. -]", "", heading.strip().lower()).replace(" ", "-")


@cache
def _shown(path: Path) -> tuple[str, SafeString]:
    """Its title and its HTML."""
    text = path.read_text()
    return text.partition("\n")[0].removeprefix("# "), html(text, path)


@cache
def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    rules = {
        "table_open": lambda *_: '<div class="card"><div class="table-wrap"><table class="table">',
        "table_close": lambda *_: "</table></div></div>",
        "fence": _code,
        "code_block": _code,
    }
    for name, rule in rules.items():
        reader.add_render_rule(name, lambda _, *given, rule=rule: rule(*given))
    return reader


def _code(tokens: Sequence[Token], place: int, *_: Any) -> str:
    return f'<pre class="code" tabindex="0">{escape(tokens[place].content.rstrip())}</pre>'


def _linked(tokens: Sequence[Token], path: Path) -> list[Token]:
    """Links between pages lead to their addresses here; of the others nothing is left but their words."""
    kept, leads = [], False
    for token in tokens:
        if token.type == "link_open":
            address = _address(str(token.attrGet("href")), path)
            leads = address is not None
            token.attrs = {"href": address or ""}
        if leads or token.type not in ("link_open", "link_close"):
            kept.append(token)
    return kept


def _address(target: str, path: Path) -> str | None:
    """Of a page, as it is called in the one at `path`; None when it is not shown."""
    name, hash_, heading = target.partition("#")
    if not name:
        return target
    there = (path.parent / name).resolve()
    found = next((name for name, each in pages().items() if each == there), None)
    return None if found is None else f"/docs/{found}{hash_}{heading}"
