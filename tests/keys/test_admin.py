import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from keys import tokens
from keys.models import ApiKey, AuditEntry, Member, Project

PAGES = ["project", "member", "apikey", "auditentry"]
Key = tuple[ApiKey, str]


@pytest.fixture
def operator(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


@pytest.mark.parametrize("page", PAGES)
def test_the_lists_load_for_the_operator_alone(
    operator: Client, secret_key: Key, charlie: User, bob: User, page: str
) -> None:
    assert operator.get(f"/admin/keys/{page}/").status_code == 200
    assert operator.get(f"/admin/keys/{page}/?q=shop").status_code == 200
    for outsider in (charlie, bob):
        operator.force_login(outsider)
        assert operator.get(f"/admin/keys/{page}/").status_code == 302  # to the sign-in


def test_every_row_can_be_opened(operator: Client, secret_key: Key) -> None:
    rows = {
        "project": Project.objects.get().pk,
        "member": Member.objects.earliest("id").pk,
        "apikey": secret_key[0].pk,
        "auditentry": AuditEntry.objects.get().pk,
    }
    for page, pk in rows.items():
        assert operator.get(f"/admin/keys/{page}/{pk}/change/").status_code == 200


def test_a_key_is_shown_once(operator: Client, project: Project) -> None:
    form = {"project": project.pk, "kind": "sk", "name": "server", "origins": "[]", "scopes": '["personas:read"]'}
    answer = operator.post("/admin/keys/apikey/add/", form, follow=True)
    key = ApiKey.objects.get()
    shown = [word for word in answer.content.decode().split() if word.startswith("sk_live_") and tokens.parse(word)]
    assert len(shown) == 1
    assert tokens.digest(shown[0]) == bytes(key.digest)
    assert AuditEntry.objects.get().actor == "alice"
    for address in ("/admin/keys/apikey/", f"/admin/keys/apikey/{key.pk}/change/"):
        page = operator.get(address).content.decode()
        assert shown[0] not in page
        assert key.lookup in page


def test_what_the_service_refuses_is_said_in_the_form(operator: Client, project: Project) -> None:
    form = {"project": project.pk, "kind": "pk", "name": "web", "origins": '["nonsense"]', "scopes": "[]"}
    answer = operator.post("/admin/keys/apikey/add/", form)
    assert "is not an origin such as" in answer.content.decode()
    form["origins"] = '{"not": "a list"}'
    assert "Give a list of texts" in operator.post("/admin/keys/apikey/add/", form).content.decode()
    assert not ApiKey.objects.exists()


def test_the_origins_of_a_key_can_be_changed(operator: Client, public_key: Key) -> None:
    key, _ = public_key
    form = {"name": "web", "origins": '["https://New.example"]', "scopes": "[]", "kind": "sk"}
    operator.post(f"/admin/keys/apikey/{key.pk}/change/", form)
    key.refresh_from_db()
    assert (key.name, key.origins, key.kind) == ("web", ["https://new.example"], "pk")
    assert AuditEntry.objects.latest("id").action == "key.changed"


def test_an_expired_key_can_still_be_renamed(operator: Client, public_key: Key) -> None:
    key, _ = public_key
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now())
    operator.post(f"/admin/keys/apikey/{key.pk}/change/", {"name": "old", "origins": "[]", "scopes": "[]"})
    key.refresh_from_db()
    assert key.name == "old"


def test_rotate_and_revoke_are_actions(operator: Client, secret_key: Key) -> None:
    key, _ = secret_key
    picked = {"_selected_action": [key.pk]}
    page = operator.post("/admin/keys/apikey/", {"action": "rotate", **picked}, follow=True).content.decode()
    key.refresh_from_db()
    assert key.replaced_by is not None
    assert key.replaced_by.lookup in page
    page = operator.post("/admin/keys/apikey/", {"action": "rotate", **picked}, follow=True).content.decode()
    assert "was already rotated" in page
    operator.post("/admin/keys/apikey/", {"action": "revoke", **picked})
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_a_new_project_belongs_to_the_operator(operator: Client, alice: User) -> None:
    operator.post("/admin/keys/project/add/", {"slug": "store", "name": "Store", "mode": "test"})
    assert Member.objects.get(project__slug="store").user == alice


@pytest.mark.parametrize(
    "unusable",
    [
        '{"ingest_rate": "fast"}', '{"ingest_rate": -5}', '{"ingest_burst": 0}', '{"retention_days": 0}',
        '{"retention_days": 9999}', '{"pk_streams": "all"}', '{"sample_rate": 9}', '{"flush_interval_ms": -1}',
        '{"refresh_after": 0}', '{"unheard_of": 1}',
    ],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_refused(unusable: str, operator: Client, project: Project) -> None:
    address = f"/admin/keys/project/{project.pk}/change/"
    answer = operator.post(address, {"name": "Shop", "settings": unusable})
    assert "settings" in answer.context["adminform"].form.errors
    project.refresh_from_db()
    assert project.settings == {}


def test_the_settings_of_a_project_are_checked(operator: Client, project: Project) -> None:
    address = f"/admin/keys/project/{project.pk}/change/"
    operator.post(address, {"name": "Shop", "settings": '{"ingest_rate": 9}', "slug": "other", "mode": "test"})
    project.refresh_from_db()
    assert (project.options.ingest_rate, project.slug, project.mode) == (9, "shop", "live")
    assert AuditEntry.objects.get().action == "project.changed"


def test_members_are_audited(operator: Client, project: Project, charlie: User) -> None:
    operator.post("/admin/keys/member/add/", {"user": charlie.pk, "project": project.pk, "role": "viewer"})
    member = Member.objects.get(user=charlie, project=project)
    operator.post(f"/admin/keys/member/{member.pk}/delete/", {"post": "yes"})
    assert list(AuditEntry.objects.order_by("id").values_list("action", "target")) == [
        ("member.added", "charlie"),
        ("member.removed", "charlie"),
    ]


def test_the_audit_is_read_only(operator: Client, secret_key: Key) -> None:
    entry = AuditEntry.objects.get()
    assert operator.get("/admin/keys/auditentry/add/").status_code == 403
    assert operator.post(f"/admin/keys/auditentry/{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    operator.post(f"/admin/keys/auditentry/{entry.pk}/change/", {"actor": "mallory"})
    entry.refresh_from_db()
    assert entry.actor == "alice"


@pytest.mark.parametrize("page", PAGES)
def test_no_list_counts_a_whole_table(operator: Client, secret_key: Key, page: str) -> None:
    with CaptureQueriesContext(connection) as captured:
        operator.get(f"/admin/keys/{page}/")
    counts = [query["sql"] for query in captured if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT" in sql for sql in counts)
