"""Everything at once, small: reconnects, writers, lost bells, two processes, a database that cuts its connections."""

import asyncio
import random
import threading

from django.db import connection
from pytest_django import Settings

from segments.models import Persona
from tests.stream import ordeal
from tests.stream.listening import Frame
from tests.stream.serving import served
from tests.stream.shop import Shop

CLIENTS, ROUNDS, CUTS = 20, 60, 2


def test_nothing_lost_nothing_twice_nothing_out_of_order(shop: Shop, port: int, settings: Settings) -> None:
    settings.PERSONA_STREAM_HEARTBEAT = 0.3
    rare = Persona.objects.create(project=shop.project, slug="rare", name="rare", rule={}, status="live")
    end: list[int] = []
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        (ours,) = cursor.fetchone()

    def write(seed: int) -> None:
        rounds = iter(range(ROUNDS))
        ordeal.write(shop, rare, random.Random(seed), lambda: next(rounds, None) is not None, lost_bells=0.3)

    def cut() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid not in (pg_backend_pid(), %s)",
                [ours],
            )

    def direct() -> None:
        for part in range(CUTS):
            wave = [threading.Thread(target=write, args=(part * 10 + seed,)) for seed in range(3)]
            for writer in wave:
                writer.start()
            cut()
            for writer in wave:
                writer.join()
        end.append(shop.append(ring=False))
        connection.close()

    with served() as another:
        clients = [
            ordeal.Client((port, another), shop.sk, wish, chance=random.Random(number), stay=0.05)
            for number, wish in zip(range(CLIENTS), ordeal.WISHES * CLIENTS, strict=False)
        ]
        directing = threading.Thread(target=direct)
        directing.start()
        asyncio.run(ordeal.all_of(clients, lambda: end[0] if end else None))
        directing.join()
    rows = ordeal.rows_of(shop)
    assert [fault for client in clients for fault in client.faults(rows)] == []
    assert sum(client.connections for client in clients) > 3 * CLIENTS


def test_a_fault_would_be_seen(shop: Shop) -> None:
    """The judge himself: a row less, a row twice and two rows exchanged are all found."""
    shop.append(5)
    rows = ordeal.rows_of(shop)
    client = ordeal.Client((), "", ordeal.WISHES[0], chance=random.Random(0), stay=1)
    told = [Frame(row.seq, "segment.updated", {"persona": row.persona, "op": row.op}) for row in rows]
    for wrong in (told[1:], [*told, told[-1]], [told[1], told[0], *told[2:]], []):
        client.told = list(wrong)
        assert client.faults(rows)
    client.told = told
    assert client.faults(rows) == []
