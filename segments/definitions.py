"""The compiled personas of a project, as the evaluator uses them: read once per version of all its rules."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from django.db.models import F

from ingestion.applying import stale
from ingestion.applying.stale import Mark
from keys.models import Project
from persona.lib.log import get_logger
from segments import facts, rules
from segments.cursors import Rows
from segments.lookups import PlanRow
from segments.models import Head, Persona
from segments.rules import Compiled, Facts, Need, Rule

log = get_logger(__name__)

EVALUATED = (Persona.Status.LIVE, Persona.Status.BACKFILLING)


class Definition(msgspec.Struct, frozen=True, gc=False):
    """One live persona, ready to be judged. `names` are the events its rule looks at; `any_event`: all of them."""

    persona_id: int
    version: int
    revision: int
    compiled: Compiled
    names: frozenset[str]
    any_event: bool
    checks: tuple[rules.Check, ...]  # where values of a wrong type can be met
    on_traits: bool  # getting a userId is marked as a trait is


class Touched(NamedTuple):
    """The personas that something could move: in either direction, only into it, only out of it; and all of them."""

    always: frozenset[int]
    raised: frozenset[int]
    lowered: frozenset[int]
    every: frozenset[int]


class Definitions:
    """All live personas of a project at one rules_version, indexed by what can move them."""

    def __init__(
        self,
        rules_version: int,
        shards: int,
        retention: int,
        personas: tuple[Definition, ...],
        versions: Mapping[int, int] = MappingProxyType({}),
    ) -> None:
        self.rules_version = rules_version
        self.shards = shards
        self.retention = retention  # ms
        self.personas = {persona.persona_id: persona for persona in personas}
        self.versions = versions  # of all personas, deleted ones too
        self.name_ids: dict[str, int] = {}
        self._names_upto = 0  # the newest event name of the project when they were looked up
        self._by_name = {name: _moved_by(name, personas) for name in sorted({n for p in personas for n in p.names})}
        self._by_any = _moved_by("*", personas)
        self._everything = frozenset(self.personas)
        self._on_traits = frozenset(p.persona_id for p in personas if p.on_traits)
        self._needs: dict[str, dict[int, list[Need]]] = {}
        for persona in personas:
            for need in persona.compiled.needs:
                self._needs.setdefault(need.name, {}).setdefault(persona.persona_id, []).append(need)
        self._settling = {p.persona_id: p.compiled.settled for p in personas if p.compiled.settled is not None}
        # Sets of personas are many, of those that look at one name few: a set is an integer here, a bit for each.
        self._bits = {persona_id: 1 << place for place, persona_id in enumerate(self.personas)}
        self._readers = [(name, sum(map(self._bits.__getitem__, needs))) for name, needs in sorted(self._needs.items())]
        self._touched: dict[tuple[int, tuple[int, ...]], Touched] = {}
        self._plans: dict[int, tuple[PlanRow, ...]] = {}
        self._rows: dict[tuple[str, int], tuple[PlanRow, ...]] = {}

    def learn_names(self, cursor: Rows, project_id: int, newest: int | None = None) -> None:
        """Find the ids of names that had none yet: an event of that name may have come meanwhile. newest: the id of the
        newest name of the project, where it is known; names are never removed."""
        if newest is not None and newest <= self._names_upto:
            return
        self._names_upto = newest or self._names_upto
        missing = [name for name in self._by_name if name not in self.name_ids]
        found = facts.name_ids(cursor, project_id, missing) if missing else {}
        if found:
            self.name_ids.update(found)
            self._touched.clear()
            self._plans.clear()
            self._rows.clear()

    def touched(self, mark: Mark) -> Touched:
        """The personas that this mark could move."""
        if mark.what & (stale.NEW | stale.MERGED):
            return Touched(self._everything, frozenset(), frozenset(), self._everything)
        key = (mark.what, mark.names)
        known = self._touched.get(key)
        if known is None:
            known = _bounded(self._touched)[key] = self._moved(mark)
        return known

    def _moved(self, mark: Mark) -> Touched:
        parts = [moved for name, moved in self._by_name.items() if self.name_ids.get(name) in mark.names]
        parts += [self._by_any] if mark.names else []
        raised, lowered = (frozenset(chain.from_iterable(part[at] for part in parts)) for at in (1, 2))
        always = (raised & lowered).union(*(part.always for part in parts))
        if mark.what & stale.TRAITS:
            always |= self._on_traits
        return Touched(always, raised - always, lowered - always, always | raised | lowered)

    def settled(self, personas: frozenset[int], known: Facts) -> frozenset[int]:
        """Those of the personas for which a profile's events and the time change nothing."""
        found = []
        for persona in self._settling.keys() & personas:
            try:
                if self._settling[persona](known, 0):
                    found.append(persona)
            except Exception:  # noqa: S112 - a rule that fails on some data: its judgment will fail as well, and say so
                continue
        return frozenset(found)

    def plan(self, personas: Iterable[int]) -> tuple[PlanRow, ...]:
        """What those personas need to know of a profile's events."""
        some = sum(map(self._bits.__getitem__, personas))
        plan = self._plans.get(some)
        if plan is None:
            plan = _bounded(self._plans)[some] = tuple(self._planned(some))
        return plan

    def _planned(self, personas: int) -> Iterator[PlanRow]:
        for name, readers in self._readers:
            reading = personas & readers
            if reading:
                row = self._rows.get((name, reading))
                yield from self._row(name, reading) if row is None else row

    def _row(self, name: str, personas: int) -> tuple[PlanRow, ...]:
        """What those personas need of one name."""
        needs = rules.merge_needs(some for i, some in self._needs[name].items() if self._bits[i] & personas)
        row = _bounded(self._rows)[name, personas] = facts.plan(needs, self.name_ids, self.retention)
        return row

    def plan_ahead(self, personas: frozenset[int]) -> tuple[PlanRow, ...]:
        """The same, for who asks until when the answer lasts."""
        return self._planned_anew(personas, rules.ahead)

    def whole_plan(self, personas: frozenset[int]) -> tuple[PlanRow, ...]:
        """All events that those personas look at, not only those that decide now: for who explains or imagines."""
        return self._planned_anew(personas, rules.whole)

    def _planned_anew(
        self, personas: frozenset[int], widened: Callable[[tuple[Need, ...]], tuple[Need, ...]]
    ) -> tuple[PlanRow, ...]:
        needs = widened(rules.merge_needs(self.personas[i].compiled.needs for i in sorted(personas)))
        return facts.plan(needs, self.name_ids, self.retention)


def _moved_by(name: str, personas: Iterable[Definition]) -> Touched:
    """The personas that an event of that name, or of any name, could move."""
    by_direction: dict[int | None, set[int]] = {0: set(), 1: set(), -1: set()}
    for persona in personas:
        if name in persona.compiled.names:
            by_direction[rules.direction(persona.compiled.polarity, name) or 0].add(persona.persona_id)
    always, raised, lowered = (frozenset(by_direction[direction]) for direction in (0, 1, -1))
    return Touched(always, raised, lowered, always | raised | lowered)


def _bounded(cache: dict[Any, Any]) -> dict[Any, Any]:
    """The same dict, emptied when it has grown beyond use."""
    if len(cache) > 4_096:
        cache.clear()
    return cache


_cache: dict[int, Definitions] = {}  # project id -> its definitions; one small object a project


def of_project(cursor: Rows, project_id: int) -> Definitions:
    """The project's current definitions."""
    cursor.execute("select rules_version from segments_head where project_id = %s", (project_id,))
    row = cursor.fetchone()
    return at_version(cursor, project_id, 0 if row is None else int(row[0]))


def at_version(cursor: Rows, project_id: int, version: int, newest_name: int | None = None) -> Definitions:
    """The definitions of the rules_version that has just been read; from memory while it stands still."""
    known = _cache.get(project_id)
    if known is None or known.rules_version != version:
        known = _cache[project_id] = _load(project_id, version)
    known.learn_names(cursor, project_id, newest_name)
    return known


def _load(project_id: int, rules_version: int) -> Definitions:
    project = Project.objects.get(pk=project_id)
    personas = list(Persona.objects.filter(project=project, deleted_at=None).order_by("id"))
    documents = {persona.slug: persona.rule for persona in personas}
    live = [_defined(persona, documents) for persona in personas if persona.status in EVALUATED]
    readable = tuple(one for one in live if one is not None)
    versions = dict(Persona.objects.filter(project=project).values_list("id", "version"))
    return Definitions(rules_version, project.shards, project.retention, readable, versions)


def _defined(persona: Persona, documents: Mapping[str, Any]) -> Definition | None:
    """None for a stored rule that can no longer be read: its members stay as they are, and the others go on."""
    try:
        return define(persona, documents)
    except rules.RuleError as error:
        log.error("persona.unreadable", project=persona.project_id, persona=persona.pk, path=error.path)
        Persona.objects.filter(pk=persona.pk, status__in=EVALUATED).update(status=Persona.Status.ERROR)
        return None


def set_aside(project_id: int, failed: set[int]) -> None:
    """Personas that failed are judged no more until somebody saves them again. After the turn, which held lanes."""
    if not failed:
        return
    personas = Persona.objects.filter(project_id=project_id, pk__in=failed, status__in=EVALUATED)
    personas.update(status=Persona.Status.ERROR)
    Head.objects.filter(project_id=project_id).update(rules_version=F("rules_version") + 1)


def alone(persona: Persona) -> Definitions:
    """One persona by itself, saved or not: for looking ahead."""
    return Definitions(0, persona.project.shards, persona.project.retention, (define(persona),))


def documents_of(project_id: int) -> dict[str, Any]:
    """By slug, the rules that a rule of this project may refer to: of all its personas, drafts too."""
    return dict(Persona.objects.filter(project_id=project_id, deleted_at=None).values_list("slug", "rule"))


def parsed(persona: Persona, documents: Mapping[str, Any] | None = None) -> Rule:
    """Its rule, with the rules it refers to."""
    known = documents_of(persona.project_id) if documents is None else documents
    return rules.parse(persona.rule, resolve=known.get, slug=persona.slug)


def define(persona: Persona, documents: Mapping[str, Any] | None = None) -> Definition:
    """Compile one persona. Its rule was checked when it was saved. documents: what documents_of says, the default."""
    rule = parsed(persona, documents)
    compiled = rules.compile_rule(rule)
    return Definition(
        persona_id=persona.pk,
        version=persona.version,
        revision=persona.revision,
        compiled=compiled,
        names=compiled.names - {"*"},
        any_event="*" in compiled.names,
        checks=rules.checks(rule),
        on_traits=compiled.has_traits,
    )
