"""The pages under docs/ say what the code does: every code and variable has its place, every link leads somewhere."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client

from delivery.api import urls as delivery_urls
from ingestion.api import urls as letter_urls
from keys import refusals
from keys.api import urls as key_urls
from persona import api_urls as top_urls
from persona import docs
from segments.api import urls
from tests import documented
from tests.documented import ROOT

ERRORS = ROOT / "docs" / "reference" / "errors.md"
SETTINGS = ROOT / "docs" / "operations" / "settings.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#{1,4} (.+)$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
HANDLES = re.compile(r"^### (\S+)\n\n\*\*(.+?)\.\*\*", re.MULTILINE)


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """As persona.docs makes them of the pages that it shows, and of the others as GitHub does."""
    headings = HEADING.findall(prose(page))
    if page in docs.pages().values():
        return {docs.anchor(heading) for heading in headings}
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    return [link for link in LINK.findall(prose(page)) if not re.match(r"[a-z]+:", link)]


# --- codes and variables ---


def codes() -> dict[str, set[int]]:
    found = dict(documented.problem_codes())
    for name, value in vars(refusals).items():
        if name.isupper() and isinstance(value, str):
            found[value] = {refusals.refusal(value).status}
    return found


def test_every_code_has_a_heading_and_every_heading_is_a_code() -> None:
    said = [code for code, _ in HANDLES.findall(ERRORS.read_text())]
    assert sorted(said) == sorted(codes())
    assert len(said) > 60  # the scan has found something


def test_the_status_of_a_code_is_the_one_it_is_raised_with() -> None:
    said = dict(HANDLES.findall(ERRORS.read_text()))
    raised = {code: statuses for code, statuses in codes().items() if statuses}
    assert {code: said[code] for code in raised} == {
        code: " or ".join(map(str, sorted(statuses))) for code, statuses in raised.items()
    }
    assert {status for code, status in said.items() if code not in raised} <= {"event", "warning", "dead letter", "400"}


def test_every_variable_has_a_row_and_every_row_is_a_variable() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \|", SETTINGS.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(documented.environment_variables())
    assert len(rows) > 20


def test_every_route_of_the_management_api_has_a_heading() -> None:
    said = re.findall(r"^### ([A-Z]+) (\S+)$", (docs.FOLDER / "reference" / "api.md").read_text(), re.MULTILINE)
    assert sorted(said) == sorted(routes())


def routes() -> Iterator[tuple[str, str]]:
    """Methods and addresses below /api/projects/{project}/, and those of projects themselves."""
    yield from (("GET", "/api/projects"), ("POST", "/api/projects"), ("GET", "/api/projects/{project}"))
    rooms = (urls, letter_urls, key_urls, delivery_urls, top_urls)
    for route in (route for room in rooms for route in room.urlpatterns):
        view = route.callback.view_class  # as_view puts it there
        address = re.sub(r"\(\?P<(\w+)>[^)]*\)|<\w+:(\w+)>", r"{\1\2}", str(route.pattern))
        for method in ("get", "post", "put", "patch", "delete"):
            if hasattr(view, method):
                yield method.upper(), address.removeprefix("^").removesuffix("$").removesuffix("/?")


# --- the pages the product shows ---


def test_a_refusal_leads_to_its_heading(client: Client) -> None:
    shown = client.get("/docs/errors").content.decode()
    missing = [code for code in codes() if f'<h3 id="{code}">' not in shown]
    assert missing == []


@pytest.mark.parametrize("name", sorted(docs.pages()))
def test_a_page_is_shown_whole(name: str, client: Client) -> None:
    answer = client.get(f"/docs/{name}")
    shown = answer.content.decode()
    assert answer.status_code == 200
    assert [heading for heading in anchors(docs.pages()[name]) if f'id="{heading}"' not in shown] == []
    inside = shown.partition('id="main">')[2].partition("</main>")[0]
    assert "```" not in inside
    assert "](" not in inside
    leads = re.findall(r'href="([^"]+)"', inside)
    assert [link for link in leads if not link.startswith("#") and client.get(link).status_code != 200] == []
    assert leads or not links(docs.pages()[name])


def test_every_page_is_reached_from_the_first(client: Client) -> None:
    reached: set[str] = set()
    waiting = ["/docs/"]
    while waiting:
        if (address := waiting.pop()) not in reached:
            reached.add(address)
            inside = client.get(address).content.decode().partition('id="main">')[2]
            waiting += re.findall(r'href="(/docs/[a-z/-]*)', inside)
    assert reached == {f"/docs/{name}" for name in docs.pages()}


@pytest.mark.parametrize(
    "name",
    ["nothing", "..", "../../README", "reference/errors", "settings", "errors.md", "decisions/0001-rows-are-messages"],
)
def test_nothing_else_is_shown(name: str, client: Client) -> None:
    assert client.get(f"/docs/{name}").status_code == 404


def test_text_cannot_become_markup() -> None:
    hostile = "# <s1>\n\n<s2>`</code><s3>` [<s4>](javascript:alert.md) **<s5>** [x](http://<s6>)\n\n- <s7>\n\n"
    hostile += "| <s8> |\n|---|\n| <s9> |\n\n    <s0>\n\n```html\n<sa>\n```\n\n<sb>\n\n[c](//host/x.md)\n"
    shown = docs.html(hostile, docs.pages()["errors"])
    assert "<s" not in shown.replace("<strong>", "")
    assert "href" not in shown
    assert {f"&lt;s{n}&gt;" for n in "123457890ab"} <= set(re.findall(r"&lt;s.&gt;", shown))


# --- all pages ---


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (fragment and fragment not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_can_be_read(page: Path) -> None:
    for language, text in FENCE.findall(page.read_text()):
        if language == "json":
            json.loads(text)
        elif language == "python":
            ast.parse(text)


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md", ROOT / "docs" / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
        waiting += [target for target in targets if target.suffix == ".md" and target.is_file()]
    assert set(PAGES) - reached == set()
