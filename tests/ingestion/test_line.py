"""What a turn's cursors make of statements, errors and interruptions."""

from collections.abc import Iterator

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from psycopg.types.json import Jsonb

from ingestion.applying.cursors import Cursor, bulk_cursor, bulk_transaction
from ingestion.applying.line import KEPT, Line, line_of, text_of

PREPARED = "select statement from pg_prepared_statements where name like 'line%%'"


@pytest.fixture
def cursor() -> Iterator[Cursor]:
    with bulk_cursor() as one:
        yield one


@pytest.mark.parametrize(
    ("statement", "sql", "names"),
    [
        ("select 1", b"select 1", None),
        ("select %s, %b::bytea", b"select $1, $2::bytea", None),
        ("select %(a)s, %(b)s, %(a)s", b"select $1, $2, $1", ("a", "b")),
        ("select 5 %% 2, '100%%', %s", b"select 5 % 2, '100%', $1", None),
    ],
)
def test_parameters_have_numbers(statement: str, sql: bytes, names: tuple[str, ...] | None) -> None:
    assert text_of(statement)[:2] == (sql, names)


@pytest.mark.django_db
def test_values_come_back_as_what_they_were(cursor: Cursor) -> None:
    values = [7, 2**40, "déjà vu", b"\x00\xff", True, None, [1, 2], ["a", None], {"n": 1.5}]
    given = [*values[:-1], Jsonb(values[-1])]
    asked = "%s::int, %s::bigint, %s::text, %b::bytea, %s::bool, %s::text, %s::int[], %s::text[], %s::jsonb"
    for _ in range(4):  # plain, and then prepared
        assert cursor.execute(f"select {asked}", given).fetchone() == tuple(values)
    assert cursor.execute("select i from generate_series(1, %s) i", [3]).fetchall() == [(1,), (2,), (3,)]
    assert cursor.rowcount == 3
    with pytest.raises(psycopg.ProgrammingError, match="1 parameters are wanted, and 2 given"):
        cursor.execute("select %s::int", [1, 2])


@pytest.mark.django_db
def test_what_goes_together_is_there_at_the_end(cursor: Cursor) -> None:
    with bulk_cursor() as other, cursor.together():
        cursor.execute("select 1")
        cursor.hurry()
        other.execute("select %s::text", ["x" * 5_000_000])  # more than the sockets hold, both ways
        with pytest.raises(psycopg.ProgrammingError):
            cursor.fetchall()
    assert (cursor.fetchall(), len(other.fetchall()[0][0])) == ([(1,)], 5_000_000)


@pytest.mark.django_db
def test_a_statement_is_prepared_at_its_third_use_unless_a_pooler_stands_between(
    cursor: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def uses(statement: str, times: int) -> bool:
        for _ in range(times):
            cursor.execute(statement)
        return (statement,) in cursor.execute(PREPARED).fetchall()

    assert not uses("select 'often'", 2)
    assert uses("select 'often'", 1)
    monkeypatch.setattr(line_of(cursor.connection), "least", None)
    assert not uses("select 'never'", 5)


@pytest.mark.django_db
def test_what_is_prepared_stays_whatever_psycopg_does(cursor: Cursor) -> None:
    """It drops everything when a table goes, or at a rollback, if it has prepared something itself."""
    with psycopg.Cursor(cursor.connection) as own:
        own.executemany("select %s::int", [(1,), (2,)])
        for _ in range(4):
            cursor.execute("select 'kept'")
        own.execute("create temporary table short_lived ()").execute("drop table short_lived").execute("select 1")
    assert cursor.execute("select 'kept'").fetchall() == [("kept",)]


@pytest.mark.django_db
def test_statements_that_never_come_again_keep_no_other_from_being_prepared(cursor: Cursor) -> None:
    with cursor.together():
        for number in range(KEPT + 1):
            cursor.execute(f"select {number} as once")
    for _ in range(3):
        cursor.execute("select 'after them'")
    assert ("select 'after them'",) in cursor.execute(PREPARED).fetchall()


@pytest.mark.django_db
def test_who_failed_has_no_rows(cursor: Cursor) -> None:
    def fail(*cursors: Cursor) -> None:
        with transaction.atomic(), cursor.together():
            for one in cursors:
                one.execute("select 1 / 0")

    with bulk_cursor() as after:
        with pytest.raises(psycopg.errors.DivisionByZero):
            fail(cursor, after)
        for one in (cursor, after):
            with pytest.raises(psycopg.ProgrammingError, match="nothing was asked"):
                one.fetchall()
    assert cursor.execute("select 2").fetchall() == [(2,)]  # the savepoint's end has mended the transaction


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("outdated_by", "error"),
    [
        ("discard all", psycopg.errors.InvalidSqlStatementName),
        ("alter table seen alter n type text", psycopg.errors.FeatureNotSupported),
    ],
)
def test_what_was_prepared_and_is_no_longer_true_fails_once(outdated_by: str, error: type[psycopg.Error]) -> None:
    def seen() -> list[tuple[object, ...]]:
        with bulk_transaction() as cursor:
            return cursor.execute("select n::text, n from seen").fetchall()

    def told(*statements: str) -> None:
        with connection.cursor() as own:
            for statement in statements:
                own.execute(statement)

    told("create table seen as select 1 as n")
    try:
        for _ in range(4):
            assert seen() == [("1", 1)]
        told(outdated_by)
        with pytest.raises(DatabaseError) as raised:
            seen()
        assert isinstance(raised.value.__cause__, error)
        for _ in range(4):
            assert seen()[0][0] == "1"
    finally:
        told("drop table seen")
        connection.close()  # whose settings are gone too


def divided(*by: int) -> list[tuple[int, ...]]:
    with bulk_transaction() as cursor, bulk_cursor() as other, cursor.together():
        other.execute("create table left_behind ()")
        for number in by:
            cursor.execute("select 1 / %s::int", [number])
        other.execute("drop table left_behind")
    return cursor.fetchall()


@pytest.mark.django_db(transaction=True)
def test_an_error_ends_the_transaction_and_not_the_connection() -> None:
    with bulk_cursor() as before:
        kept = before.connection
    for _ in range(3):  # the third time they are prepared
        with pytest.raises(DatabaseError) as raised:
            divided(1, 0, 1)
        assert isinstance(raised.value.__cause__, psycopg.errors.DivisionByZero)
    with pytest.raises(DatabaseError):
        divided(1, 2**40)  # what is already said is answered all the same
    assert divided(1) == [(1,)]
    with bulk_cursor() as after:
        assert after.connection is kept


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("more", [0, 3_000_000], ids=["alone", "with more on its way"])
def test_a_connection_that_is_lost_is_an_error_of_the_database_and_made_anew(more: int) -> None:
    def lost() -> None:
        with bulk_transaction() as cursor, cursor.together():
            cursor.execute("select pg_terminate_backend(pg_backend_pid())")
            cursor.hurry()
            cursor.execute("select %s::text", ["x" * more])

    with pytest.raises(DatabaseError):
        lost()
    assert divided(1) == [(1,)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statement", ["copy (select 1) to stdout", "copy django_session from stdin"])
def test_what_a_line_cannot_carry_is_refused(statement: str) -> None:
    with pytest.raises(DatabaseError, match="COPY"), bulk_transaction() as cursor:
        cursor.execute(statement)
    assert divided(1) == [(1,)]


@pytest.mark.django_db(transaction=True)
def test_what_others_ask_of_the_connection_in_between_is_an_error_that_it_survives() -> None:
    def in_between() -> None:
        with bulk_transaction() as cursor, cursor.together(), connection.cursor() as own:
            cursor.execute("select 1")
            own.execute("select 2")

    with pytest.raises(DatabaseError, match="pipeline mode"):
        in_between()
    with connection.cursor() as own:
        own.execute("select 3")
        assert own.fetchone() == (3,)
    assert divided(1) == [(1,)]


@pytest.mark.django_db(transaction=True)
def test_who_is_interrupted_in_the_middle_of_an_answer_leaves_no_connection_to_go_on_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_: object) -> Iterator[psycopg.pq.abc.PGresult]:
        raise KeyboardInterrupt

    with bulk_cursor() as before:
        left = before.connection
    with monkeypatch.context() as patch:
        patch.setattr(Line, "_results", interrupted)
        with pytest.raises(KeyboardInterrupt):
            divided(1)
    assert left.closed
    assert divided(1) == [(1,)]
