"""The pages of profiles: found by any id, a timeline of events and changes, and why, as a tree."""

import html
import re
from typing import Any

import pytest
from django.test import Client

from ingestion.models import Profile
from keys.models import Project
from persona.lib.clock import rfc3339
from segments.wording import reason_tree, words
from tests.ingestion import applying
from tests.pages import rows
from tests.pages.test_editor import RULES
from tests.segments import living

pytestmark = pytest.mark.django_db


def text_of(client: Client, address: str) -> str:
    answer = client.get(address, follow=True)
    assert answer.status_code == 200, address
    return html.unescape(answer.content.decode())


def send(project: Project, *events: dict[str, Any]) -> None:
    applying.put(project, *events, received_at=rows.now())
    living.settle()


def known(project: Project) -> str:
    """Anna, with two ids, traits, and two events; her page."""
    send(
        project,
        {"type": "identify", "userId": "u-1", "anonymousId": "a-1", "traits": {"name": "Anna", "plan": "trial"}},
        applying.track(userId="u-1", properties={"price": 59}),
        applying.track("order_placed", userId="u-1"),
    )
    return f"/projects/shop/profiles/{rows.profile_of(project, 'u-1').public_id}/"


def test_every_id_leads_to_the_profile(project: Project, as_bob: Client) -> None:
    page = known(project)
    for query in ("u-1", "a-1", page.split("/")[-2]):
        assert as_bob.get("/projects/shop/profiles/", {"q": query})["Location"] == page
    missing = text_of(as_bob, "/projects/shop/profiles/?q=<b>nobody")
    assert "No profile is known as “<b>nobody”" in missing
    assert "u-1" in text_of(as_bob, "/projects/shop/profiles/")


def test_an_empty_project_says_how_profiles_come(project: Project, as_bob: Client) -> None:
    assert "No profiles yet" in text_of(as_bob, "/projects/shop/profiles/")


def test_a_profile_shows_what_is_known_and_what_happened(project: Project, as_bob: Client) -> None:
    living.persona(project, "viewers", living.viewed(1))
    living.persona(project, "others", living.viewed(1, event="never_seen"))
    address = known(project)
    page = text_of(as_bob, address)
    assert '<h1 class="break">Anna</h1>' in page
    assert "<dt>plan</dt><dd>trial</dd>" in page
    assert "In 1 persona<" in page
    assert re.search(r'leaves <time datetime="[\d:T.Z-]+">\d+ \w+', page)
    assert "price: 59" in page
    assert 'class="chip" href="' + address + 'explain/others/"' in page
    only_changes = text_of(as_bob, f"{address}?show=changes")
    assert "price: 59" not in only_changes
    assert "enters" in only_changes
    assert "viewers" not in text_of(as_bob, f"{address}?show=events").partition("</ol>")[0].partition("<ol")[2]


def test_a_long_timeline_goes_on_page_by_page_and_loses_nothing(project: Project, as_bob: Client) -> None:
    sent = [
        applying.track(f"event_{n}", userId="u-1", timestamp=rfc3339(rows.now() - n // 3 * 1_000)) for n in range(120)
    ]
    send(project, *sent)
    address: str = f"/projects/shop/profiles/{rows.profile_of(project, 'u-1').public_id}/"
    seen: list[str] = []
    query = ""
    for _ in range(10):
        page = text_of(as_bob, f"{address}{query}")
        seen += re.findall(r"<strong>(event_\d+)</strong>", page)
        following = re.search(r'href="([^"]+)">Earlier', page)
        if following is None:
            break
        query = following[1]
    assert len(seen) == len(set(seen)) == 120


def test_a_merged_profile_leads_to_whom_it_became(project: Project, as_bob: Client) -> None:
    send(project, applying.track(anonymousId="a-9"))
    lost = Profile.objects.get(project=project).public_id
    send(project, applying.track(userId="u-9"))
    send(project, {"type": "identify", "userId": "u-9", "anonymousId": "a-9"})
    answer = as_bob.get(f"/projects/shop/profiles/{lost}/")
    kept = rows.profile_of(project, "u-9").public_id
    assert answer.status_code == (200 if lost == kept else 302)


def test_why_is_told_as_a_tree_with_the_instant_of_leaving(project: Project, as_bob: Client) -> None:
    rule = living.everyone_of(living.viewed(1), living.never("checkout_completed"))
    living.persona(project, "keen", rule)
    address = known(project)
    page = text_of(as_bob, f"{address}explain/keen/")
    assert "Why is u-1 in keen?" in re.sub(r"\s+", " ", page)
    assert re.search(r"Leaves\s*<time", page)
    assert "unless <code>page_viewed</code> comes again" in page
    assert "Leaves at once on <code>checkout_completed</code>" in page
    assert "All of these" in page
    assert "2 of 2" in page
    assert "The events that count" in page
    assert "price: 59" in page


def test_why_not_says_what_would_help(project: Project, as_bob: Client) -> None:
    living.persona(project, "buyers", living.viewed(2, event="order_placed"))
    address = known(project)
    page = text_of(as_bob, f"{address}explain/buyers/")
    assert "not in buyers?" in page
    assert "order_placed" in page
    assert "needed at least 2" in page


@pytest.mark.parametrize("name", RULES)
def test_every_rule_can_be_explained(name: str, project: Project, as_bob: Client) -> None:
    living.persona(project, "mine", RULES[name])
    address = known(project)
    page = text_of(as_bob, f"{address}explain/mine/")
    assert page.count('class="tree-row"') >= 1
    assert "None" not in re.sub(r"None of these", "", page.partition('class="tree"')[2].partition("</section>")[0])
    assert "not complete yet" not in page


@pytest.mark.parametrize(
    ("actual", "found"),
    [
        (None, "nothing"),
        (1_780_000_000_000, "2026-05-28T20:26:40.000Z"),
        (-200_000_000_000_000, "1000-01-01T00:00:00.000Z"),
    ],
)
def test_an_instant_is_shown_as_one(actual: int | None, found: str) -> None:
    node = RULES["instants of events"]["of"][0]
    known = {"path": "rule", "op": "event", "matched": False, "actual": actual, "flips_at": None, "mismatches": 0}
    nobody: dict[str, list[str]] = {"ends": [], "either": [], "capped": [], "of": []}
    explained = {"of": [{**known, **nobody, "traits": False}]}
    (reason,) = reason_tree.reasons(explained, {"x": {"rule": node}}, "x")
    assert (reason.found, reason.needed) == (found, "comes within the next 3 days")


def test_other_instants_can_be_asked_for(project: Project, as_bob: Client) -> None:
    living.persona(project, "viewers", living.viewed(1))
    address = f"{known(project)}explain/viewers/"
    assert "As it was" in text_of(as_bob, f"{address}?at={rfc3339(rows.now() - 3_600_000)[:19]}")
    later = text_of(as_bob, f"{address}?at={rfc3339(rows.now() + 2 * 86_400_000)}")
    assert "As it will be" in later
    for asked in ("yesterday", "1999-01-01T00:00:00"):
        answer = as_bob.get(address, {"at": asked})
        assert answer.status_code == 422
        assert 'id="at-wrong"' in answer.content.decode()


def test_the_other_personas_of_a_rule_are_explained_with_it(project: Project, as_bob: Client) -> None:
    living.persona(project, "viewers", living.viewed(1))
    living.persona(
        project, "both", living.everyone_of({"op": "member", "persona": "viewers"}, living.trait("plan", "x"))
    )
    page = text_of(as_bob, f"{known(project)}explain/both/")
    assert "<strong>Membership in</strong> viewers" in page
    assert "page_viewed in the last day" in page


@pytest.mark.parametrize(
    ("path", "op"),
    [
        ("rule", "all"),
        ("rule.of[1]", "not"),
        ("rule.of[1].of", "event"),
        ("x: rule.of[0]", "event"),
        ("rule.of[7]", None),
    ],
)
def test_a_path_leads_to_its_node(path: str, op: str | None) -> None:
    assert reason_tree.at_path({"rule": RULES["high intent"]}, path).get("op") == op


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (RULES["one event"], "page_viewed at least 3 times in the last day"),
        (
            RULES["cart"],
            "cart_added with the same cart_id in the last 3 days, and then no checkout_completed within 1 hour",
        ),
        (RULES["between"], "page_viewed at least 3 times between 90 days and 30 days ago"),
        (RULES["dates"], "plan is “trial” and trial_ends_at comes within the next 3 days"),
        (
            RULES["sum and since"],
            "sum of total of order_placed is at least 500 and last any event at least 30 days ago, or never",
        ),
        (
            RULES["instants of events"],
            (
                "latest paid_until of page_viewed in the last day comes within the next 3 days "
                "and not (first at of page_viewed in the last day is at least so long ago: 90 minutes)"
            ),
        ),
        (RULES["steps"], "a, then b, then c within 90 minutes with none of these in between"),
        ({}, "something that is not complete yet"),
        ({"op": "event"}, None),
        ({"op": "all", "of": []}, ""),
    ],
)
def test_rules_are_said_in_words(node: dict[str, Any], said: str | None) -> None:
    assert said in (None, words.phrase(node))
    assert words.phrase(node) is not None
