"""What a webhook signs is what Stripe's verifiers accept: that of npm here, that of PyPI in tests/delivery."""

import json
import shutil
import subprocess
import time
from typing import Any

import pytest

from persona.lib.signing import signature
from tests.interop.conftest import CLIENTS, NODE_MODULES

BODY = '{"id":"shop-1","persona":"früher"}'
OLD, NEW = "whsec_former", "whsec_current"
REFUSED = "StripeSignatureVerificationError"


def verified(*cases: dict[str, Any]) -> list[str]:
    if shutil.which("node") is None or not (NODE_MODULES / "stripe").exists():
        pytest.skip("Node.js and Stripe's client are needed: make interop")
    done = subprocess.run(
        ["node", CLIENTS / "stripe.mjs"],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return list(json.loads(done.stdout))


def case(header: str, secret: str = NEW, *, body: str = BODY, at: int | None = None) -> dict[str, Any]:
    return {"body": body, "header": header, "secret": secret, "at": at}


def test_stripes_verifier_accepts_what_we_sign_and_nothing_else() -> None:
    now = int(time.time())
    plain, both = signature([NEW], BODY.encode(), now=now), signature([NEW, OLD], BODY.encode(), now=now)
    stale = signature([NEW], BODY.encode(), now=now - 301)
    assert verified(
        case(plain),
        case(both),
        case(both, OLD),  # during a rotation the former secret verifies too
        case(plain, OLD),
        case(plain, body=BODY + " "),
        case(plain.replace(str(now), str(now - 1))),
        case(stale),
        case(plain, at=(now + 301) * 1000),  # the same request, seen again later
    ) == ["good", "good", "good", REFUSED, REFUSED, REFUSED, REFUSED, REFUSED]
