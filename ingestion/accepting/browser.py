"""`GET /v1/projects/<key>/settings`: what Segment's browser library asks its CDN before anything else."""

from functools import partial
from urllib.parse import urlsplit

import msgspec

from ingestion.accepting import edge
from ingestion.accepting.caller import Headers, Reply, for_caller
from ingestion.accepting.door import Door
from ingestion.dialects import segment
from keys import refusals
from keys.principal import Principal
from keys.refusals import refusal
from persona.lib.wire import Answer


def door_of(key: str, base: str) -> Door:
    """key: the one in the address; base: where this server was asked, `https://host`."""
    return Door(methods=("GET", "HEAD"), behind=partial(settings, key, base), refused=segment.refused)


def settings(key: str, base: str, headers: Headers, _: bytes) -> Reply:
    """Only Segment.io as a destination, and that is this server. Raises nothing; 401 and 403 as anywhere."""
    asking = {**headers, "authorization": f"Bearer {key}"}
    step = partial(_said, key, base)
    return for_caller(asking, scope=edge.SEND_EVENTS, way="config", step=step, refused=segment.refused)


def _said(key: str, base: str, principal: Principal) -> Answer:
    if principal.kind != "pk":
        raise refusal(refusals.WRONG_KIND, "A secret key has no place in an address. Use a publishable key (pk_).")
    where = urlsplit(base)
    ours = {"apiKey": key, "apiHost": f"{where.netloc}/v1", "protocol": where.scheme, "addBundledMetadata": True}
    document = {
        "integrations": {"Segment.io": {**ours, "unbundledIntegrations": [], "versionSettings": {"version": "4.4.7"}}},
        "plan": {"track": {"__default": {"enabled": True}}, "identify": {"__default": {"enabled": True}}},
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "metrics": {"sampleRate": 0},
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
    }
    return Answer(200, msgspec.json.encode(document), headers=(("cache-control", "private, max-age=60"),))
