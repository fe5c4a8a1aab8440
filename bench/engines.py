"""The same conditions on the same people, by others and by us: `python bench/engines.py`.

First traits alone, in this one process, beside the evaluators of GrowthBook, Flagsmith and JsonLogic; then rules about
events in a PostgreSQL of our own, beside the same rules as SQL and a plain GROUP BY. All must find the same members.
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import installation
import made

from persona.lib.clock import MS_PER_DAY
from tests.e2e.calling import count

Json = dict[str, Any]
Judge = Callable[[int], bool]  # the person's number -> a member?
PACKAGES = "growthbook==4.0.0 flagsmith-flag-engine==11.1.1 json-logic-qubit==0.9.1"
ADVICE = f"""The others are no requirements of ours; into a folder of their own with them, and then again:
    python -m pip install --target others {PACKAGES}
    PYTHONPATH=others python bench/engines.py"""
NOW = 1_781_000_000_000
PAGE = 500

# A condition is (path, comparator, value); a node is a condition, or one of all, any and not with its parts.
PRO, FREE, TEAM = (("plan", "eq", plan) for plan in ("pro", "free", "team"))
NEAR, AMERICA = ("country", "in", ["DE", "FR"]), ("country", "eq", "US")
GROWN, YOUNG, OLD = ("age", "gte", 30), ("age", "lt", 40), ("age", "gte", 50)
MAIL = ("email", "contains", "@example")
NODES: tuple[Any, ...] = (
    PRO, NEAR, GROWN, MAIL, ("all", PRO, NEAR, YOUNG), ("any", TEAM, ("all", OLD, AMERICA)), ("not", FREE),
    ("all", ("not", AMERICA), ("any", PRO, TEAM), GROWN, MAIL),
)  # fmt: skip
GROUPS = ("all", "any", "not")
COUNT = count("page_viewed", 3, "P7D")
SUM = count("order_placed", 100, "P30D", agg={"fn": "sum", "prop": "value"})
SPENT = {"op": "all", "of": [{"op": "trait", "path": "plan", "cmp": "eq", "value": "pro"}, SUM]}
AFTER = {
    "op": "sequence", "steps": [{"event": "cart_added"}, {"event": "order_placed"}], "within": "P1D",
    "window": {"last": "P30D"},
}  # fmt: skip
GROUP_BY = """
select profile_id from ingestion_event where project_id = %s and name_id = 1 and ts > %s and ts <= %s
group by profile_id having count(*) >= 3
"""


def people(number: int) -> list[Json]:
    dice = random.Random(4)
    return [
        {
            "plan": dice.choice(("free", "free", "pro", "team")),
            "country": dice.choice(("DE", "FR", "US", "TR", "PL", "IN")),
            "age": dice.randint(18, 77),
            "email": f"person{n}@{dice.choice(('example', 'mail'))}.com",
        }
        for n in range(number)
    ]


# --- the same conditions in each one's words, made once before the clock starts ---


def ours(everybody: list[Json]) -> Callable[[Any], Judge]:
    from segments.rules import compile_rule, facts_from, parse

    known = [facts_from(profile=f"u_{n}", identified=True, traits=traits) for n, traits in enumerate(everybody)]

    def said(node: Any) -> Json:
        if node[0] == "not":
            return {"op": "not", "of": said(node[1])}
        if node[0] in GROUPS:
            return {"op": node[0], "of": [said(part) for part in node[1:]]}
        return {"op": "trait", "path": node[0], "cmp": node[1], "value": node[2]}

    def judge(node: Any) -> Judge:
        value = compile_rule(parse({"v": 1, "rule": said(node)})).value
        return lambda n: value(known[n], NOW) > 0

    return judge


def growthbook(everybody: list[Json]) -> Callable[[Any], Judge]:
    from growthbook.core import evalCondition  # type: ignore[import-not-found]  # installed for this bench alone

    def said(node: Any) -> Json:
        if node[0] == "not":
            return {"$not": said(node[1])}
        if node[0] in GROUPS:
            return {{"all": "$and", "any": "$or"}[node[0]]: [said(part) for part in node[1:]]}
        path, cmp, value = node
        words: dict[str, Any] = {"eq": value, "contains": {"$regex": value}}
        return {path: words.get(cmp, {f"${cmp}": value})}

    def judge(node: Any) -> Judge:
        condition = said(node)
        return lambda n: bool(evalCondition(everybody[n], condition))

    return judge


def flagsmith(everybody: list[Json]) -> Callable[[Any], Judge]:
    from flag_engine.segments.evaluator import (  # type: ignore[import-not-found]  # as above
        is_context_in_segment,
    )

    words = {"eq": "EQUAL", "in": "IN", "gte": "GREATER_THAN_INCLUSIVE", "lt": "LESS_THAN", "contains": "CONTAINS"}
    known = [
        {
            "environment": {"key": "e", "name": "e"},
            "identity": {"identifier": str(n), "key": f"e_{n}", "traits": traits},
        }
        for n, traits in enumerate(everybody)
    ]

    def said(node: Any) -> Json:
        if node[0] not in GROUPS:
            path, cmp, value = node
            text = ",".join(value) if cmp == "in" else str(value)
            return {"type": "ALL", "conditions": [{"property": path, "operator": words[cmp], "value": text}]}
        kind = {"all": "ALL", "any": "ANY", "not": "NONE"}[node[0]]
        return {"type": kind, "rules": [said(part) for part in node[1:]]}

    def judge(node: Any) -> Judge:
        segment = {"key": "s", "name": "s", "rules": [said(node)]}
        return lambda n: bool(is_context_in_segment(known[n], segment))

    return judge


def jsonlogic(everybody: list[Json]) -> Callable[[Any], Judge]:
    from json_logic import jsonLogic  # type: ignore[import-not-found]  # as above

    def said(node: Any) -> Json:
        if node[0] == "not":
            return {"!": said(node[1])}
        if node[0] in GROUPS:
            return {{"all": "and", "any": "or"}[node[0]]: [said(part) for part in node[1:]]}
        path, cmp, value = node
        if cmp == "contains":
            return {"in": [value, {"var": path}]}
        return {{"eq": "==", "in": "in", "gte": ">=", "lt": "<"}[cmp]: [{"var": path}, value]}

    def judge(node: Any) -> Judge:
        rule = said(node)
        return lambda n: bool(jsonLogic(rule, everybody[n]))

    return judge


ENGINES = {"Persona": ours, "growthbook": growthbook, "flagsmith-flag-engine": flagsmith, "json-logic-qubit": jsonlogic}


def traits(number: int) -> None:
    """Every engine over everybody, rule by rule, three times; the best of them counts."""
    everybody = people(number)
    expected: list[int] | None = None
    first = 0.0
    for name, engine in ENGINES.items():
        try:
            judges = [engine(everybody)(node) for node in NODES]
        except ModuleNotFoundError:
            print(f"{name} is not installed. {ADVICE}")
            continue
        sizes, seconds = min((told(judges, number) for _ in range(3)), key=lambda one: one[1])
        assert sizes == (expected := expected or sizes), f"{name}: {sizes}, Persona: {expected}"
        rate = number * len(NODES) / seconds
        first = first or rate
        made.row(
            f"traits, {name}", f"{rate:,.0f} evaluations/s", f"{rate / first:.2f} of ours" if first != rate else ""
        )


def told(judges: list[Judge], number: int) -> tuple[list[int], float]:
    started = time.perf_counter()
    sizes = [sum(map(judge, range(number))) for judge in judges]
    return sizes, time.perf_counter() - started


# --- rules about events ---


def pages(profiles: int) -> Iterator[range]:
    for first in range(1, profiles + 1, PAGE):
        yield range(first, min(first + PAGE, profiles + 1))


def members(project: Any, rule: Json, profiles: int, now: int) -> set[int]:
    """By pages, as a backfill does it, but nothing is stored."""
    from segments import facts
    from segments.cursors import raw_cursor
    from segments.facts import Wanted
    from segments.rules import compile_rule, merge_needs, parse

    compiled = compile_rule(parse({"v": 1, "rule": rule}))
    plan = facts.plan(
        merge_needs([compiled.needs]), {name: 1 + n for n, name in enumerate(made.NAMES)}, project.retention
    )
    found: set[int] = set()
    with raw_cursor() as cursor:
        for page in pages(profiles):
            wanted = {profile: Wanted(plan, now) for profile in page}
            known = facts.gather(cursor, project.pk, wanted, retention=project.retention, now=now)
            found.update(one for one in page if compiled.value(known[one], now) > 0)
    return found


def events(size: made.Size) -> None:
    from django.db import connection, transaction

    from tests.segments.sql_twin import SETUP, Twin

    project = made.fill(size)
    now = int(time.time() * 1_000)
    with transaction.atomic(), connection.cursor() as cursor:
        started = time.perf_counter()
        cursor.execute(SETUP, {"project": project.pk, "now": now, "retention": project.retention})
        made.row("SQL, its tables of what counts", f"{time.perf_counter() - started:.1f} s", "once, for all rules")
        for what, rule in (("a count of 7 days", COUNT), ("a trait and a sum", SPENT), ("a sequence", AFTER)):
            statement = Twin(now=now, personas={}).statement({"v": 1, "rule": rule})
            sql, by_sql = timed(lambda statement=statement: asked(cursor, statement))  # type: ignore[misc]  # bound at once
            mine, ours = timed(lambda rule=rule: members(project, rule, size.profiles, now))  # type: ignore[misc]  # as above
            assert ours == by_sql
            made.row(
                f"{what}, facts and rules by pages", f"{mine:.2f} s", f"{len(ours):,} of {size.profiles:,} profiles"
            )
            made.row(f"{what}, one SQL statement", f"{sql:.2f} s", f"{mine / sql:.1f} times as fast")
        plain, by_plain = timed(lambda: asked(cursor, GROUP_BY, [project.pk, now - 7 * MS_PER_DAY, now]))
        assert len(by_plain) == len(members(project, COUNT, size.profiles, now))
        made.row("a count of 7 days, plain GROUP BY", f"{plain:.2f} s", "nothing but the members of this moment")


def asked(cursor: Any, statement: str, given: list[Any] | None = None) -> set[int]:
    cursor.execute(statement, given)
    return {id_ for (id_,) in cursor.fetchall()}


def timed(deed: Callable[[], set[int]]) -> tuple[float, set[int]]:
    started = time.perf_counter()
    found = deed()
    return time.perf_counter() - started, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.arguments(parser)
    given = parser.parse_args()
    size = made.size(given)
    traits(size.profiles)
    with installation.database():
        events(size)


if __name__ == "__main__":
    main()
