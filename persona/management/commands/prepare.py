"""The part of `up` that ends: reach the servers, migrate, make the demo project."""

import sys
from typing import Any

import msgspec
from django.conf import settings
from django.core.checks import Tags
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor
from kombu import Connection
from kombu.exceptions import OperationalError as BrokerError
from redis import Redis, RedisError

from persona import broker
from persona.demo import project as demo
from persona.lib import env
from persona.lib.log import redact
from persona.running.home import Access, Unusable

PATIENCE = 5  # seconds for a server to answer


class Command(BaseCommand):
    help = (
        "Used by `up`: migrate and make the demo project. Reads the last run's access on stdin, writes the valid one."
    )
    requires_system_checks = ()

    def handle(self, *_: Any, **__: Any) -> None:
        earlier = msgspec.json.decode(sys.stdin.buffer.read(), type=Access | None)
        try:
            access = self._prepared(earlier)
        except Unusable as error:
            _say(str(error))
            sys.exit(1)
        except DatabaseError as error:
            _say(f"PostgreSQL: {_line(error)}")
            sys.exit(1)
        sys.stdout.buffer.write(msgspec.json.encode(access))

    def _prepared(self, earlier: Access | None) -> Access:
        _reach_databases()
        _reach_broker()
        self.check(tags=[Tags.security])  # the others need every page and form loaded; `manage.py check` does that
        _migrate()
        seeded = demo.seed(earlier, with_personas=env.flag("PERSONA_DEMO", default=True))
        for note in seeded.notes:
            _say(note)
        return seeded.access


def _say(text: str) -> None:
    print(f"persona: {text}", file=sys.stderr, flush=True)


def _line(error: BaseException) -> str:
    """The first line of what was said, without credentials."""
    words = [line.strip() for line in str(error).splitlines() if line.strip()]
    return redact(words[0]) if words else type(error).__name__


def _reach_databases() -> None:
    for alias in connections:
        try:
            connections[alias].ensure_connection()
        except DatabaseError as error:
            variable = "DATABASE_URL" if alias == "default" else f"{alias.upper()}_DATABASE_URL"
            raise Unusable(f"{variable} cannot be used: {_line(error)}") from None


def _reach_broker() -> None:
    if settings.REDIS_URL:
        try:
            Redis.from_url(settings.REDIS_URL, socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE).ping()
        except (RedisError, ValueError) as error:
            raise Unusable(f"REDIS_URL cannot be used: {_line(error)}") from None
    if settings.CELERY_BROKER_URL == settings.REDIS_URL or broker.embedded():
        return
    try:
        with Connection(settings.CELERY_BROKER_URL, connect_timeout=PATIENCE) as queue:
            queue.ensure_connection(max_retries=1, timeout=PATIENCE)
    except (BrokerError, OSError, KeyError, ValueError) as error:
        raise Unusable(f"CELERY_BROKER_URL cannot be used: {_line(error)}") from None


def _migrate() -> None:
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if waiting:
        _say(f"applying {len(waiting)} migrations")
        with connection.cursor() as cursor:
            # A hundred commits need not wait for the disk each: what a crash took of them would be applied again, and
            # the next commit of any session puts them all on the disk.
            cursor.execute("set synchronous_commit = off")
            call_command("migrate", interactive=False, stdout=sys.stderr)
            cursor.execute("reset synchronous_commit")
    broker.install()
