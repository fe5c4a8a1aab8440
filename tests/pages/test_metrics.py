"""/metrics: for the operator alone, complete while the databases answer, and still useful when they do not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from keys.models import Project
from tests.pages import rows

TOKEN = "a-token-of-the-operator"


@pytest.fixture
def token(settings: Settings) -> dict[str, str]:
    settings.PERSONA_METRICS_TOKEN = TOKEN
    return {"authorization": f"Bearer {TOKEN}"}


def values(text: str) -> dict[str, float]:
    """By name and labels."""
    lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "given", [None, "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer wr\u00f6ng"]
)
def test_without_the_token_it_is_refused(given: str | None, client: Client, token: dict[str, str]) -> None:
    answer = client.get("/metrics", headers={} if given is None else {"authorization": given})
    assert (answer.status_code, answer.json()["code"]) == (401, "metrics.refused")


@pytest.mark.django_db
def test_an_empty_token_opens_nothing(client: Client, settings: Settings) -> None:
    settings.PERSONA_METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"authorization": "Bearer "}).status_code == 401


@pytest.mark.django_db
def test_only_the_operator_may_look(alice: User, bob: User, charlie: User) -> None:
    seen = {}
    for person in (alice, bob, charlie):
        client = Client()
        client.force_login(person)
        seen[person.username] = client.get("/metrics").status_code
    assert seen == {"alice": 200, "bob": 401, "charlie": 401}


@pytest.mark.django_db(transaction=True)
def test_what_waits_is_in_it(shop: Project, client: Client, token: dict[str, str]) -> None:
    insert = (
        "insert into ingestion_batch (project_id, batch_id, dialect, n, received_at, body, parked)"
        " values (%s, %s, 'pipeline', 1, %s, '', %s)"
    )
    rows.run(insert, shop.pk, "b_parked", rows.now() - 9_000_000, True)
    rows.run(insert, shop.pk, "b_waiting", rows.now() - 5_000, False)
    answer = client.get("/metrics", headers=token)
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    found = values(answer.content.decode())
    assert (found["persona_inbox_batches"], found["persona_inbox_parked_batches"]) == (1, 1)
    assert 5 <= found["persona_inbox_oldest_seconds"] < 60
    assert found['persona_database_up{database="main"}'] == 1
    assert found[f'persona_log_head{{project="{shop.slug}"}}'] == 0


@pytest.mark.django_db
def test_a_database_that_does_not_answer_costs_only_its_own_figures(client: Client, token: dict[str, str]) -> None:
    rows.run("alter table ingestion_batch rename to hidden")
    answer = client.get("/metrics", headers=token)
    found = values(answer.content.decode())
    assert answer.status_code == 200
    assert (found['persona_database_up{database="inbox"}'], found['persona_database_up{database="main"}']) == (0, 1)
    assert "persona_projects" in found
    assert "persona_inbox_batches" not in found


COUNTING = """
import os, sys
from pathlib import Path
from persona.lib import metrics
metrics.share(Path(sys.argv[1]))
from prometheus_client import Counter, Gauge, generate_latest
counter, gauge = Counter("persona_test", "."), Gauge("persona_open", ".", multiprocess_mode="livesum")
counter.inc(2); gauge.set(5)
if os.fork() == 0:
    counter.inc(3)
    os._exit(0)
os.wait()
if len(sys.argv) > 2:
    gauge.set(1)
    print(generate_latest(metrics.registry()).decode())
"""


def counted(folder: Path, *more: str) -> str:
    command = [sys.executable, "-c", COUNTING, str(folder), *more]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ}).stdout


def test_a_restarted_process_counts_on_in_the_same_files(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    for _ in range(3):
        counted(folder)
    files = sorted(path.name for path in folder.iterdir())
    found = values(counted(folder, "show"))
    assert found["persona_test_total"] == 4 * (2 + 3)
    assert found["persona_open"] == 1  # of the living alone
    assert sorted(path.name for path in folder.iterdir()) == [name for name in files if "gauge_livesum_1" not in name]
    assert {re.sub(r"\d+", "n", name) for name in files} == {"n.lock", "counter_n.db", "gauge_livesum_n.db"}
