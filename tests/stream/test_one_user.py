"""A project that lets publishable keys see the profile of a signed user only."""

import time
from types import SimpleNamespace

import pytest
from pytest_django import Settings

from segments.streaming import asking
from tests.stream.conftest import Listen
from tests.stream.serving import until
from tests.stream.shop import Shop
from tests.stream.test_tickets import Desk


@pytest.fixture(autouse=True)
def mode(shop: Shop, settings: Settings) -> None:
    settings.PERSONA_STREAM_HEARTBEAT = 0.3
    shop.set_streams("profile")
    shop.known_as(shop.profile, "u-1")


def test_only_the_changes_of_that_user(shop: Shop, listen: Listen) -> None:
    stranger = shop.another("stranger")
    stream = listen(shop.session("u-1"))
    shop.append(profile=stranger)
    head = shop.append()
    shop.append(profile=stranger)
    frame = stream.next()
    assert (frame.id, frame.data["profile"]) == (head, "u_shop")
    while (frame := stream.next("heartbeat")).id != head + 1:  # what is not shown counts as served
        assert frame.id <= head


def test_what_was_before_comes_from_the_table_of_that_user_alone(shop: Shop, listen: Listen) -> None:
    shop.append(5_000, profile=shop.another("stranger"))
    head = shop.append()
    assert listen(shop.session("u-1"), last=0).next().id == head


def test_with_a_filter(shop: Shop, listen: Listen) -> None:
    stream = listen(shop.session("u-1"), "?persona=churner")
    shop.append()
    head = shop.append(persona=shop.churner)
    assert stream.next().id == head


def test_a_user_whose_first_event_is_yet_to_come(shop: Shop, listen: Listen) -> None:
    """The stream waits where it is: nothing of what the new profile does is missed."""
    stream = listen(shop.session("u-2"))
    shop.append(3)
    assert stream.next("heartbeat").id == stream.next("heartbeat").id == 0
    newcomer = shop.another("newcomer")
    head = shop.append(profile=newcomer, ring=False)
    shop.append()
    shop.known_as(newcomer, "u-2")
    assert stream.next().id == head


def test_after_a_merge_the_copy_is_made_anew(shop: Shop, listen: Listen) -> None:
    shop.append()
    survivor = shop.another("survivor")
    shop.append(profile=survivor, persona=shop.churner)
    stream = listen(shop.session("u-1"), last=0)
    assert stream.next().data["profile"] == "u_shop"
    shop.append(op="leave")
    shop.known_as(survivor, "u-1")
    assert stream.next("reset").data == {"oldest": 1, "head": 3}
    frame = stream.next()
    assert (frame.id, frame.data["profile"]) == (2, "u_survivor")


def test_nobody_else(shop: Shop, listen: Listen, elsewhere: Shop) -> None:
    refused = listen(shop.pk)
    assert (refused.status, refused.problem()["code"]) == (403, "stream.not_allowed")
    assert listen(shop.session("u-1") + "x").problem()["code"] == "auth.invalid_session"
    assert listen(shop.sk).status == 200
    elsewhere.append()
    stream = listen(elsewhere.session("u-1"))  # whose project lets everybody see everything
    assert stream.next("heartbeat").id == 1


def test_it_ends_with_its_session(shop: Shop, listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which a second is left, as the stream has it."""
    almost = SimpleNamespace(time=lambda: time.time() + 899)
    monkeypatch.setattr(asking, "time", almost)
    assert listen(shop.session("u-1", seconds=900)).ended()


def test_a_ticket_is_for_that_user_too(shop: Shop, port: int, listen: Listen) -> None:
    desk = Desk(port, listen)
    ticket = desk.ticket(shop.session("u-1"))
    assert "u-1" not in ticket
    stream = desk.open(ticket)
    shop.append(profile=shop.another("stranger"))
    head = shop.append()
    assert stream.next().id == head
    assert desk.asked(shop.pk).problem()["code"] == "stream.not_allowed"


def test_switching_it_off_ends_nothing_that_is_open_but_lets_nobody_in(shop: Shop, listen: Listen) -> None:
    shop.set_streams("off")
    until(lambda: listen(shop.session("u-1")).status == 403, "the setting to be known")
