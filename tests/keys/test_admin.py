import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from keys import tokens
from keys.models import ApiKey, AuditEntry, Member, Project, SettingsVersion
from keys.project_settings import change_settings
from keys.services import issue_key

PAGES = ["project", "member", "apikey", "auditentry"]
YES = {"confirm": "yes"}
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


def test_an_action_says_what_it_would_do_first(operator: Client, project: Project, secret_key: Key) -> None:
    key, _ = secret_key
    page = operator.post("/admin/keys/apikey/", {"action": "revoke", "_selected_action": [key.pk]}).content.decode()
    assert "End these keys now?" in page
    assert key.lookup in page
    key.refresh_from_db()
    assert key.revoked_at is None
    many = [issue_key(project=project, kind="sk", name=str(n), actor="test")[0].pk for n in range(21)]
    told = operator.post("/admin/keys/apikey/", {"action": "revoke", "_selected_action": many, **YES}, follow=True)
    assert "Nothing was done: select 20 at most." in told.content.decode()
    assert not ApiKey.objects.exclude(revoked_at=None).exists()


def test_rotate_and_revoke_are_actions(operator: Client, secret_key: Key) -> None:
    key, _ = secret_key
    picked = {"_selected_action": [key.pk]}
    page = operator.post("/admin/keys/apikey/", {"action": "rotate", **picked, **YES}, follow=True).content.decode()
    key.refresh_from_db()
    assert key.replaced_by is not None
    assert key.replaced_by.lookup in page
    page = operator.post("/admin/keys/apikey/", {"action": "rotate", **picked, **YES}, follow=True).content.decode()
    assert "was already rotated" in page
    operator.post("/admin/keys/apikey/", {"action": "revoke", **picked, **YES})
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


def settings_form(operator: Client, project: Project) -> dict[str, str]:
    """What the page of the project would send as it is."""
    form = operator.get(f"/admin/keys/project/{project.pk}/change/").context["adminform"].form
    return {name: str(form[name].value()) for name in ("name", "settings", "etag")}


def test_settings_are_saved_as_a_version_by_the_service(operator: Client, project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(settings={"ingest_burst": 700, "destinations": ["hook"]})
    address = f"/admin/keys/project/{project.pk}/change/"
    form = {**settings_form(operator, project), "settings": '{"ingest_rate": 9}', "slug": "other", "mode": "test"}
    assert operator.post(address, {**form, "name": "Store"}).status_code == 302
    project.refresh_from_db()
    assert (project.settings, project.name) == ({"ingest_rate": 9, "destinations": ["hook"]}, "Store")
    assert (project.slug, project.mode) == ("shop", "live")
    version = SettingsVersion.objects.get(project=project)
    assert (version.author, version.settings) == ("alice", project.settings)
    assert list(AuditEntry.objects.order_by("id").values_list("action", "detail")) == [
        ("project.renamed", {"name": "Store"}),
        ("project.settings_changed", {"fields": ["ingest_burst", "ingest_rate"], "version": 1}),
    ]
    operator.post(address, settings_form(operator, project))  # as it is: nothing to write down
    assert SettingsVersion.objects.count() == 1


def test_settings_that_somebody_else_has_saved_meanwhile_are_not_overwritten(
    operator: Client, project: Project
) -> None:
    form = settings_form(operator, project)
    change_settings(project=project, changes={"ingest_rate": 5}, actor="somebody")
    answer = operator.post(f"/admin/keys/project/{project.pk}/change/", {**form, "settings": '{"ingest_rate": 9}'})
    assert "Somebody saved other settings" in answer.content.decode()
    project.refresh_from_db()
    assert project.options.ingest_rate == 5


def test_members_are_audited(operator: Client, project: Project, charlie: User) -> None:
    operator.post("/admin/keys/member/add/", {"user": charlie.pk, "project": project.pk, "role": "viewer"})
    member = Member.objects.get(user=charlie, project=project)
    operator.post(f"/admin/keys/member/{member.pk}/change/", {"role": "editor"})
    operator.post(f"/admin/keys/member/{member.pk}/delete/", {"post": "yes"})
    assert list(AuditEntry.objects.order_by("id").values_list("action", "target")) == [
        ("member.added", "charlie"),
        ("member.changed", "charlie"),
        ("member.removed", "charlie"),
    ]


def test_a_project_keeps_its_last_owner_here_too(
    operator: Client, project: Project, other_project: Project, bob: User, alice: User
) -> None:
    hers = Member.objects.get(user=alice, project=project)
    page = f"/admin/keys/member/{hers.pk}/"
    refused = operator.post(f"{page}change/", {"role": "viewer", "project": other_project.pk})
    assert "alice is the only owner" in refused.context["adminform"].form.errors["role"][0]
    Member.objects.filter(user=bob).update(role="owner")  # two owners: not both at once
    both = [str(pk) for pk in Member.objects.filter(project=project).values_list("pk", flat=True)]
    picked = {"action": "delete_selected", "_selected_action": both, "post": "yes"}
    assert "would have no owner" in operator.post("/admin/keys/member/", picked).content.decode()
    assert Member.objects.filter(project=project).count() == 2
    operator.post(f"{page}delete/", {"post": "yes"})
    last = Member.objects.get(project=project)
    assert (last.user, last.role) == (bob, "owner")
    assert (
        "would have no owner"
        in operator.post(f"/admin/keys/member/{last.pk}/delete/", {"post": "yes"}).content.decode()
    )
    refused = operator.post(f"/admin/auth/user/{bob.pk}/delete/", {"post": "yes"})  # nor with the account
    assert "would have no owner" in refused.content.decode()
    assert Member.objects.filter(project=project, role="owner").count() == 1


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
