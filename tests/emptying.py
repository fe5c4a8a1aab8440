"""A pytest plugin: after a test that commits, the rows it has left are deleted.

Django's own way truncates every table it manages, rows or none, and then makes permissions anew: a tenth of a second of
processor time after each such test, and longer where the disk is slow. It does not know the bulk tables at all. And it
closes the connection: nothing that a test does to it outlives its transaction, so the next one gets the same.
"""

from typing import Any

import pytest
from django.db import connections
from django.test import TransactionTestCase

# What migrations have put there, and no test changes.
KEPT = ("django_migrations", "django_content_type", "auth_permission")
# A table that has grown is truncated: each look for rows would meet those that are dead. Only one that nobody refers to
# can be, alone.
EMPTY = f"""
do $$
declare name regclass; large boolean; filled boolean;
begin
    for name, large in
        select oid, pg_relation_size(oid) > 500000
            and not exists (select from pg_constraint where confrelid = c.oid and contype = 'f')
        from pg_class c
        where relkind = 'r' and relnamespace = 'public'::regnamespace and relname not in {KEPT}
            and pg_relation_size(oid) > 0
    loop
        if large then
            execute format('truncate %s', name);
        else
            execute format('select exists (select from %s)', name) into filled;
            if filled then
                execute format('delete from %s', name);
            end if;
        end if;
    end loop;
end $$
"""


def _emptied(case: Any) -> None:
    for alias in case._databases_names(include_mirrors=False):
        with connections[alias].cursor() as cursor:
            cursor.execute(EMPTY)
        connections[alias].close_if_unusable_or_obsolete()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart() -> None:
    TransactionTestCase._fixture_teardown = _emptied  # type: ignore[attr-defined]  # the stubs name only what is public
    TransactionTestCase._should_reload_connections = lambda _: False  # type: ignore[attr-defined]  # the same
