from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from keys import tokens
from keys.audit import coming_from
from keys.models import ApiKey, AuditEntry, Member, Project
from keys.services import change_key, create_project, issue_key, revoke_key, rotate_key
from persona.lib.problems import Problem

Key = tuple[ApiKey, str]
DAY = timedelta(days=1)


def audit() -> list[tuple[str, str, str]]:
    return list(AuditEntry.objects.order_by("id").values_list("actor", "action", "target"))


def test_a_project_has_its_owner_and_an_audit(alice: User, bob: User) -> None:
    with coming_from("192.0.2.7"):
        project = create_project(slug="store", name="Store", mode="test", owner=bob, actor=alice)
    assert Member.objects.get(project=project).user == bob
    assert Member.objects.get(project=project).role == "owner"
    assert audit() == [("alice", "project.created", "store")]
    assert AuditEntry.objects.get().address == "192.0.2.7"


@pytest.mark.parametrize(
    ("slug", "mode"), [("shop", "live"), ("Big", "live"), ("-x", "live"), ("a b", "live"), ("", "live"), ("ok", "prod")]
)
def test_a_project_that_cannot_be(project: Project, alice: User, slug: str, mode: str) -> None:
    with pytest.raises(Problem) as caught:
        create_project(slug=slug, name="x", mode=mode, owner=alice, actor=alice)
    assert (caught.value.status, caught.value.code) == (400, "project.invalid")
    assert Project.objects.count() == 1
    assert audit() == []


@pytest.mark.parametrize("mode", ["live", "test"])
def test_a_key_is_stored_without_its_secret(alice: User, mode: str) -> None:
    project = create_project(slug="store", name="Store", mode=mode, owner=alice, actor=alice)
    key, secret = issue_key(project=project, kind="sk", name=" server ", actor=alice, scopes=["personas:read"])
    assert secret.startswith(f"sk_{mode}_")
    row = ApiKey.objects.get(pk=key.pk)
    assert (row.name, row.lookup, bytes(row.digest)) == ("server", secret[:16], tokens.digest(secret))
    assert (row.scopes, row.created_by) == (["personas:read"], alice)
    assert audit()[-1] == ("alice", "key.issued", key.lookup)
    everything = repr([list(AuditEntry.objects.values()), list(ApiKey.objects.values())])
    assert secret not in everything
    assert secret[16:] not in everything


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "xk"},
        {"kind": "sk", "name": " "},
        {"kind": "sk", "name": "x" * 201},
        {"kind": "sk", "origins": ["https://shop.example"]},
        {"kind": "pk", "scopes": ["personas:read"]},
        {"kind": "sk", "scopes": ["personas:fly"]},
        {"kind": "pk", "origins": ["shop.example"]},
        {"kind": "pk", "origins": ["https://shop.example/path"]},
        {"kind": "pk", "origins": ["*"]},
        {"kind": "sk", "expires_at": timezone.now() - timedelta(seconds=1)},
    ],
)
def test_a_key_that_cannot_be(project: Project, alice: User, asked: dict[str, Any]) -> None:
    with pytest.raises(Problem) as caught:
        issue_key(**{"project": project, "name": "x", "actor": alice, **asked})
    assert (caught.value.status, caught.value.code) == (400, "key.invalid")
    assert not ApiKey.objects.exists()
    assert audit() == []


def test_origins_are_kept_as_browsers_send_them(project: Project) -> None:
    given = ["HTTPS://Shop.example/", "http://localhost:3000", "https://shop.example:443", "http://[::1]:80"]
    key, _ = issue_key(project=project, kind="pk", name="x", actor="manage.py", origins=given)
    assert key.origins == ["http://[::1]", "http://localhost:3000", "https://shop.example"]
    assert key.created_by is None


def test_a_rotation_hands_on_all_rights(project: Project, alice: User) -> None:
    old, _ = issue_key(project=project, kind="pk", name="shop", actor=alice, origins=["https://shop.example"])
    new, secret = rotate_key(key=old, grace=DAY, actor=alice)
    assert (new.kind, new.name, new.origins, new.scopes, new.expires_at) == ("pk", "shop", old.origins, [], None)
    assert new.lookup == secret[:16]
    old.refresh_from_db()
    assert old.replaced_by == new
    assert old.revoked_at is None
    assert old.expires_at is not None
    assert timedelta(0) < old.expires_at - new.created_at <= DAY
    assert audit()[-1] == ("alice", "key.rotated", old.lookup)


def test_a_rotation_without_grace_revokes(secret_key: Key, alice: User) -> None:
    old, _ = secret_key
    rotate_key(key=old, grace=timedelta(0), actor=alice)
    old.refresh_from_db()
    assert old.revoked_at is not None


def test_the_grace_never_outlasts_the_old_expiry(project: Project, alice: User) -> None:
    end = timezone.now() + timedelta(hours=1)
    old, _ = issue_key(project=project, kind="sk", name="x", actor=alice, expires_at=end)
    new, _ = rotate_key(key=old, grace=DAY, actor=alice)
    old.refresh_from_db()
    assert old.expires_at == end
    assert new.expires_at is not None
    assert new.expires_at >= end  # the same lifetime, from now


@pytest.mark.parametrize("grace", [timedelta(days=90, seconds=1), timedelta(seconds=-1)])
def test_a_grace_beyond_the_bounds(secret_key: Key, alice: User, grace: timedelta) -> None:
    with pytest.raises(Problem, match=r"key\.invalid"):
        rotate_key(key=secret_key[0], grace=grace, actor=alice)
    assert ApiKey.objects.count() == 1


def test_only_an_active_key_is_rotated(secret_key: Key, public_key: Key, alice: User) -> None:
    key, _ = secret_key
    rotate_key(key=key, grace=DAY, actor=alice)
    with pytest.raises(Problem, match=r"key\.rotated"):
        rotate_key(key=key, grace=DAY, actor=alice)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now(), replaced_by=None)
    with pytest.raises(Problem, match=r"key\.expired"):
        rotate_key(key=key, grace=DAY, actor=alice)
    revoke_key(key=public_key[0], actor=alice)
    with pytest.raises(Problem, match=r"key\.revoked"):
        rotate_key(key=public_key[0], grace=DAY, actor=alice)


def test_a_revocation_is_written_down_once(secret_key: Key, alice: User) -> None:
    key, _ = secret_key
    revoke_key(key=key, actor=alice)
    first = ApiKey.objects.get(pk=key.pk).revoked_at
    assert first is not None
    revoke_key(key=key, actor=alice)
    assert ApiKey.objects.get(pk=key.pk).revoked_at == first
    assert [action for _, action, _ in audit()] == ["key.issued", "key.revoked"]


def test_the_limits_of_a_key_change(public_key: Key, alice: User) -> None:
    key, _ = public_key
    change_key(key=key, name="web", origins=["https://new.example"], scopes=[], actor=alice)
    key.refresh_from_db()
    assert (key.name, key.origins) == ("web", ["https://new.example"])
    assert audit()[-1] == ("alice", "key.changed", key.lookup)
    with pytest.raises(Problem, match=r"key\.invalid"):
        change_key(key=key, name="web", origins=["nonsense"], scopes=[], actor=alice)
