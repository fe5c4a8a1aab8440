"""What delivery does when something happens below it."""

import time
from collections.abc import Collection
from typing import Any

from django.dispatch import receiver

from delivery.models import Destination
from delivery.tasks import DELIVER
from segments import publisher
from segments.signals import logged, would_tell

KNOWN_SECONDS = 1.0  # beat looks every second anyway

_listening: set[int] = set()
_looked_at = 0.0


@receiver(logged, dispatch_uid="delivery.wake")
def wake(project_id: int, **_: Any) -> None:
    """Changes were logged: somebody to deliver them, please, if the project has anybody to tell."""
    global _listening, _looked_at
    if time.monotonic() - _looked_at > KNOWN_SECONDS:
        active = Destination.objects.filter(status=Destination.Status.ACTIVE, kind=Destination.Kind.WEBHOOK)
        _listening = set(active.values_list("project_id", flat=True).distinct())
        _looked_at = time.monotonic()
    if project_id in _listening:
        publisher.wake(DELIVER)


@receiver(would_tell, dispatch_uid="delivery.would_tell")
def would_be_told(project_id: int, persona: str, ops: Collection[str], **_: Any) -> list[str]:
    """The webhooks whose filters let these changes through. A paused one is among them: it gets them later."""
    webhooks = Destination.objects.filter(project_id=project_id, kind=Destination.Kind.WEBHOOK)
    return [
        one.name
        for one in webhooks
        if (not one.personas or persona in one.personas) and (not one.ops or set(one.ops) & set(ops))
    ]
