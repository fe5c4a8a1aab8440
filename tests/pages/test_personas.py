"""The list of personas and the pages of one: figures, members, versions, overlap, and deeds after a question."""

import csv
import html
import re

import pytest
from django.core.cache import cache
from django.test import Client

from keys.models import Project
from segments import changes, upkeep
from segments.models import Persona, PersonaHour
from segments.pages import downloads
from tests.ingestion import applying
from tests.pages import rows
from tests.pages.streams import fetched
from tests.segments import living

pytestmark = pytest.mark.django_db

LIST = "/projects/shop/personas/"


@pytest.fixture(autouse=True)
def fresh_counters(db: None) -> None:
    cache.clear()


def text_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return html.unescape(answer.content.decode())


def send(project: Project, people: int, event: str = "page_viewed") -> None:
    sent = [applying.track(event, userId=f"u-{n}", messageId=f"{event}-{n}") for n in range(people)]
    applying.put(project, *sent, received_at=rows.now())
    living.settle()


def listed(page: str) -> list[str]:
    return re.findall(r'class="name" href="/projects/shop/personas/(\w+)/"', page)


def test_an_empty_list_says_what_to_do(project: Project, as_bob: Client) -> None:
    page = text_of(as_bob, LIST)
    assert "No personas yet" in page
    assert 'href="/projects/shop/new-persona/"' in page


def test_the_list_shows_size_enters_leaves_and_the_rule_in_words(project: Project, as_bob: Client) -> None:
    living.persona(project, "viewers", living.viewed(1))
    living.persona(project, "buyers", living.viewed(2, event="order_placed"), status="draft")
    send(project, 12)
    page = text_of(as_bob, LIST)
    assert "<strong>12</strong>" in page
    assert '<span class="enter">+12</span>' in page
    assert "Profiles with page_viewed in the last day." in page
    assert "Size over 24 hours: from 0 to 12" in page
    assert listed(page) == ["buyers", "viewers"]
    assert listed(text_of(as_bob, f"{LIST}?sort=-size")) == ["viewers", "buyers"]
    assert listed(text_of(as_bob, f"{LIST}?q=ORDER_placed")) == ["buyers"]
    assert listed(text_of(as_bob, f"{LIST}?status=live")) == ["viewers"]
    assert "No persona like that" in text_of(as_bob, f"{LIST}?q=<nothing>")


def test_tallies_are_what_was_logged(project: Project) -> None:
    persona = living.persona(project, "viewers", living.viewed(1))
    send(project, 7)
    living.assert_log_is_state(project)
    assert sum(row.enters for row in PersonaHour.objects.filter(persona_id=persona.pk).exclude(hour=0)) == 7
    total = PersonaHour.objects.get(persona_id=persona.pk, hour=0)
    assert (total.enters, total.leaves) == (7, 0)
    assert changes.LOG.count("segments_personahour") == 1


def test_hours_go_and_sizes_stay(project: Project) -> None:
    persona = living.persona(project, "viewers", living.viewed(1))
    send(project, 7)
    upkeep.forget_hours()
    assert PersonaHour.objects.filter(persona_id=persona.pk).count() == 2
    PersonaHour.objects.filter(hour__gt=0).update(hour=3_600_000)
    upkeep.forget_hours()
    assert [(row.hour, row.enters) for row in PersonaHour.objects.filter(persona_id=persona.pk)] == [(0, 7)]


def test_members_are_listed_found_and_downloaded(project: Project, as_bob: Client) -> None:
    living.persona(project, "viewers", living.viewed(1))
    send(project, 60)
    send(project, 61, "other")
    page = text_of(as_bob, f"{LIST}viewers/members/")
    assert len(re.findall(r'class="name mono"', page)) == 50
    following = re.search(r'href="(\?after=[^"]+)">Next page', page)
    assert following
    assert len(re.findall(r'class="name mono"', text_of(as_bob, f"{LIST}viewers/members/{following[1]}"))) == 10
    assert len(re.findall(r'class="name mono"', text_of(as_bob, f"{LIST}viewers/members/?q=u-7"))) == 1
    assert "Not a member" in text_of(as_bob, f"{LIST}viewers/members/?q=u-60")
    assert "Nobody by that id" in text_of(as_bob, f"{LIST}viewers/members/?q=u-99")
    assert as_bob.get(f"{LIST}viewers/members/?after=x").status_code == 404


def test_the_download_is_streamed_in_pages(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    persona = living.persona(project, "viewers", living.viewed(1))
    send(project, 25)
    monkeypatch.setattr(downloads, "PAGE", 10)
    pages = [page.decode() for page in downloads.lines(persona)]
    assert [page.count("\n") for page in pages] == [1, 10, 10, 5]
    found = list(csv.DictReader("".join(pages).splitlines()))
    assert {row["external_ids"] for row in found} == {f"u-{n}" for n in range(25)}
    assert all(row["leaves_at"] for row in found)


@pytest.mark.django_db(transaction=True)
def test_under_asgi_the_download_comes_piece_by_piece(project: Project, as_bob: Client) -> None:
    living.persona(project, "viewers", living.viewed(1))
    send(project, 3)

    header, members = fetched(as_bob, f"{LIST}viewers/members.csv")
    assert header == b"profile,external_ids,since,leaves_at\r\n"
    assert members.count(b"\n") == 3


def test_a_spreadsheet_gets_no_formula(project: Project) -> None:
    persona = living.persona(project, "viewers", living.viewed(1))
    applying.put(project, applying.track(userId="=cmd|' /C calc'!A0"), received_at=rows.now())
    living.settle()
    assert b"'=cmd" in b"".join(downloads.lines(persona))


def test_versions_say_what_changed_and_come_back(project: Project, as_bob: Client) -> None:
    persona = living.persona(project, "viewers", living.viewed(1))
    as_bob.post(
        f"{LIST}viewers/edit/",
        {"json": '{"v":1,"rule":' + '{"op":"trait","path":"plan","cmp":"exists"}}', "do": "save"},
    )
    page = text_of(as_bob, f"{LIST}viewers/versions/")
    assert "Version 2" in page
    assert '<ins>+     "op": "trait"' in page
    assert "by bob" in page
    assert "saved as version 3" in text_of(as_bob, f"{LIST}viewers/versions/1/restore/")
    assert as_bob.post(f"{LIST}viewers/versions/1/restore/").status_code == 302
    persona.refresh_from_db()
    assert (persona.version, persona.rule["rule"]) == (3, living.viewed(1))
    assert as_bob.post(f"{LIST}viewers/versions/9/restore/").status_code == 404


def test_overlap_is_counted(project: Project, as_bob: Client) -> None:
    living.persona(project, "viewers", living.viewed(1))
    living.persona(project, "buyers", living.viewed(1, event="order_placed"))
    send(project, 8)
    send(project, 3, "order_placed")
    living.persona(project, "zealots", living.viewed(99))
    page = text_of(as_bob, f"{LIST}viewers/overlap/?with=buyers")
    assert "3 in both" in page
    assert "3 in both" in text_of(as_bob, f"{LIST}viewers/overlap/")  # the first one is there at once
    assert "0 in both" in text_of(as_bob, f"{LIST}viewers/overlap/?with=zealots")
    assert "38 % of viewers" in page
    assert "8 profiles are in at least one" in page


def test_deeds_say_what_happens_before_it_does(project: Project, as_bob: Client) -> None:
    persona = living.persona(project, "viewers", living.viewed(1))
    send(project, 4)
    assert "Its <strong>4</strong> members stay" in text_of(as_bob, f"{LIST}viewers/pause/")
    for deed, status in (("pause", "paused"), ("resume", "live")):
        assert as_bob.post(f"{LIST}viewers/{deed}/")["Location"] == f"{LIST}viewers/"
        living.settle()
        persona.refresh_from_db()
        assert persona.status == status
    assert "\N{MINUS SIGN}4" in text_of(as_bob, f"{LIST}viewers/delete/")
    assert as_bob.post(f"{LIST}viewers/delete/")["Location"] == LIST
    living.settle()
    assert as_bob.get(f"{LIST}viewers/").status_code == 404
    assert PersonaHour.objects.get(persona_id=persona.pk, hour=0).leaves == 4


def test_what_others_need_is_not_deleted(project: Project, as_bob: Client) -> None:
    living.persona(project, "viewers", living.viewed(1))
    living.persona(project, "keen", {"op": "member", "persona": "viewers"})
    assert "keen refers to it" in text_of(as_bob, f"{LIST}viewers/delete/")
    answer = as_bob.post(f"{LIST}viewers/delete/")
    assert answer.status_code == 422
    assert Persona.objects.filter(slug="viewers", deleted_at=None).exists()


def test_the_page_of_a_persona_tells_rule_figures_and_changes(project: Project, as_bob: Client) -> None:
    rule = {"op": "all", "of": [living.viewed(1), living.never("order_placed")]}
    living.persona(project, "viewers", rule)
    send(project, 2)
    page = text_of(as_bob, f"{LIST}viewers/")
    assert "Profiles with page_viewed in the last day and no order_placed in the last day." in page
    assert "All of these" in page
    assert '"op": "all"' in page
    assert len(re.findall(r'class="op enter">enters', page)) == 2
