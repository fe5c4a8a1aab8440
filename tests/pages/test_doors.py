"""Charlie, viewers and strangers before every page about a project; and how many queries a page may cost."""

import re

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from ingestion.models import DeadLetter
from keys.models import Member, Project
from tests.ingestion import applying
from tests.pages import rows
from tests.segments import living

pytestmark = pytest.mark.django_db(transaction=True)

LOOKED_AT = [
    "/projects/{project}/",
    "/projects/{project}/parts/",
    "/projects/{project}/personas/",
    "/projects/{project}/personas/viewers/",
    "/projects/{project}/personas/viewers/members/",
    "/projects/{project}/personas/viewers/members.csv",
    "/projects/{project}/personas/viewers/versions/",
    "/projects/{project}/personas/viewers/overlap/?with=buyers",
    "/projects/{project}/profiles/",
    "/projects/{project}/profiles/{profile}/",
    "/projects/{project}/profiles/{profile}/explain/viewers/",
    "/projects/{project}/dead-letters/",
    "/projects/{project}/dead-letters/download",
    "/projects/{project}/dead-letters/parked/",
]
CHANGED = [
    "/projects/{project}/new-persona/",
    "/projects/{project}/personas/viewers/edit/",
    "/projects/{project}/personas/viewers/pause/",
    "/projects/{project}/personas/viewers/resume/",
    "/projects/{project}/personas/viewers/delete/",
    "/projects/{project}/personas/viewers/versions/1/restore/",
    "/projects/{project}/dead-letters/{letter}/",
    "/projects/{project}/dead-letters/all/event.field_missing/",
    "/projects/{project}/dead-letters/parked/1/retry/",
]
MOST_QUERIES = 14  # a dozen for the page, and two for who is signed in


@pytest.fixture(autouse=True)
def fresh_counters(db: None) -> None:
    cache.clear()


@pytest.fixture
def names(project: Project, alice: User) -> dict[str, object]:
    """A project in which every page has something to show."""
    living.persona(project, "viewers", living.viewed(1))
    living.persona(project, "buyers", living.viewed(1, event="order_placed"))
    sent = [applying.track(userId=f"u-{n}", properties={"price": n}) for n in range(30)]
    applying.put(project, *sent, applying.track("", userId="u-1"), received_at=rows.now())
    living.settle()
    letter = DeadLetter.objects.get(project=project)
    profile = rows.profile_of(project, "u-1")
    return {"project": project.slug, "profile": profile.public_id, "letter": letter.pk}


def addresses(names: dict[str, object], *pages: str) -> list[str]:
    return [page.format(**names) for page in pages]


def test_for_charlie_there_is_nothing(names: dict[str, object], as_charlie: Client) -> None:
    elsewhere = {**names, "project": "no-such"}
    for method in ("get", "post"):
        for page in [*LOOKED_AT, *CHANGED]:
            ask = getattr(as_charlie, method)
            hidden, missing = ask(page.format(**names)), ask(page.format(**elsewhere))
            wanted = 405 if method == "post" and page in LOOKED_AT else 404
            assert (page, hidden.status_code) == (page, wanted)
            assert (missing.status_code, missing.content) == (wanted, hidden.content)


def test_what_is_of_another_project_is_not_found(
    names: dict[str, object], other_project: Project, as_charlie: Client
) -> None:
    rows.make_lanes(other_project)
    for page in [*LOOKED_AT, *CHANGED]:
        if any(part in page for part in ("viewers", "{profile}", "{letter}", "event.field", "/1/")):
            assert as_charlie.post(page.format(**{**names, "project": "elsewhere"})).status_code in (404, 405)
            assert as_charlie.get(page.format(**{**names, "project": "elsewhere"})).status_code in (302, 404)


def test_a_viewer_looks_at_everything_and_changes_nothing(names: dict[str, object], bob: User, as_bob: Client) -> None:
    Member.objects.filter(user=bob).update(role=Member.Role.VIEWER)
    for page in addresses(names, *LOOKED_AT):
        answer = as_bob.get(page)
        assert (page, answer.status_code) == (page, 200)
    for page in addresses(names, *CHANGED):
        assert as_bob.get(page).status_code == as_bob.post(page, {"do": "save"}).status_code == 403
    assert "Owners and editors of the project do this" in as_bob.get("/projects/shop/new-persona/").content.decode()


@pytest.mark.parametrize(("role", "offered"), [("owner", True), ("editor", False), ("viewer", False)])
def test_settings_are_offered_to_who_may_open_them(
    role: str, offered: bool, project: Project, bob: User, as_bob: Client
) -> None:
    Member.objects.filter(user=bob).update(role=role)
    for page in ("/projects/shop/people/", "/quickstart"):
        assert ('href="/projects/shop/settings/"' in as_bob.get(page).content.decode()) is offered
    answer = as_bob.get("/projects/shop/settings/")
    assert (answer.status_code == 200) is offered
    assert ("Only owners of the project" in answer.content.decode()) is not offered


def test_an_editor_sees_every_form_and_every_page_obeys_the_policy(names: dict[str, object], as_bob: Client) -> None:
    for page in addresses(names, *LOOKED_AT, *CHANGED):
        answer = as_bob.get(page, follow=True)
        assert (page, answer.status_code) in {(page, 200), (page, 404)}
        if "restore" not in page:
            assert answer.status_code == 200, page
        if answer.streaming:
            continue
        text = answer.content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", text), page
        assert "{{" not in text
        assert "{%" not in text


def test_strangers_are_asked_to_sign_in(names: dict[str, object], client: Client) -> None:
    for page in addresses(names, *LOOKED_AT, *CHANGED):
        assert client.get(page)["Location"].startswith("/signin/")


def test_no_page_costs_more_than_a_dozen_queries(names: dict[str, object], as_bob: Client) -> None:
    counted = {}
    for page in addresses(names, *LOOKED_AT, *CHANGED):
        with CaptureQueriesContext(connection) as queries:
            as_bob.get(page)
        counted[page] = [query["sql"] for query in queries]
    too_many = {page: found for page, found in counted.items() if len(found) > MOST_QUERIES}
    assert not too_many, "\n".join(f"{len(found)} {page}" for page, found in too_many.items())
