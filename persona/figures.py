"""What the databases know at the moment somebody asks: how much waits, for how long, and how full things are."""

from collections.abc import Iterable, Iterator

import msgspec
from django.conf import settings
from django.db import Error, connections, transaction
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from persona.lib.log import get_logger

log = get_logger(__name__)

STATEMENT_MS = 2_000  # a figure that takes longer is not worth it
BOUNDS = {
    "counted": 100_000,  # rows; of what waits in larger numbers the age says enough
    "projects": 100,  # that have a line of their own
}


class Figure(msgspec.Struct, frozen=True):
    """One gauge asked of a database. question: gives a row with the value, or rows with a value of `label` and its
    figure; no row or NULL is no line."""

    name: str
    help: str
    question: str
    label: str = ""


# Each is a few probes of an index, or reads a table that is small while all is well.
INBOX = (
    Figure(
        "persona_inbox_oldest_seconds",
        "Age of the oldest batch that waits to be applied; 0 when none does.",
        """select coalesce((select extract(epoch from clock_timestamp()) - received_at / 1000.0
                           from ingestion_batch where not parked order by id limit 1), 0)""",
    ),
    Figure(
        "persona_inbox_batches",
        "Batches that wait to be applied.",
        "select count(*) from (select from ingestion_batch where not parked limit %(counted)s) as counted",
    ),
    Figure(
        "persona_inbox_parked_batches",
        "Batches that could not be applied and were set aside for a person.",
        "select count(*) from (select from ingestion_batch where parked limit %(counted)s) as counted",
    ),
    Figure(
        "persona_inbox_disk_bytes",
        "What the inbox takes on the disk of its database, room for reuse included.",
        "select pg_total_relation_size('ingestion_batch')",
    ),
)
MAIN = (
    Figure(
        "persona_stale_oldest_seconds",
        "Since when the longest waiting profile has to be judged anew; 0 when none has.",
        """select coalesce(extract(epoch from clock_timestamp()) - min(at) / 1000.0, 0) from ingestion_staleprofiles""",
    ),
    Figure(
        "persona_stale_marks",
        "Groups of profiles, one for each shard of an apply transaction, that wait to be judged.",
        "select count(*) from (select from ingestion_staleprofiles limit %(counted)s) as counted",
    ),
    Figure(
        "persona_timer_overdue_seconds",
        "Age of the oldest membership timer that is due and not yet seen to; 0 when none is.",
        """select coalesce(max(greatest(extract(epoch from clock_timestamp()) - due.recheck_at / 1000.0, 0)), 0)
           from segments_lane l cross join lateral (
               select m.recheck_at from segments_membership m
               where m.project_id = l.project_id and m.shard = l.shard and m.recheck_at is not null
               order by m.recheck_at limit 1) due""",
    ),
    Figure("persona_projects", "Projects of this installation.", "select count(*) from keys_project"),
    Figure(
        "persona_log_head",
        "Number of the last row of a project's change log.",
        """select p.slug, h.last_seq from segments_head h join keys_project p on p.id = h.project_id
           order by h.last_seq desc limit %(projects)s""",
        label="project",
    ),
    Figure(
        "persona_verify_differences",
        "What the last verification of a project found to be wrong.",
        """select p.slug, v.differences from segments_verifyresult v join keys_project p on p.id = v.project_id
           where v.at is not null order by v.differences desc limit %(projects)s""",
        label="project",
    ),
    Figure(
        "persona_verify_at_seconds",
        "When the last verification of a project ended, in seconds since 1970.",
        """select p.slug, v.at / 1000.0 from segments_verifyresult v join keys_project p on p.id = v.project_id
           where v.at is not null order by v.at limit %(projects)s""",
        label="project",
    ),
    Figure(
        "persona_dead_letters",
        "Events of a project that could not be stored and are kept.",
        """select p.slug, count(*) from (select project_id from ingestion_deadletter limit %(counted)s) as kept
           join keys_project p on p.id = kept.project_id group by p.slug order by 2 desc limit %(projects)s""",
        label="project",
    ),
)
DELIVERIES = (
    Figure(
        "persona_destinations_active",
        "Destinations that something is sent to, by kind.",
        "select kind, count(*) from delivery_destination where status = 'active' group by kind",
        label="kind",
    ),
    Figure(
        "persona_destinations_paused",
        "Destinations that nothing is sent to, by kind.",
        "select kind, count(*) from delivery_destination where status = 'paused' group by kind",
        label="kind",
    ),
    Figure(
        "persona_delivery_lag",
        "How many rows of its log the active destination of a kind that is furthest behind has not looked at.",
        """select d.kind, max(greatest(case when d.kind = 'webhook' then h.last_seq else l.applied_seq end - c.seq, 0))
           from delivery_destination d
           join delivery_cursor c on c.project_id = d.project_id and c.destination_id = d.id
           left join segments_head h on h.project_id = d.project_id
           left join ingestion_writerlane l on l.project_id = d.project_id
           where d.status = 'active' group by d.kind""",
        label="kind",
    ),
    Figure(
        "persona_delivery_oldest_seconds",
        "Age of the oldest delivery that waits at an active destination, by kind.",
        """select d.kind, max(extract(epoch from clock_timestamp()) - w.created_at / 1000.0)
           from delivery_destination d cross join lateral (
               select a.created_at from delivery_attempt a
               where a.project_id = d.project_id and a.destination_id = d.id and a.status = 'waiting'
               order by a.next_at limit 1) w
           where d.status = 'active' group by d.kind""",
        label="kind",
    ),
)


class Figures(Collector):
    """All of them. A database that is away is said to be so, and costs only its own figures."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("persona_database_up", "Whether this database answers.", labels=["database"])
        for name, alias, figures in (("inbox", settings.INBOX_ALIAS, INBOX), ("main", "default", (*MAIN, *DELIVERIES))):
            found = _asked(alias, figures)
            up.add_metric([name], float(found is not None))
            yield from found or ()
        yield up


def _asked(alias: str, figures: Iterable[Figure]) -> list[GaugeMetricFamily] | None:
    families = []
    try:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute(f"set local statement_timeout = {STATEMENT_MS}")
            for figure in figures:
                cursor.execute(figure.question, BOUNDS)
                families.append(_family(figure, cursor.fetchall()))
    except Error as error:
        log.warning("metrics.database_away", database=alias, error=type(error).__name__)
        return None
    return families


def _family(figure: Figure, rows: Iterable[tuple[object, ...]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(figure.name, figure.help, labels=[figure.label] if figure.label else [])
    for *labels, value in rows:
        if value is not None:
            family.add_metric([str(label) for label in labels], float(str(value)))
    return family
