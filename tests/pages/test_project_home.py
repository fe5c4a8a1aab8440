"""The home of a project: figures, a chart with its words and its table, and regions that renew themselves."""

import html
import re

import pytest
from django.test import Client

from ingestion import retention
from ingestion.models import EventMinute
from ingestion.pages import spans
from keys.models import Project
from persona.lib import charts
from tests.ingestion import applying
from tests.pages import rows
from tests.segments import living

HOME = "/projects/shop/"


def text_of(client: Client, address: str) -> str:
    return html.unescape(client.get(address).content.decode())


@pytest.mark.django_db(transaction=True)
def test_home_shows_what_came_in_and_who_moved(project: Project, as_bob: Client) -> None:
    living.persona(project, "viewers", living.viewed(1))
    sent = [applying.track(userId=f"u-{n}") for n in range(5)]
    applying.put(project, *sent, applying.track("", userId="u-1"), received_at=rows.now())
    living.settle()
    page = text_of(as_bob, HOME)
    assert "5 stored, at most 5 a minute, and 1 rejected" in page
    assert '<a href="/projects/shop/dead-letters/">1 event waits</a>' in page
    assert "5 in 24 hours" in page
    assert 'class="name" href="/projects/shop/personas/viewers/"' in page
    assert len(re.findall(r'<li><span class="op enter">', page)) == 5
    assert len(re.findall(r'<rect class="b"', page)) == 1
    assert len(re.findall(r"<tr><td>\d\d:\d\d</td>", page)) == 60


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("period", "parts"), [("1h", 60), ("24h", 24), ("7d", 28), ("nonsense", 60)])
def test_every_period_has_its_parts(period: str, parts: int, project: Project, as_bob: Client) -> None:
    applying.put(project, applying.track(userId="u-1"), received_at=rows.now())
    living.settle()
    page = text_of(as_bob, f"{HOME}?last={period}")
    assert page.count('<rect class="over"') == parts
    assert "1 stored" in page


def test_an_empty_project_says_what_to_do_next(shop: Project, as_bob: Client) -> None:
    page = text_of(as_bob, HOME)
    assert "No event in this period" in page
    assert "Send the first one" in page
    assert "Make the first one" in page


def test_the_parts_are_those_of_the_page(shop: Project, as_bob: Client) -> None:
    page, parts = text_of(as_bob, HOME), text_of(as_bob, f"{HOME}parts/")
    found = re.findall(r'id="(part-\w+)"', parts)
    assert sorted(found) == sorted(re.findall(r'id="(part-\w+)"', page))
    assert len(found) == len(set(found)) == 6
    assert 'data-refresh="/projects/shop/parts/?last=1h"' in page


def test_the_other_projects_are_one_press_away(
    shop: Project, other_project: Project, as_bob: Client, as_alice: Client
) -> None:
    assert 'href="/projects/elsewhere/"' in text_of(as_alice, HOME)
    assert "elsewhere" not in text_of(as_bob, HOME)


@pytest.mark.django_db(transaction=True)
def test_minutes_are_counted_and_go_after_a_day(project: Project) -> None:
    now = rows.now()
    for age in (0, 60_000, 3 * 86_400_000):
        applying.put(project, applying.track(userId="u-1"), received_at=now - age)
    living.settle()
    hour = spans.of_span(project.pk, "1h", now)
    assert [bucket.stored for bucket in hour][-2:] == [1, 1]
    assert EventMinute.objects.count() == 3
    retention.keep_up()
    assert EventMinute.objects.count() == 2


@pytest.mark.parametrize(("highest", "top"), [(1, 1), (7, 8), (11, 15), (2_718, 3_000), (100_000, 100_000)])
def test_an_axis_ends_at_a_round_number(highest: int, top: float) -> None:
    assert charts.round_top(highest) == top


def test_bars_are_from_zero_and_what_is_wrong_is_always_seen() -> None:
    made = charts.bars([0, 5_000, 11_000], [0, 1, 0])
    assert [bar.height for bar in made.bars] == [0.0, 53.33, 117.33]
    assert made.bars[1].bad_height == charts.SLIVER
    assert made.ticks[0] == "15,000"
    assert charts.bars([], []).bars == []
