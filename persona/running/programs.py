"""Which programs an installation consists of: their commands, and how each shows that it does its work."""

import http.client
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from persona.lib import env
from persona.running.children import Child
from persona.running.home import Access
from persona.running.starting import Start


def web(bind: str, port: int) -> list[str]:
    """`--lifespan on`: the inbox's flusher starts and ends with the server. Open streams get three seconds to end."""
    return [
        sys.executable, "-m", "uvicorn", "persona.asgi:application", "--host", bind, "--port", str(port),
        "--loop", "uvloop", "--http", "persona.serving.shortcut:ShortProtocol", "--lifespan", "on",
        "--timeout-graceful-shutdown", "3", "--no-access-log", "--no-server-header", "--log-level", "warning",
    ]  # fmt: skip


def celery(*words: str) -> list[str]:
    return [sys.executable, "-m", "celery", "--quiet", "-A", "persona.celery", *words]


def worker(name: str, queue: str, *, pool: str = "prefork") -> list[str]:
    """One process for a queue; several workers of this kind may run side by side.

    pool: `threads` where tasks wait for others more than they work: half the memory, and no limit to their time.
    """
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    return celery("worker", "-P", pool, "-c", "1", "-Q", queue, "-n", f"{name}@%h", *quiet)


def _live_workers() -> list[str]:
    """worker, worker2 and so on. Raises BadEnvironment."""
    wanted = env.number("PERSONA_WORKERS", 1, least=1, most=64)
    return ["worker", *(f"worker{number}" for number in range(2, wanted + 1))]


def beat() -> list[str]:
    """The schedule in memory: a file of it could be torn by a crash, and nothing in it is worth keeping."""
    return celery("beat", "-S", "celery.beat:Scheduler", "--pidfile=")


def children(*, start: Start, environ: Mapping[str, str], home: Path, bind: str, port: int) -> list[Child]:
    """Everything that `up` runs above PostgreSQL."""
    signs = home / "ready"
    signs.mkdir(exist_ok=True)

    def celery_child(name: str, command: list[str]) -> Child:
        sign = signs / name
        # `prepare` has run the checks for all.
        more = {"PERSONA_READY_FILE": str(sign), "CELERY_SKIP_CHECKS": "1"}
        return Child(name, command, start=start, env={**environ, **more}, ready=partial(_signed, sign))

    return [
        Child("web", web(bind, port), start=start, env=environ, ready=lambda _: _answers(bind, port)),
        *(celery_child(name, worker(name, "live")) for name in _live_workers()),
        celery_child("bulk", worker("bulk", "bulk")),
        celery_child("deliver", worker("deliver", "deliver", pool="threads")),
        celery_child("beat", beat()),
    ]


def traffic(*, start: Start, environ: Mapping[str, str], url: str, access: Access) -> list[Child]:
    """The demo shop's visitors, unless they are not wanted. Started when the rest is ready."""
    if not (env.flag("PERSONA_DEMO", default=True) and env.flag("PERSONA_DEMO_TRAFFIC", default=True)):
        return []
    way_in = {"PERSONA_URL": url, "PERSONA_KEY": access.publishable_key}
    command = [sys.executable, "-m", "persona.demo.traffic"]
    return [Child("traffic", command, start=start, env={**environ, **way_in}, ready=lambda _: True)]


def reachable(bind: str) -> str:
    """The address at which a server bound to `bind` is reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104 - translated, not bound


def _signed(sign: Path, child: Child) -> bool:
    """Has this very process written its sign (persona.celery does when its broker is reached)?"""
    return sign.exists() and sign.read_text() == str(child.pid)


def _answers(bind: str, port: int) -> bool:
    connection = http.client.HTTPConnection(reachable(bind), port, timeout=1)
    try:
        connection.request("GET", "/ready", headers={"Host": "localhost"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
