"""What could not be stored, over the management API: seen, corrected, put back, given up; by its own project alone."""

import msgspec
import pytest
from django.test import Client

from ingestion import tasks
from ingestion.api.letters import DOWNLOAD_BYTES
from ingestion.models import Batch, DeadLetter
from keys.models import AuditEntry, Project
from keys.services import issue_key
from tests.ingestion.applying import apply_all, apply_events, fate, put_body, stored, track

pytestmark = pytest.mark.django_db(transaction=True)
LETTERS = "/api/projects/shop/dead-letters"
PARKED = "/api/projects/shop/parked-batches"


@pytest.fixture
def api(project: Project) -> Client:
    _, secret = issue_key(project=project, kind="sk", name="server", actor="test")
    return Client(headers={"authorization": f"Bearer {secret}"})


@pytest.fixture
def outsider(other_project: Project) -> Client:
    """Charlie, with a key of his own project."""
    _, secret = issue_key(project=other_project, kind="sk", name="server", actor="test")
    return Client(headers={"authorization": f"Bearer {secret}"})


def bad(project: Project, n: int = 1) -> list[str]:
    """Letters of one batch; their ids, oldest first."""
    apply_events(project, *({"type": "trakc", "event": f"e{place}"} for place in range(n)))
    return [str(letter.pk) for letter in DeadLetter.objects.filter(project=project).order_by("id")]


def test_a_letter_is_seen_corrected_and_put_back(project: Project, api: Client) -> None:
    (number,) = bad(project)
    (letter,) = api.get(LETTERS).json()["results"]
    assert (letter["id"], letter["code"], letter["wire"], letter["index"]) == (
        number,
        "event.type_unknown",
        "pipeline",
        0,
    )
    assert msgspec.json.decode(letter["event"]) == {"type": "trakc", "event": "e0"}
    assert api.get(f"{LETTERS}/{number}").json() == letter
    answer = api.post(f"{LETTERS}/{number}/redrive", {"event": track("e0")}, "application/json")
    assert answer.status_code == 202
    apply_all()
    assert fate(project, answer.json()["batchId"]) == (1, 0, 0)
    assert api.get(LETTERS).json() == {"results": [], "next": None}
    assert AuditEntry.objects.filter(project=project, action="dead_letter.redriven").count() == 1


def test_an_event_is_put_back_byte_by_byte(project: Project, api: Client) -> None:
    """What a parser makes of a number need not be that number."""
    (number,) = bad(project)
    event = '{"event": {"type": "track", "event": "a", "properties": {"id": 18446744073709551615, "f": 1.10}}}'
    assert api.post(f"{LETTERS}/{number}/redrive", event, "application/json").status_code == 202
    (batch,) = Batch.objects.filter(project=project)
    assert b'"id": 18446744073709551615, "f": 1.10' in bytes(batch.body)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "event.type_unknown"),
        ('{"event": {"type": "track"}}', "event.field_missing"),
        ('{"event": 7}', "event.not_an_object"),
        ('{"even": {}}', "request.invalid"),
        ("[]", "request.invalid"),
        ("{", "request.not_json"),
    ],
)
def test_what_is_wrong_still_stays(body: str, code: str, project: Project, api: Client) -> None:
    (number,) = bad(project)
    answer = api.post(f"{LETTERS}/{number}/redrive", body, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert DeadLetter.objects.count() == 1


def test_pages_and_batches(project: Project, api: Client) -> None:
    numbers = bad(project, 5)
    first = api.get(LETTERS, {"limit": "3"}).json()
    rest = api.get(LETTERS, {"limit": "3", "cursor": first["next"]}).json()
    assert [letter["id"] for page in (first, rest) for letter in page["results"]] == numbers[::-1]
    assert rest["next"] is None
    batch = first["results"][0]["batchId"]
    assert len(api.get(LETTERS, {"batch": batch}).json()["results"]) == 5
    assert api.get(LETTERS, {"batch": "b_other"}).json()["results"] == []
    assert api.get(LETTERS, {"limit": "0"}).json()["code"] == "request.parameter_invalid"
    for wrong in ("x", "7", "r", f"r{2**63}", "r-1"):
        assert api.get(LETTERS, {"cursor": wrong}).json()["code"] == "request.cursor_invalid"


def test_a_file_of_them(project: Project, api: Client) -> None:
    """As long as a letter may be, two of them are more than an answer holds."""
    numbers = bad(project, 4)
    DeadLetter.objects.filter(project=project).update(body=b"x" * (DOWNLOAD_BYTES // 2 + 1))
    seen, address = [], f"{LETTERS}/download?limit=3"
    while address:
        answer = api.get(address)
        assert answer["Content-Type"] == "application/x-ndjson"
        lines = answer.content.decode().splitlines()
        assert len(lines) == 1
        seen += [msgspec.json.decode(line)["id"] for line in lines]
        address = answer.get("Link", "").removesuffix('>; rel="next"').removeprefix("<")
    assert seen == numbers[::-1]


def test_many_at_once(project: Project, other_project: Project, api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names beyond the limit, which was raised meanwhile; an id of another project's letter is passed over."""
    with monkeypatch.context() as patch:
        patch.setattr("ingestion.applying.names.NAMES_MOST", 1)
        apply_events(project, *(track(f"e{n}") for n in range(4)))
    bad(other_project)
    numbers = [str(letter.pk) for letter in DeadLetter.objects.order_by("id")]
    answer = api.post(f"{LETTERS}/redrive", {"ids": [*numbers, "x", "9" * 30]}, "application/json")
    assert (answer.status_code, answer.json()) == (202, {"redriven": 3, "refused": []})
    apply_all()
    assert len(stored(project)) == 4
    assert DeadLetter.objects.get().project_id == other_project.pk
    assert api.post(f"{LETTERS}/redrive", {"ids": ["1"] * 101}, "application/json").json()["code"] == "request.invalid"


def test_giving_up(project: Project, api: Client) -> None:
    (number,) = bad(project)
    assert api.delete(f"{LETTERS}/{number}").status_code == 204
    assert not DeadLetter.objects.exists()
    assert AuditEntry.objects.filter(project=project, action="dead_letter.discarded").count() == 1


def test_a_parked_batch_is_seen_and_tried_again(project: Project, api: Client, outsider: Client) -> None:
    put_body(project, b"{}", batch_id="b_strange", dialect="unheard-of")
    assert tasks.apply_some() == 1
    (batch,) = api.get(PARKED).json()["results"]
    assert (batch["batchId"], batch["wire"]) == ("b_strange", "unheard-of")
    assert "unheard-of" in batch["error"]
    assert outsider.post(f"{PARKED}/b_strange/retry").status_code == 404
    assert api.post(f"{PARKED}/b_strange/retry").status_code == 202
    assert api.get(PARKED).json() == {"results": [], "next": None}
    assert Batch.objects.filter(parked=False).count() == 1
    assert api.post(f"{PARKED}/b_strange/retry").status_code == 404


def test_outsiders_see_what_they_see_of_nothing(project: Project, api: Client, outsider: Client) -> None:
    (number,) = bad(project)
    absent = "/api/projects/absent"
    for method, path in (
        ("get", ""), ("get", "/download"), ("get", f"/{number}"), ("delete", f"/{number}"),
        ("post", f"/{number}/redrive"), ("post", "/redrive"),
    ):  # fmt: skip
        mine, theirs = (getattr(outsider, method)(f"{base}{path}") for base in (LETTERS, f"{absent}/dead-letters"))
        assert (mine.status_code, mine.content) == (404, theirs.content)
    own = LETTERS.replace("shop", "elsewhere")
    assert outsider.get(f"{own}/{number}").status_code == 404
    assert outsider.delete(f"{own}/{number}").status_code == 404
    assert DeadLetter.objects.count() == 1


def test_scopes(project: Project) -> None:
    (number,) = bad(project)
    _, secret = issue_key(project=project, kind="sk", name="reader", actor="test", scopes=["stats:read"])
    reader = Client(headers={"authorization": f"Bearer {secret}"})
    assert reader.get(f"{LETTERS}/{number}").status_code == 200
    assert reader.delete(f"{LETTERS}/{number}").json()["code"] == "auth.scope_missing"
    assert reader.post(f"{LETTERS}/{number}/redrive").json()["code"] == "auth.scope_missing"
