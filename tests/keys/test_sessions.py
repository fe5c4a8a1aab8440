"""Session tokens: what they say, for how long, and that nobody else can make them."""

import time
from collections.abc import Callable

import jwt
import pytest
from pytest_django import Settings

from keys import auth, sessions
from keys.models import Project
from keys.services import issue_key, revoke_key
from keys.sessions import Session
from persona.lib.problems import Problem

VECTOR = "a7eb36c5a0b7c9277674ae0a34b0d227a308362fff28922bb9f752a2c8a43d17"


def session(**given: object) -> Session:
    fields = {
        "project_id": 7, "key_id": 9, "kind": "pk", "mode": "live", "lookup": "pk_live_8Q2fabcd", "user_id": "u-1",
        "expires_at": int(time.time()) + 60,
    }  # fmt: skip
    return Session(**{**fields, **given})  # type: ignore[arg-type]  # the fields above, and what a test says


def refused(token: str) -> str:
    with pytest.raises(Problem) as caught:
        sessions.verified(token)
    assert caught.value.status == 401
    return caught.value.code


def test_a_token_says_what_was_put_in() -> None:
    for given in (session(), session(user_id=None, anonymous_id="a-1"), session(user_id=None, claimed_id="u-2")):
        assert sessions.verified(sessions.issued(given)) == given


def test_it_expires() -> None:
    assert refused(sessions.issued(session(expires_at=int(time.time()) - 1))) == "auth.invalid_session"


def unsigned(token: str) -> str:
    return jwt.encode({"aud": sessions.AUDIENCE, "user_id": "u-2"}, "", algorithm="none")


def with_another_key(token: str) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode({**claims, "user_id": "u-2"}, "another key of thirty-two characters", algorithm="HS256")


def with_another_body(token: str) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{sessions.issued(session(user_id='u-2')).split('.')[1]}.{signature}"


@pytest.mark.parametrize("forge", [unsigned, with_another_key, with_another_body])
def test_nobody_else_can_make_one(forge: Callable[[str], str]) -> None:
    assert refused(forge(sessions.issued(session()))) == "auth.invalid_session"


@pytest.mark.parametrize("text", ["a.b.c", "..", "é.é.é", "a." + "b" * 5_000 + ".c"])
def test_what_is_no_token(text: str) -> None:
    assert refused(text) == "auth.invalid_session"


def test_a_token_of_before_the_secret_key_was_rotated(settings: Settings) -> None:
    token = sessions.issued(session())
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the new one"
    assert sessions.verified(token) == session(expires_at=sessions.verified(token).expires_at)
    settings.SECRET_KEY_FALLBACKS = []
    assert refused(token) == "auth.invalid_session"


@pytest.mark.django_db(transaction=True)  # what the ring's own thread does not see it forgets
def test_it_stands_for_its_key_until_that_is_revoked(project: Project) -> None:
    key, _ = issue_key(project=project, kind="pk", name="browser", actor="test")
    given = session(project_id=project.pk, key_id=key.pk, lookup=key.lookup)
    principal = auth.resolve(sessions.issued(given))
    assert (principal.key_id, principal.project_id, principal.session) == (key.pk, project.pk, given)
    assert auth.cached(sessions.issued(given)) == principal
    revoke_key(key=key, actor="test")
    with pytest.raises(Problem, match="revoked"):
        auth.resolve(sessions.issued(given))


def test_a_token_cannot_name_another_key(project: Project) -> None:
    key, _ = issue_key(project=project, kind="pk", name="browser", actor="test")
    other, _ = issue_key(project=project, kind="sk", name="server", actor="test")
    for mixed in (session(key_id=other.pk, lookup=key.lookup), session(kind="sk", key_id=key.pk, lookup=key.lookup)):
        with pytest.raises(Problem, match=r"auth\.invalid_key"):
            auth.resolve(sessions.issued(mixed))


def test_the_signature_of_the_vector() -> None:
    assert sessions.signature(bytes.fromhex("00ff"), "u-1", 1_700_000_000) == VECTOR
