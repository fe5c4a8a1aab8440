"""`POST /api/ingestion/shopify/<slug>/`: without a key; Shopify signs the body with a secret that it shares with us."""

import base64
import hashlib
import hmac
from functools import partial

from ingestion.accepting import edge
from ingestion.accepting.caller import Headers, Reply
from ingestion.accepting.door import Door
from ingestion.dialects import shopify
from keys import refusals, shared
from keys.models import Project
from keys.principal import Principal
from keys.refusals import refusal

SIGNED = "x-shopify-hmac-sha256"


def door_of(slug: str) -> Door:
    """The way in for the webhooks of one shop."""
    return Door(
        methods=("POST",),
        behind=partial(receive, slug),
        refused=shopify.refused,
        body_bytes=shopify.LIMITS.body_bytes,
        too_large=partial(edge.too_large, shopify),
        keyed=False,
    )


def receive(slug: str, headers: Headers, body: bytes) -> Reply:
    """Waits for the database: for threads. Raises Problem 401; the same whether the project exists or not."""
    project = Project.objects.filter(slug=slug).first()
    secrets = [] if project is None else shared.values(project.pk, shared.Kind.SHOPIFY)
    if project is None or not signed(body, headers.get(SIGNED, ""), secrets):
        raise refusal(refusals.SIGNATURE)
    text = shopify.delivered(
        body,
        topic=headers.get("x-shopify-topic") or "unknown",
        webhook_id=headers.get("x-shopify-webhook-id") or f"shopify.{headers.get('x-shopify-topic')}.{headers[SIGNED]}",
        triggered_at=headers.get("x-shopify-triggered-at"),
    )
    return edge.take(shopify, None, text, _principal(project))


def signed(body: bytes, given: str, secrets: list[bytes]) -> bool:
    """Whether one of `secrets` made the signature `given` of `body`. Takes the same time whichever did."""
    expected = [base64.b64encode(hmac.digest(secret, body, hashlib.sha256)) for secret in secrets]
    return any([hmac.compare_digest(given.encode(), one) for one in expected])  # noqa: C419 - all, for the same time


def _principal(project: Project) -> Principal:
    """Shopify as a caller: without a key, at a rate limit of its own."""
    return Principal(
        project_id=project.pk, project=project.slug, mode="live", key_id=-project.pk, kind="sk", lookup="shopify",
        origins=frozenset(), scopes=frozenset({edge.SEND_EVENTS}), expires_at=None, options=project.options,
    )  # fmt: skip
