"""Personas that refer to personas that refer to personas: what happens to the one in the middle reaches both ends."""

from typing import Any

import pytest

from keys.models import Project
from persona.lib.problems import Problem
from segments.models import Persona
from segments.rules.grammar import REFERENCES
from segments.services import create_persona, delete_persona, update_persona
from tests.ingestion.applying import identify, put, track
from tests.segments.living import everyone_of, members, now_ms, persona, settle, trait, viewed

pytestmark = pytest.mark.django_db


def member_of(slug: str) -> dict[str, Any]:
    return {"op": "member", "persona": slug}


def rule(node: dict[str, Any], **envelope: Any) -> dict[str, Any]:
    return {"v": 1, "rule": node, **envelope}


def tall(shop: Project) -> dict[str, Any]:
    """A rule that refers to as long a chain as may stand, so that nothing can refer to it."""
    persona(shop, "step-0", viewed(1))
    for number in range(1, REFERENCES):
        persona(shop, f"step-{number}", member_of(f"step-{number - 1}"))
    return rule(member_of(f"step-{REFERENCES - 1}"))


def change(one: Persona, **changes: Any) -> None:
    update_persona(persona=Persona.objects.get(pk=one.pk), changes=changes, actor="alice")
    settle()


def refused(one: Persona, **changes: Any) -> Problem:
    with pytest.raises(Problem) as problem:
        change(one, **changes)
    return problem.value


@pytest.fixture
def chain(shop: Project) -> tuple[Persona, Persona, Persona]:
    """vip is a member of keen, who is a member of seen. Alice viewed twice and pays, Bob viewed once."""
    seen = persona(shop, "seen", viewed(1))
    keen = persona(shop, "keen", everyone_of(member_of("seen"), viewed(2)))
    vip = persona(shop, "vip", everyone_of(member_of("keen"), trait("plan", "pro")))
    put(shop, track(userId="alice"), track(userId="alice"), identify("alice", {"plan": "pro"}), received_at=now_ms())
    put(shop, track(userId="bob"), identify("bob", {"plan": "pro"}), received_at=now_ms())
    settle()
    return seen, keen, vip


def everybody(shop: Project) -> list[set[str]]:
    return [members(shop, slug) for slug in ("seen", "keen", "vip")]


def test_a_change_at_one_end_reaches_the_other(chain: tuple[Persona, ...], shop: Project) -> None:
    seen, _, _ = chain
    assert everybody(shop) == [{"alice", "bob"}, {"alice"}, {"alice"}]
    change(seen, rule=rule(viewed(3)))
    assert everybody(shop) == [set(), set(), set()]
    change(seen, rule=rule(viewed(1)))
    put(shop, track(userId="bob"), received_at=now_ms())
    settle()
    assert everybody(shop) == [{"alice", "bob"}] * 3


def test_the_one_in_the_middle_pauses_and_goes_on(chain: tuple[Persona, ...], shop: Project) -> None:
    """Its members stay as they are; who refers to it goes on with its rule, and with what that rule becomes."""
    seen, keen, _ = chain
    change(keen, status="paused")
    put(shop, track(userId="bob"), received_at=now_ms())
    settle()
    assert everybody(shop) == [{"alice", "bob"}, {"alice"}, {"alice", "bob"}]
    change(seen, rule=rule(viewed(3)))
    assert everybody(shop) == [set(), {"alice"}, set()]
    change(keen, rule=rule(viewed(2)))
    assert everybody(shop) == [set(), {"alice"}, {"alice", "bob"}]
    change(keen, status="live")
    assert everybody(shop) == [set(), {"alice", "bob"}, {"alice", "bob"}]


def test_the_one_in_the_middle_cannot_go_before_who_refers_to_it(chain: tuple[Persona, ...], shop: Project) -> None:
    seen, keen, vip = chain
    for one, named in ((seen, ["keen", "vip"]), (keen, ["vip"])):
        with pytest.raises(Problem) as deleted:
            delete_persona(persona=one, actor="alice")
        for problem in (deleted.value, refused(one, status="draft")):
            assert (problem.code, problem.extra["dependants"]) == ("persona.in_use", named)
    delete_persona(persona=vip, actor="alice")
    settle()
    delete_persona(persona=keen, actor="alice")
    settle()
    assert everybody(shop) == [{"alice", "bob"}, set(), set()]


def test_no_circle_however_long(chain: tuple[Persona, ...], shop: Project) -> None:
    seen, keen, vip = chain
    for one in (seen, keen):
        assert refused(one, rule=rule(member_of("vip"))).code == "rule.invalid"
    change(vip, status="paused")
    assert refused(seen, rule=rule(member_of("vip"))).code == "rule.invalid", "though nobody is judged by it now"
    assert refused(vip, rule=rule(member_of("vip"))).code == "rule.invalid"


@pytest.mark.parametrize("status", ["live", "paused"])
def test_a_rule_does_not_outgrow_who_refers_to_it(status: str, shop: Project) -> None:
    """It would stand alone, but not inside of the other: that one would break at once, or when it is resumed."""
    small = persona(shop, "small", viewed(1))
    large = persona(shop, "large", member_of("small"))
    change(large, status=status)
    problem = refused(small, rule=tall(shop))
    assert problem.code == "rule.invalid"
    assert "large" in problem.detail


def test_a_draft_stands_in_nobodys_way_and_says_why_it_cannot_go_live(shop: Project) -> None:
    small = persona(shop, "small", viewed(1))
    alone = rule(member_of("small"))
    large = create_persona(project=shop, slug="large", name="", rule=alone, actor="alice", status="draft")
    change(small, rule=tall(shop))
    problem = refused(large, status="live")
    assert problem.code == "rule.invalid"
    assert "does not stand any more" in problem.detail
    assert Persona.objects.get(pk=large.pk).status == "draft"
    change(small, rule=rule(viewed(1)))
    change(large, status="live")
    assert Persona.objects.get(pk=large.pk).status == "live"


def test_only_the_identified_at_one_end_holds_for_all(shop: Project) -> None:
    persona(shop, "known", viewed(1), identified_only=True)
    persona(shop, "unknown", everyone_of(viewed(1), {"op": "not", "of": member_of("known")}))
    put(shop, track(anonymousId="a-1"), track(userId="alice"), received_at=now_ms())
    settle()
    assert (members(shop, "known"), members(shop, "unknown")) == ({"alice"}, {"a-1"})
    put(shop, track(anonymousId="a-1", userId="bob"), received_at=now_ms())
    settle()
    assert (members(shop, "known"), members(shop, "unknown")) == ({"alice", "bob", "a-1"}, set())
