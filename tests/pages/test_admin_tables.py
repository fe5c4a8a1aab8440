"""Every table of the admin: its list and the page of a row cost the same number of queries however many rows there are,
no list counts or sorts a whole table, and rows lead to the pages about them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from delivery.models import Attempt, Destination
from ingestion.models import Alias, Batch, DeadLetter, Profile
from keys import services
from keys.audit import record
from keys.models import ApiKey, AuditEntry, Member, Project
from segments.models import Persona, PersonaVersion
from tests.pages import rows

MOST_QUERIES = 12
Make = Callable[[Project, User, int], object]


def user(project: Project, alice: User, n: int) -> User:
    return User.objects.create_user(f"user-{n}")


def member(project: Project, alice: User, n: int) -> Member:
    return Member.objects.create(project=project, user=user(project, alice, n), role="viewer")


def profile(project: Project, alice: User, n: int) -> Profile:
    made = rows.make_profile(project, f"u_{n:018x}")
    Alias.objects.create(project=project, kind="user", external_id=f"user-{n}", profile_id=made.pk)
    return made


def version(project: Project, alice: User, n: int) -> PersonaVersion:
    return PersonaVersion.objects.create(persona=rows.make_persona(project, f"p-{n}"), version=1, rule={})


def destination(project: Project, alice: User, n: int) -> Destination:
    return Destination.objects.create(project=project, kind="webhook", name=f"hook {n}", url="https://x.example")


def attempt(project: Project, alice: User, n: int) -> Attempt:
    to = destination(project, alice, n)
    when = rows.now()
    return Attempt.objects.create(
        project=project, destination_id=to.pk, kind="change", status="dead", first_seq=n, seq=n, n=1, body="{}",
        next_at=when, created_at=when,
    )  # fmt: skip


def letter(project: Project, alice: User, n: int) -> DeadLetter:
    return DeadLetter.objects.create(
        project=project, batch_id=f"b_{n}", index=0, dialect="pipeline", code="event.invalid", detail="x",
        body=json.dumps({"event": n}).encode(), frame=b"", received_at=1, at=rows.now(),
    )  # fmt: skip


TABLES: dict[Any, Make] = {
    ApiKey: lambda project, alice, n: services.issue_key(project=project, kind="sk", name=f"key {n}", actor=alice)[0],
    Attempt: attempt,
    AuditEntry: lambda project, alice, n: record(project=project, actor=alice, action="test.made", target=str(n)),
    Batch: lambda project, alice, n: Batch.objects.create(
        project=project, batch_id=f"b_{n}", dialect="pipeline", n=1, received_at=1, body=b"{}", parked=True
    ),
    DeadLetter: letter,
    Destination: destination,
    Group: lambda project, alice, n: Group.objects.create(name=f"group {n}"),
    Member: member,
    Persona: lambda project, alice, n: rows.make_persona(project, f"p-{n}"),
    PersonaVersion: version,
    Profile: profile,
    Project: lambda project, alice, n: services.create_project(
        slug=f"project-{n}", name="More", mode="live", owner=alice, actor=alice
    ),
    User: user,
    UserSession: lambda project, alice, n: UserSession.objects.create(
        user=alice, ip="192.0.2.1", user_agent="x", session_key=f"session-{n}"
    ),
}
PAGES = {
    ApiKey: "/projects/shop/keys/",
    Attempt: "/projects/shop/deliveries/",
    AuditEntry: "/projects/shop/audit/",
    Batch: "/projects/shop/dead-letters/parked/",
    DeadLetter: "/projects/shop/dead-letters/",
    Destination: "/projects/shop/destinations/",
    Member: "/projects/shop/people/",
    Persona: "/projects/shop/personas/p-1/",
    PersonaVersion: "/projects/shop/personas/p-1/versions/",
    Profile: "/projects/shop/profiles/u_000000000000000001/",
    Project: "/projects/project-1/",
}


def statements(client: Client, address: str) -> tuple[list[str], str]:
    """What a page asks the database, and the page."""
    with CaptureQueriesContext(connection) as captured:
        answer = client.get(address)
    assert answer.status_code == 200
    return [query["sql"] for query in captured], answer.content.decode()


def test_every_table_is_tested() -> None:
    assert set(admin.site._registry) == set(TABLES)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_more_rows_cost_no_more_queries(table: Any, project: Project, alice: User, as_alice: Client) -> None:
    there = f"/admin/{table._meta.app_label}/{table._meta.model_name}/"
    TABLES[table](project, alice, 1)
    row = f"{there}{table.objects.order_by('pk')[0].pk}/change/"
    as_alice.get(row)  # what is learned once: content types, slugs
    few = [len(statements(as_alice, address)[0]) for address in (there, row)]
    for n in range(2, 9):
        TABLES[table](project, alice, n)
    asked, shown = statements(as_alice, there)
    assert [len(asked), len(statements(as_alice, row)[0])] == few
    assert max(few) <= MOST_QUERIES
    assert table is Group or all("LIMIT" in sql for sql in asked if "COUNT(" in sql)
    assert PAGES.get(table, "") in shown


@pytest.mark.parametrize("table", [Attempt, Batch, DeadLetter, Profile, AuditEntry], ids=lambda table: table.__name__)
def test_tables_that_grow_are_sorted_by_their_key_alone(table: Any, project: Project, as_alice: Client) -> None:
    """A click on a column, or an address made by hand, must not sort millions of rows."""
    there = f"/admin/{table._meta.app_label}/{table._meta.model_name}/?o=1.2.3"
    orders = [sql for sql in statements(as_alice, there)[0] if f'ORDER BY "{table._meta.db_table}"' in sql]
    assert orders
    assert all(f'ORDER BY "{table._meta.db_table}"."id" DESC' in sql for sql in orders)


def test_a_parked_batch_is_found_by_its_id_along_its_index(shop: Project, as_alice: Client) -> None:
    """Those that wait have none, however many they are."""
    for n, parked in enumerate((True, True, False)):
        Batch.objects.create(
            project=shop, batch_id=f"b_{n}", dialect="pipeline", n=1, received_at=1, body=b"{}", parked=parked
        )
    shown = [as_alice.get(f"/admin/ingestion/batch/?q=b_{n}").content.decode() for n in range(3)]
    assert [f"b_{n}</a>" in page for n, page in enumerate(shown)] == [True, True, False]
