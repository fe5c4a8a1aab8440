"""Nothing lost, nothing twice, nothing out of order: `python bench/stream_faults.py --minutes 2`. Exit code 1 if not.

Two web processes, a PostgreSQL and a Redis of its own on 127.0.0.1. 20 clients with different filters hang up at random
and come back to either process with the last id they saw; 3 writers, every third bell lost; meanwhile Redis, PostgreSQL
and the web processes are stopped and killed in turn.
"""

import argparse
import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from stream import free_port, wait_for  # noqa: E402 - found through the line above

from persona.running.embedded import Postgres  # noqa: E402 - as above

CLIENTS, WRITERS, LOST_BELLS, STAY = 20, 3, 1 / 3, 0.8
AWAY = (0.2, 3.0)  # seconds that something stays stopped


class Part:
    """A process that can be stopped, killed and started again at the same place."""

    def __init__(self, command: list[str], port: int) -> None:
        self.command, self.port = command, port
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, cwd=ROOT, stdout=subprocess.DEVNULL)
        wait_for(self.port)

    def end(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait()


class Blows:
    """What befalls the servers, one at a time, until `over`."""

    def __init__(self, postgres: Postgres, redis: Part, webs: list[Part], chance: random.Random) -> None:
        self.counts: dict[str, int] = {}
        self._chance = chance
        self._blows: dict[str, Callable[[], object]] = {
            "PostgreSQL restarted": lambda: self._away(postgres.stop, postgres.start),
            "Redis killed": lambda: self._away(lambda: redis.end(signal.SIGKILL), redis.start),
            "web stopped": lambda: self._web(webs, signal.SIGTERM),
            "web killed": lambda: self._web(webs, signal.SIGKILL),
        }

    def strike(self) -> None:
        name = self._chance.choice(list(self._blows))
        self._blows[name]()
        self.counts[name] = self.counts.get(name, 0) + 1

    def _away(self, stop: Callable[[], object], start: Callable[[], object]) -> None:
        stop()
        time.sleep(self._chance.uniform(*AWAY))
        start()

    def _web(self, webs: list[Part], number: int) -> None:
        web = self._chance.choice(webs)
        self._away(lambda: web.end(number), web.start)


@contextmanager
def stage() -> Iterator[tuple[Postgres, Part, list[Part]]]:
    """The servers, and Django set up for them."""
    from persona.running import programs

    base = Path(tempfile.mkdtemp(prefix="persona-bench-"))
    base.chmod(0o755)
    with ExitStack() as held:
        held.callback(shutil.rmtree, base, ignore_errors=True)
        postgres = Postgres(base, durable=True).start()
        held.callback(postgres.stop)
        port = free_port()
        redis = Part(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""], port)
        held.callback(lambda: redis.end())
        os.environ |= {"DATABASE_URL": postgres.dsn(), "REDIS_URL": f"redis://127.0.0.1:{port}/0"}
        os.environ |= {"DJANGO_SETTINGS_MODULE": "persona.settings", "PERSONA_SECRET_KEY": "bench" * 10}
        os.environ |= {
            "PERSONA_HOME": str(base),
            "PERSONA_LOG_LEVEL": os.environ.get("PERSONA_LOG_LEVEL", "CRITICAL"),
            "PERSONA_STREAM_HEARTBEAT": "2",
        }
        django.setup()
        from django.core.management import call_command  # models need the line above

        call_command("migrate", verbosity=0)
        webs = [Part(programs.web("127.0.0.1", port), port) for port in (free_port(), free_port())]
        for web in webs:
            held.callback(web.end)
        yield postgres, redis, webs


def run(minutes: float, seed: int) -> int:
    """0 when every client was told everything once and in order."""
    with stage() as (postgres, redis, webs):
        from django.db import connection

        from keys.models import Project
        from segments.models import Persona
        from tests.stream import ordeal
        from tests.stream.shop import Shop

        project = Project.objects.create(slug="bench", name="bench")
        shop = Shop(project)
        rare = Persona.objects.create(project=project, slug="rare", name="rare", rule={}, status="live")
        chance = random.Random(seed)
        clients = [
            ordeal.Client([web.port for web in webs], shop.sk, wish, chance=random.Random(chance.random()), stay=STAY)
            for _, wish in zip(range(CLIENTS), ordeal.WISHES * CLIENTS, strict=False)
        ]
        blows = Blows(postgres, redis, webs, chance)
        end: list[int] = []
        heard = threading.Event()

        def direct() -> None:
            until = time.monotonic() + minutes * 60

            def goes_on() -> bool:
                return time.monotonic() < until

            given = [(shop, rare, random.Random(chance.random()), goes_on) for _ in range(WRITERS)]
            writers = [
                threading.Thread(target=ordeal.write, args=one, kwargs={"lost_bells": LOST_BELLS, "pause": 0.02})
                for one in given
            ]
            for writer in writers:
                writer.start()
            while goes_on():
                time.sleep(chance.uniform(0.5, 3))
                blows.strike()
            for writer in writers:
                writer.join()
            end.append(shop.append(ring=False))
            heard.wait()  # PostgreSQL ends with the thread that started it

        def direct_or_die() -> None:
            try:
                direct()
            except BaseException as error:
                print(f"the servers could not be directed: {error!r}", flush=True)
                os.kill(os.getpid(), signal.SIGINT)
                raise

        directing = threading.Thread(target=direct_or_die)
        directing.start()
        try:
            asyncio.run(ordeal.all_of(clients, lambda: end[0] if end else None))
        except TimeoutError as error:
            print(f"never served to the end: {error}")
        connection.close()  # it has seen restarts
        rows = ordeal.rows_of(shop)
        heard.set()
        directing.join()
        faults = [fault for client in clients for fault in client.faults(rows)]
        told = sum(len(client.told) for client in clients)
        print(f"seed {seed}: {len(rows)} changes, {told} frames to {CLIENTS} clients; {blows.counts}")
        print(
            f"{sum(client.connections for client in clients)} connections, "
            f"{sum(client.refusals for client in clients)} refused; faults: {faults or 'none'}"
        )
        return 1 if faults else 0


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--minutes", type=float, default=2.0)
    arguments.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    given = arguments.parse_args()
    return run(given.minutes, given.seed)


if __name__ == "__main__":
    raise SystemExit(main())
