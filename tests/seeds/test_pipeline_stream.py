"""The sentences of the pipeline's document about the stream, one test each."""

import pytest
from pytest_django import Settings

from persona.lib import clock
from tests.stream.conftest import Listen, db, listen, port, shop  # noqa: F401 - fixtures
from tests.stream.shop import Shop


@pytest.fixture(autouse=True)
def quick(settings: Settings) -> None:
    settings.PERSONA_STREAM_HEARTBEAT = 0.3


def test_use_a_publishable_key_from_the_browser_and_a_secret_key_server_side(shop: Shop, listen: Listen) -> None:  # noqa: F811 - fixtures
    assert listen(shop.pk).status == listen(shop.sk).status == 200


def test_opening_a_stream_is_scoped_to_the_originating_project_only(shop: Shop, listen: Listen) -> None:  # noqa: F811 - fixtures
    shop.append()
    assert {frame.data["profile"] for frame in listen(shop.pk, last=0).take(1)} == {shop.profile.public_id}


def test_the_response_is_a_text_event_stream_that_stays_open(shop: Shop, listen: Listen) -> None:  # noqa: F811 - fixtures
    stream = listen(shop.pk, headers={"Accept": "text/event-stream"})
    assert stream.headers["content-type"] == "text/event-stream"
    for _ in range(3):
        assert stream.next("heartbeat").data == {}
    shop.append()
    assert stream.next().id == 1


def test_a_frame_whenever_a_profile_enters_or_leaves(shop: Shop, listen: Listen) -> None:  # noqa: F811 - fixtures
    stream = listen(shop.pk)
    shop.append(op="enter")
    shop.append(op="leave")
    assert [frame.data["op"] for frame in stream.take(2)] == ["enter", "leave"]


def test_reconnect_with_last_event_id_to_resume(shop: Shop, listen: Listen) -> None:  # noqa: F811 - fixtures
    first = listen(shop.pk)
    shop.append()
    seen = first.next().id
    first.close()
    shop.append(2)
    assert [frame.id for frame in listen(shop.pk, last=seen).take(2)] == [seen + 1, seen + 2]


def test_filter_to_one_or_more_persona_ids_repeatable(shop: Shop, listen: Listen) -> None:  # noqa: F811 - fixtures
    shop.append()
    shop.append(persona=shop.churner)
    one = listen(shop.pk, "?persona=high_intent", last=0)
    more = listen(shop.pk, "?persona=high_intent&persona=churner", last=0)
    shop.append()
    assert [frame.data["persona"] for frame in one.take(2)] == ["high_intent", "high_intent"]
    assert [frame.data["persona"] for frame in more.take(2)] == ["high_intent", "churner"]


def test_the_frame_of_the_document(shop: Shop, listen: Listen) -> None:  # noqa: F811 - fixtures
    """id, event, data in this order; profile, persona and op first in the data."""
    shop.append()
    stream = listen(shop.pk, "?persona=high_intent", last=0)
    lines = [stream.response.readline().decode() for _ in range(8)]
    assert lines[4:6] == ["id: 1\n", "event: segment.updated\n"]
    assert lines[6].startswith('data: {"profile":"u_shop","persona":"high_intent","op":"enter","at":"')
    assert lines[7] == "\n"


def test_streams_are_kept_alive_with_periodic_heartbeat_frames(shop: Shop, listen: Listen) -> None:  # noqa: F811 - fixtures
    stream = listen(shop.pk)
    head = shop.append()
    assert stream.next().id == head
    assert [stream.frame(), stream.frame()] == [(head, "heartbeat", {})] * 2


def test_connections_idle_for_longer_are_closed(shop: Shop, listen: Listen, settings: Settings) -> None:  # noqa: F811 - fixtures
    assert settings.PERSONA_STREAM_IDLE * 1_000 == 15 * clock.MS_PER_SECOND * 60
    settings.PERSONA_STREAM_IDLE = 1
    assert listen(shop.pk).ended()


def test_401_missing_or_invalid_project_key(shop: Shop, listen: Listen) -> None:  # noqa: F811 - fixtures
    assert listen(None).status == listen("pk_live_nothing").status == 401
