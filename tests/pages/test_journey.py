"""The whole way: a batch in the inbox, the real writer and evaluator, and what the live page makes of it."""

import pytest
from django.test import Client

from keys.models import Project
from tests.ingestion import applying
from tests.pages import rows
from tests.pages.test_live import ask, lines
from tests.segments import living
from tests.segments.timing import Clock, clock

__all__ = ["clock"]  # a fixture


@pytest.mark.django_db(transaction=True)
def test_an_event_its_outcome_and_its_enter_stand_in_one_row(project: Project, as_bob: Client) -> None:
    living.persona(project, "viewers", living.viewed(1, event="product_viewed"))
    as_bob.get("/projects/shop/live/")
    viewed = applying.track("product_viewed", userId="u-1", messageId="m-1", properties={"price": 59})
    batch = [viewed, viewed, applying.track("", userId="u-1")]
    applying.put(project, *batch, received_at=rows.now())
    living.settle()

    said = lines(ask(as_bob)["rows"])
    assert [line for line in said if line.endswith("product_viewed u-1 price: 59 Stored pipeline enters viewers")]
    assert [line for line in said if line.endswith("product_viewed u-1 price: 59 Duplicate pipeline")]
    assert [line for line in said if line.endswith("event.field_missing pipeline")]
    assert len(said) == 3
    (kept,) = [line for line in lines(as_bob.get("/projects/shop/live/").content.decode()) if "u-1" in line]
    assert kept.endswith("product_viewed u-1 price: 59 Stored enters viewers")


@pytest.mark.django_db(transaction=True)
def test_a_leave_when_the_window_ends_comes_by_itself(project: Project, as_bob: Client, clock: Clock) -> None:
    living.persona(project, "viewers", living.viewed(1, "PT1M", event="product_viewed"))
    applying.put(project, applying.track("product_viewed", userId="u-1"), received_at=rows.now())
    living.settle()
    clock.pass_by(60_000)
    living.settle()
    (leave, _) = lines(ask(as_bob)["rows"])
    assert leave.endswith("time passed u-1 leaves viewers")
