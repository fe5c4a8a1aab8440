"""Why is this profile in this persona, or not; now, at a past instant, or at a future one if nothing happens."""

from typing import Any

import msgspec

from ingestion.models import Profile
from persona.lib.clock import rfc3339
from persona.lib.problems import Problem
from segments import cursors, definitions, facts, rules
from segments.facts import Wanted
from segments.insight import past
from segments.models import Membership, Persona
from segments.rules import Explanation


class Answer(msgspec.Struct, frozen=True):
    """matched: what the rule says at `at`; is_member: what is stored now; summary: one or two sentences.

    as_of: "now", "past" (events received by then, traits rebuilt, today's identity) or "future" (if nothing happens).
    """

    persona: str
    profile: str
    at: str
    as_of: str
    matched: bool
    is_member: bool
    since: str | None
    flips_at: str | None
    summary: str
    rule: dict[str, Any]


def explain(*, persona: Persona, profile: Profile, at: int | None = None) -> Answer:
    """Explain one pair. at: ms, the present unless given. Raises Problem 400 explain.before_retention."""
    project_id = persona.project_id
    defined = definitions.alone(persona)
    with cursors.raw_cursor() as cursor:
        now = cursors.clock(cursor)
        instant = now if at is None else at
        if instant < now - defined.retention:
            raise Problem(400, "explain.before_retention", "That is before the retention: what held then is not known.")
        defined.learn_names(cursor, project_id)
        plan = defined.whole_plan(frozenset(defined.personas))
        # What is judged in the future is judged on what counts now; so the window reaches back from now.
        wanted = {profile.pk: Wanted(plan, min(instant, now))}
        known = facts.gather(cursor, project_id, wanted, retention=defined.retention, now=now)[profile.pk]
        if instant < now:
            history = past.read(cursor, project_id, profile.pk, plan, known, since=instant, upto=instant)
            known = history.known(instant)
    explained = rules.explain(definitions.parsed(persona), known, instant)
    stored = Membership.objects.filter(project_id=project_id, profile_id=profile.pk, persona_id=persona.pk).first()
    return Answer(
        persona=persona.slug,
        profile=profile.public_id,
        at=rfc3339(instant),
        as_of="past" if instant < now else "future" if instant > now else "now",
        matched=explained.matched,
        is_member=stored is not None and stored.is_member,
        since=rfc3339(stored.since) if stored is not None and stored.is_member else None,
        flips_at=None if explained.flips_at is None else rfc3339(explained.flips_at),
        summary=summary(explained),
        rule=shown(explained),
    )


def summary(explained: Explanation) -> str:
    """When the answer changes, and what would change that."""
    verb = "Leaves" if explained.matched else "Enters"
    if explained.flips_at is None:
        by = _listed(*explained.ends, *explained.either, *(["a trait"] if explained.traits else []))
        return f"Only {by} can change this." if by else "Nothing can change this."
    unless = f" unless {_listed(*explained.extends)} comes again" if explained.extends else ""
    at_once = f" {verb} at once on {_listed(*explained.ends)}." if explained.ends else ""
    return f"{verb} {rfc3339(explained.flips_at)}{unless}.{at_once}"


def _listed(*names: str) -> str:
    return " or ".join("any event" if name == "*" else name for name in names)


def shown(explained: Explanation) -> dict[str, Any]:
    """The tree as JSON: instants as RFC 3339, events by their ids."""
    return _written(msgspec.to_builtins(explained))


def _written(node: dict[str, Any]) -> dict[str, Any]:
    flips, uids = node.pop("flips_at"), node.pop("uids")
    return {
        **node,
        "flips_at": None if flips is None else rfc3339(flips),
        "events": [f"e_{uid}" for uid in uids],
        "of": [_written(each) for each in node["of"]],
    }
