"""`manage.py import-events` beside a running installation: killed in the middle, it ends as if it never had been."""

import csv
import gzip
import json
import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command

from keys.models import Project
from tests.e2e.calling import Caller
from tests.stack import Stack, wait_for

ROWS = 12_000
PEOPLE = 900
MAP = """
id: {by: record}
timestamp: {column: InvoiceDate, format: "%m/%d/%Y %H:%M"}
event: {value: order_of_the_past}
userId: CustomerID
properties: {total: {column: Total, as: number}}
others: drop
"""
RULE = {
    "op": "event", "event": "order_of_the_past", "agg": {"fn": "sum", "prop": "total"}, "cmp": "gte", "value": 500
}  # fmt: skip
LUNCH = (datetime.now(UTC) - timedelta(days=10)).replace(hour=12, minute=50, second=0, microsecond=0)
SAME = {3, 4}  # rows that say the same: two sales, not one told twice
BAD = {17: "much", 6_000: "", 11_999: "nan"}  # rows whose total is no number; an empty one is none at all


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("past")
    (path / "map.yml").write_text(MAP)
    with gzip.open(path / "orders.csv.gz", "wt", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["InvoiceDate", "CustomerID", "Total", "Country"])
        for number in range(1, ROWS + 1):
            rows.writerow([LUNCH.strftime("%m/%d/%Y %H:%M"), *_sale(number), "Türkiye"])
    return path


def _sale(number: int) -> tuple[str, str]:
    if number in SAME:
        return "past-1", "7.5"
    return f"past-{number * 7 % PEOPLE}", BAD.get(number, str(number % 50 + 0.5))


def spent() -> dict[str, float]:
    """By plain Python over the rows."""
    total: dict[str, float] = defaultdict(float)
    for person, amount in map(_sale, range(1, ROWS + 1)):
        total[person] += float(amount) if amount not in ("much", "nan", "") else 0
    return total


def ask(stack: Stack, question: str) -> Any:
    with psycopg.connect(stack.database_url, autocommit=True) as database:
        row = database.execute(question).fetchone()
        return None if row is None else row[0]


STAND = """
create function stand_still() returns trigger language plpgsql as $$ begin perform pg_sleep(600); return new; end $$;
create trigger stand_still before update on ingestion_import
for each row when (new.position >= {position}) execute function stand_still()
"""
STANDS = "from pg_stat_activity where wait_event = 'PgSleep'"


@contextmanager
def standing_still(stack: Stack, position: int) -> Iterator[Callable[[], bool]]:
    """Whoever notes that an import has come so far waits, until it is killed. Gives: whether it does."""
    with psycopg.connect(stack.database_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as database:
        database.execute(STAND.format(position=position))
        try:
            yield lambda: database.execute(f"select 1 {STANDS}").fetchone() is not None
        finally:
            database.execute(f"select pg_terminate_backend(pid, 20000) {STANDS}")
            database.execute("drop function stand_still cascade")


STORED = """
select count(*) || ' ' || count(distinct e.uid) || ' ' || min(e.ts) from ingestion_event e
join ingestion_eventname n on n.project_id = e.project_id and n.id = e.name_id
join ingestion_alias a on a.project_id = e.project_id and a.profile_id = e.profile_id
where n.name = 'order_of_the_past' and a.external_id like 'past-%'
"""
LOUD = """
select count(*) from segments_change c join segments_persona p on p.id = c.persona_id
where p.slug = 'spenders' and not c.silent
"""


@pytest.mark.timeout(240)
def test_killed_twice_nothing_is_missing_and_nothing_is_there_twice(stack: Stack, server: Caller, folder: Path) -> None:
    server.persona("spenders", RULE)
    arguments = [str(folder / "orders.csv.gz"), "--project", stack.running.project, "--map", str(folder / "map.yml")]
    for killed in (1, 4_500):
        with standing_still(stack, killed) as stands:
            command = stack.typed("import-events", *arguments)
            wait_for(stands, "progress")
            command.kill()
            assert command.ended().returncode == -signal.SIGKILL
    done = stack.manage("import-events", *arguments)
    assert done.returncode == 0, done.stderr
    bad = sum(1 for amount in BAD.values() if amount)
    stored = f"{ROWS - bad} {ROWS - bad} {int(LUNCH.timestamp()) * 1_000}"
    assert ask(stack, STORED) == stored
    assert f"{ROWS:,} records: {ROWS - bad:,} stored" in done.stdout
    refused = [json.loads(line) for line in (folder / "orders.csv.gz.refused.ndjson").read_text().splitlines()]
    assert [(one["record"], one["line"], one["field"]) for one in refused] == [
        (17, 18, "Total"),
        (11_999, 12_000, "Total"),
    ]
    assert f"{bad} records are no events" in done.stdout
    assert "[##" in done.stderr, "it shows how far it has come"
    spenders = {person for person, total in spent().items() if total >= 500}
    assert server.members("spenders") == spenders
    assert 0 < len(spenders) < PEOPLE
    assert ask(stack, LOUD) == 0
    assert "nothing of it is imported again" in stack.manage("import-events", *arguments).stdout
    assert ask(stack, STORED) == stored


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing.csv"], "There is no file nothing.csv."),
        (["{folder}/orders.csv.gz"], "A CSV file needs a map"),
        (["{folder}/orders.csv.gz", "--map", "nothing.yml"], "nothing.yml: No such file"),
        (["{folder}/map.yml"], "the name of the file ends in"),
        (["{folder}/orders.csv.gz", "--map", "{folder}/orders.csv.gz"], "is neither YAML nor JSON"),
        (
            ["{folder}/orders.csv.gz", "--map", "{folder}/wrong.yml"],
            "The map names `Customer`; the columns of the file",
        ),
        (["{folder}/orders.csv.gz", "--project", "nothing"], "There is no project 'nothing'."),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_imported_is_said_in_one_line(
    arguments: list[str], said: str, project: Project, folder: Path
) -> None:
    (folder / "wrong.yml").write_text(MAP.replace("CustomerID", "Customer"))
    given = [argument.replace("{folder}", str(folder)) for argument in ("--project", project.slug, *arguments)]
    with pytest.raises(CommandError) as error:
        call_command("import-events", *given)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
