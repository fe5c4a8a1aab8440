"""The server's way in: exact hot paths go past Django, everything else to Django."""

import os
from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "persona.settings")
os.environ.setdefault("PERSONA_DATABASE_POOL", "10")
django_application = get_asgi_application()  # sets Django up, which the imports below need

from ingestion.api import INGEST  # noqa: E402 - after the set-up
from ingestion.inbox import inbox  # noqa: E402 - after the set-up
from persona.config import CONFIG  # noqa: E402 - after the set-up
from persona.lib.wire import Receive, Scope, Send  # noqa: E402 - after the set-up
from segments import publisher  # noqa: E402 - after the set-up
from segments.streaming import route as stream  # noqa: E402 - after the set-up

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PIPELINE = "/api/v2/pipeline"
elsewhere = cast("Application", django_application)
EXACT: dict[str, Application] = {
    f"{PIPELINE}/{name}{slash}": app
    for name, app in (("ingest", INGEST.app), ("config", CONFIG.app), ("stream", stream.app))
    for slash in ("", "/")
}


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application."""
    if scope["type"] == "http":
        await EXACT.get(scope["path"], elsewhere)(scope, receive, send)
    elif scope["type"] == "lifespan":
        await lifespan(receive, send)


async def lifespan(receive: Receive, send: Send) -> None:
    """The inbox and the publisher live as long as the server. On the way out every accepted batch is committed."""
    while (message := await receive())["type"] != "lifespan.shutdown":
        inbox.start()
        publisher.start()
        await send({"type": f"{message['type']}.complete"})
    await sync_to_async(inbox.stop, thread_sensitive=False)()
    await send({"type": "lifespan.shutdown.complete"})
