from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from keys import tokens
from keys.models import ApiKey, AuditEntry, Project
from keys.spans import parse_span


def run(*words: str) -> tuple[str, str]:
    """What a command wrote to standard output and standard error."""
    out, err = StringIO(), StringIO()
    call_command(*words, stdout=out, stderr=err, no_color=True)
    return out.getvalue(), err.getvalue()


def test_create_project(alice: User) -> None:
    run("create_project", "store", "--name", "The store", "--mode", "test", "--owner", "alice")
    project = Project.objects.get(slug="store")
    assert (project.name, project.mode) == ("The store", "test")
    assert AuditEntry.objects.get().actor == "manage.py"


def test_create_key_prints_the_secret_alone(project: Project) -> None:
    out, err = run(
        "create_key", "shop", "--kind", "sk", "--name", "server", "--expires", "30d", "--scope", "personas:read"
    )
    secret = out.strip()
    key = ApiKey.objects.get()
    assert out == secret + "\n"
    assert tokens.digest(secret) == bytes(key.digest)
    assert secret not in err
    assert key.scopes == ["personas:read"]
    assert key.expires_at is not None
    assert timedelta(days=29) < key.expires_at - timezone.now() <= timedelta(days=30)


def test_create_key_for_browsers(project: Project) -> None:
    words = ["--origin", "https://a.example", "--origin", "https://b.example", "--expires", "2999-01-31T00:00:00Z"]
    out, _ = run("create_key", "shop", "--kind", "pk", "--name", "web", *words)
    key = ApiKey.objects.get()
    assert out.startswith("pk_live_")
    assert key.origins == ["https://a.example", "https://b.example"]
    assert key.expires_at is not None
    assert key.expires_at.year == 2999


def test_rotate_list_and_revoke(project: Project, other_project: Project) -> None:
    run("create_key", "elsewhere", "--kind", "sk", "--name", "not-listed")
    lookup = run("create_key", "shop", "--kind", "sk", "--name", "server")[0][:16]
    successor = run("rotate_key", lookup, "--grace", "7d")[0][:16]
    third = run("rotate_key", successor, "--grace", "now")[0][:16]
    out, _ = run("list_keys", "shop")
    assert [line.split()[:2] for line in out.splitlines()] == [
        [third, "active"],
        [successor, "revoked"],
        [lookup, "rotating"],
    ]
    run("revoke_key", third)
    assert run("list_keys", "shop")[0].splitlines()[0].split()[:2] == [third, "revoked"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create_project", "x", "--owner", "nobody"), "no user 'nobody'"),
        (("create_project", "Shop!", "--owner", "alice"), "slug:"),
        (("create_project", "shop", "--owner", "alice"), "already exists"),
        (("create_key", "nowhere", "--kind", "sk", "--name", "x"), "no project 'nowhere'"),
        (("create_key", "shop", "--kind", "sk", "--name", "x", "--expires", "soon"), "'soon' is neither"),
        (("create_key", "shop", "--kind", "sk", "--name", "x", "--expires", "2001-01-01"), "must lie in the future"),
        (("create_key", "shop", "--kind", "pk", "--name", "x", "--scope", "personas:read"), "secret key (sk)"),
        (("list_keys", "nowhere"), "no project 'nowhere'"),
        (("rotate_key", "sk_live_nowhere0"), "no key with this lookup"),
        (("revoke_key", "sk_live_nowhere0"), "no key with this lookup"),
    ],
)
def test_errors_are_one_line(project: Project, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError) as caught:
        run(*words)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_grace_that_cannot_be(project: Project) -> None:
    lookup = run("create_key", "shop", "--kind", "sk", "--name", "server")[0][:16]
    for grace, said in (("later", "not a span"), ("91d", "between 0 and 90 days")):
        with pytest.raises(CommandError, match=said):
            run("rotate_key", lookup, "--grace", grace)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("now", 0), ("90s", 90), ("30m", 1_800), ("24h", 86_400), ("7d", 604_800), ("", None), ("7", None), ("-1d", None)],
)
def test_spans(text: str, seconds: int | None) -> None:
    found = parse_span(text)
    assert (None if found is None else found.total_seconds()) == seconds
