"""The server's way in: exact hot paths and probes go past Django, everything else to a place of Django's."""

import asyncio
import gc
import os
from typing import cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "persona.settings")
django_application = get_asgi_application()  # sets Django up, which the imports below need

from ingestion.accepting.inbox import inbox  # noqa: E402 - after the set-up
from ingestion.accepting.pressure import pressure  # noqa: E402 - after the set-up
from ingestion.api.ingest import INGEST  # noqa: E402 - after the set-up
from ingestion.wires import DOORS  # noqa: E402 - after the set-up
from persona import errors  # noqa: E402 - after the set-up
from persona.config import CONFIG  # noqa: E402 - after the set-up
from persona.health.probes import HEALTH, READY  # noqa: E402 - after the set-up
from persona.lib.wire import Receive, Scope, Send  # noqa: E402 - after the set-up
from persona.places import Application, Places  # noqa: E402 - after the set-up
from persona.serving.shortcut import WAYS  # noqa: E402 - after the set-up
from segments import publisher  # noqa: E402 - after the set-up
from segments.streaming import desk  # noqa: E402 - after the set-up
from segments.streaming import route as stream  # noqa: E402 - after the set-up

PIPELINE = "/api/v2/pipeline"
elsewhere = Places(
    cast("Application", django_application), places=settings.PERSONA_REQUEST_THREADS, refused=errors.before_django
)
EXACT: dict[str, Application] = {
    **{f"{path}{slash}": door.app for path, door in (("/health", HEALTH), ("/ready", READY)) for slash in ("", "/")},
    **{
        f"{PIPELINE}/{name}{slash}": app
        for name, app in (
            ("ingest", INGEST.app),
            ("config", CONFIG.app),
            ("stream", stream.app),
            ("stream/tickets", desk.DESK.app),
        )
        for slash in ("", "/")
    },
    **{f"{path}{slash}": door.app for path, door in DOORS.items() for slash in ("", "/")},
}
WAYS.update(
    {
        f"{path}{slash}".encode(): door
        for path, door in {f"{PIPELINE}/ingest": INGEST, **DOORS}.items()
        for slash in ("", "/")
    }
)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application."""
    if scope["type"] == "http":
        await EXACT.get(scope["path"], elsewhere)(scope, receive, send)
    elif scope["type"] == "lifespan":
        await lifespan(receive, send)


async def lifespan(receive: Receive, send: Send) -> None:
    """The inbox and the publisher live as long as the server. On the way out every accepted batch is committed."""
    # What is there now stays: it is not looked through again. And new objects not after every 700 of them, which a few
    # dozen requests at once reach: hardly any is part of a cycle.
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    while (message := await receive())["type"] != "lifespan.shutdown":
        inbox.start(asyncio.get_running_loop())
        pressure.start()
        publisher.start(timers=True)
        await send({"type": f"{message['type']}.complete"})
    pressure.stop()
    await sync_to_async(inbox.stop, thread_sensitive=False)()
    await send({"type": "lifespan.shutdown.complete"})
