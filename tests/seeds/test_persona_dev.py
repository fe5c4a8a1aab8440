"""The sentences of persona.dev's page about webhooks, files and keys.

Its runs, conversations, OpenAI and MCP wires are not built yet; their sentences belong to them.
"""

import hashlib
import hmac
import time
from pathlib import Path

import pytest
import yaml
from django.contrib.auth.models import User

from delivery import services
from keys.models import Project
from tests.api.conftest import Api, api, secret
from tests.delivery.conftest import deliver, inbox, visit, way_out
from tests.delivery.receiver import Receiver
from tests.segments.living import persona, viewed
from tests.transfer.test_commands import said

__all__ = ["api", "inbox", "secret", "way_out"]  # fixtures

pytestmark = pytest.mark.django_db


def verify(header: str, body: bytes, secret: str) -> None:
    """The verifier of the page, line by line: it reads the first two parts of the header and no more."""
    t, v1 = (part.split("=")[1] for part in header.split(",")[:2])
    expected = hmac.new(secret.encode(), f"{t}.".encode() + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(v1, expected):
        raise ValueError("invalid signature")
    if time.time() - int(t) > 300:
        raise ValueError("stale")


def test_verifying_signatures(project: Project, inbox: Receiver, alice: User) -> None:
    """ "Verifying signatures: const sig = req.headers["persona-signature"]; // "t=...,v1=..." " """
    persona(project, "seen", viewed(1))
    hook, secret = services.create_destination(project=project, kind="webhook", name="h", url=inbox.url, actor=alice)
    visit(project, "ann")
    deliver(hook)
    got = inbox.got[0]
    header = got.headers["persona-signature"]
    verify(header, got.body, secret)
    for altered, key in ((got.body + b" ", secret), (got.body, "whsec_other")):
        with pytest.raises(ValueError, match="invalid signature"):
            verify(header, altered, key)
    t = header.split(",")[0].partition("=")[2]
    with pytest.raises(ValueError, match="invalid signature"):
        verify(header.replace(t, str(int(t) - 301)), got.body, secret)


def test_pull_edit_and_push(project: Project, tmp_path: Path) -> None:
    """ "pull a persona to a local YAML file (round-trips with edit + push)" """
    persona(project, "seen", viewed(1))
    file = tmp_path / "bookseller.yml"
    file.write_text(said("export", "shop"))
    assert said("import", "shop", str(file)) == "Nothing differs.\n"
    edited = yaml.safe_load(file.read_text())
    edited["personas"][0]["name"] = "The bookseller"
    file.write_text(yaml.safe_dump(edited))
    assert said("import", "shop", str(file)) == "seen changed: name\n"


def test_keys_are_unmasked_once(api: Api) -> None:
    """ "Keys with pk_live_ prefix are unmasked once at creation and never again." """
    _, made = api.ask("POST", "keys", {"kind": "pk", "name": "site"})
    assert made["key"].startswith("pk_live_")
    assert made["key"] not in str(api.get("keys"))
    assert made["key"] not in str(api.get(f"keys/{made['lookup']}"))
