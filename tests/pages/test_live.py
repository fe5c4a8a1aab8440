"""The live page: events and changes as they happen, never more than a hundred at once, always escaped."""

import re
from typing import Any

import pytest
from django.test import Client

from ingestion.models import WriterLane
from keys.models import Project
from tests.pages import rows

UID = bytes(range(16))


def ask(client: Client, event: int = 0, change: int = 0) -> Any:
    return client.get(f"/projects/shop/live/rows?after_event={event}&after_change={change}").json()


def lines(html: str) -> list[str]:
    """The words of each row."""
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in re.findall(r"<tr.*?</tr>", html, re.DOTALL)]


def test_what_was_stored_before_anybody_looked_is_there_without_script(shop: Project, as_bob: Client) -> None:
    profile, persona = rows.make_profile(shop), rows.make_persona(shop)
    rows.store(shop, profile, uid=UID, name="product_viewed", props={"price": 59, "color": "oak"})
    rows.change(persona, profile, trigger=UID)
    text = as_bob.get("/projects/shop/live/").content.decode()
    (line,) = [line for line in lines(text) if "u_anna" in line]
    assert "product_viewed u_anna color: oak, price: 59 Stored enters high_intent" in line


def test_an_applied_event_and_its_change_stand_in_one_row(shop: Project, as_bob: Client) -> None:
    profile, persona = rows.make_profile(shop), rows.make_persona(shop)
    rows.apply(shop, rows.as_applied(UID.hex(), props={"price": 59}))
    rows.change(persona, profile, trigger=UID)
    answer = ask(as_bob)
    (line,) = lines(answer["rows"])
    assert line.endswith("product_viewed u_anna price: 59 Stored pipeline enters high_intent")
    assert (answer["event"], answer["change"], answer["seen"], answer["shown"]) == (1, 1, 1, 1)


def test_a_leave_by_time_has_a_row_of_its_own(shop: Project, as_bob: Client) -> None:
    rows.change(rows.make_persona(shop), rows.make_profile(shop), op="leave")
    (line,) = lines(ask(as_bob)["rows"])
    assert line.endswith("time passed u_anna leaves high_intent")


def test_a_change_names_its_event_so_that_a_later_answer_can_join_them(shop: Project, as_bob: Client) -> None:
    profile, persona = rows.make_profile(shop), rows.make_persona(shop)
    rows.apply(shop, rows.as_applied(UID.hex()))
    first = ask(as_bob)
    rows.change(persona, profile, trigger=UID)
    second = ask(as_bob, first["event"], first["change"])
    assert f'data-kind="change" data-outcome="" data-uid="{UID.hex()}"' in second["rows"]
    assert ask(as_bob, second["event"], second["change"])["rows"] == ""


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"outcome": "duplicate"}, "Duplicate pipeline"),
        ({"outcome": "rejected", "code": "event.too_large", "detail": "101 KB"}, "101 KB event.too_large pipeline"),
        ({"clamped": True}, "Stored, clock was ahead pipeline"),
        ({"profile": None}, "nobody Kept without a profile pipeline"),
        ({"external_id": "user-7"}, "user-7 Stored pipeline"),
    ],
)
def test_it_says_what_became_of_each_event(made: dict[str, Any], said: str, shop: Project, as_bob: Client) -> None:
    rows.apply(shop, rows.as_applied(**made))
    (line,) = lines(ask(as_bob)["rows"])
    assert line.endswith(said)


def test_a_duplicate_does_not_take_the_change_of_its_original(shop: Project, as_bob: Client) -> None:
    profile, persona = rows.make_profile(shop), rows.make_persona(shop)
    rows.apply(shop, rows.as_applied(UID.hex()), rows.as_applied(UID.hex(), outcome="duplicate"))
    rows.change(persona, profile, trigger=UID)
    told = [line for line in lines(ask(as_bob)["rows"]) if "high_intent" in line]
    assert len(told) == 1
    assert "Stored pipeline enters" in told[0]


def test_silent_changes_are_passed_over(shop: Project, as_bob: Client) -> None:
    rows.change(rows.make_persona(shop), rows.make_profile(shop), silent=True)
    answer = ask(as_bob)
    assert (answer["rows"], answer["change"]) == ("", 1)


@pytest.mark.parametrize("field", ["name", "profile", "external_id", "props"])
def test_what_strangers_send_is_text(field: str, shop: Project, as_bob: Client) -> None:
    attack = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    changed: Any = {field: {"note": attack} if field == "props" else attack}
    rows.apply(shop, rows.as_applied(**changed))
    rows.store(shop, rows.make_profile(shop), uid=UID, name=attack, props={attack: attack})
    for html in (ask(as_bob)["rows"], as_bob.get("/projects/shop/live/").content.decode()):
        assert "&lt;script&gt;" in html
        assert "<script>alert" not in html
        assert "<img" not in html


def test_properties_are_cut(shop: Project, as_bob: Client) -> None:
    rows.apply(shop, rows.as_applied(props={f"key{i}" * 100: "x" * 10_000 for i in range(50)}))
    (line,) = lines(ask(as_bob)["rows"])
    assert len(line) < 1_000


@pytest.mark.parametrize("properties", [None, [], "text", 7])
def test_properties_of_another_shape_are_no_fault(properties: object, shop: Project, as_bob: Client) -> None:
    rows.apply(shop, rows.as_applied(props=properties))
    assert len(lines(ask(as_bob)["rows"])) == 1


@pytest.mark.parametrize(("transactions", "events"), [(1, 1_000), (60, 7), (250, 4)])
def test_at_high_rates_a_sample_is_shown_and_counted(
    transactions: int, events: int, shop: Project, as_bob: Client
) -> None:
    for _ in range(transactions):
        rows.apply(shop, *(rows.as_applied(name=f"event {i}") for i in range(events)))
    answer = ask(as_bob)
    assert 50 <= answer["shown"] <= 100
    assert answer["shown"] == len(lines(answer["rows"]))
    assert answer["seen"] == transactions * events
    assert answer["event"] == transactions


def test_of_many_changes_the_newest_are_shown(shop: Project, as_bob: Client) -> None:
    profile, persona = rows.make_profile(shop), rows.make_persona(shop)
    for _ in range(130):
        rows.change(persona, profile)
    answer = ask(as_bob)
    assert (len(lines(answer["rows"])), answer["change"]) == (100, 130)


def test_positions_above_the_heads_begin_again_there(shop: Project, as_bob: Client) -> None:
    rows.apply(shop, rows.as_applied())
    answer = ask(as_bob, 900, 900)
    assert (answer["rows"], answer["event"], answer["change"]) == ("", 1, 0)


@pytest.mark.parametrize("position", ["", "-1", "1.5", "x", "٣", "9223372036854775808", "9" * 5000])
def test_a_position_that_is_no_number_is_refused(position: str, shop: Project, as_bob: Client) -> None:
    answer = as_bob.get("/projects/shop/live/rows", {"after_event": position, "after_change": "0"})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.parameter")


@pytest.mark.parametrize("address", ["/projects/shop/live/", "/projects/shop/live/rows?after_event=0&after_change=0"])
def test_looking_has_the_writer_log_for_half_a_minute(address: str, shop: Project, as_bob: Client) -> None:
    before = rows.now()
    as_bob.get(address)
    assert before + 20_000 < WriterLane.objects.get(project=shop).watched_until <= rows.now() + 30_000


def test_another_project_is_never_seen(shop: Project, other_project: Project, as_bob: Client) -> None:
    rows.make_lanes(other_project)
    profile, persona = rows.make_profile(other_project, "u_other"), rows.make_persona(other_project)
    rows.apply(other_project, rows.as_applied(profile="u_other"))
    rows.store(other_project, profile, uid=UID, name="secret", props={})
    rows.change(persona, profile)
    assert ask(as_bob)["rows"] == ""
    assert "u_other" not in as_bob.get("/projects/shop/live/").content.decode()
