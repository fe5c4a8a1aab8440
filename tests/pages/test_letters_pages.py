"""Dead letters and parked batches on their pages: seen, corrected, put back, given up, downloaded."""

import html
import json

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client

from ingestion.causes import COUNTED
from ingestion.models import Batch, DeadLetter, Event
from keys.models import AuditEntry, Project
from tests.ingestion import applying
from tests.pages import forms, rows
from tests.pages.streams import fetched
from tests.segments import living

pytestmark = pytest.mark.django_db(transaction=True)

LETTERS = "/projects/shop/dead-letters/"


@pytest.fixture(autouse=True)
def fresh_counters(db: None) -> None:
    cache.clear()


@pytest.fixture
def letter(project: Project) -> DeadLetter:
    bad = applying.track("", userId="u-1", messageId="m-1", properties={"note": "<b>"})
    applying.put(project, bad, applying.track("", userId="u-2", messageId="m-2"), received_at=rows.now())
    living.settle()
    return DeadLetter.objects.filter(project=project).order_by("id")[0]


def copies(letter: DeadLetter, many: int) -> None:
    """The same letter so many times more."""
    columns = ", ".join(str(field.column) for field in DeadLetter._meta.local_concrete_fields if not field.primary_key)
    with connection.cursor() as cursor:
        cursor.execute(
            f"insert into {DeadLetter._meta.db_table} ({columns}) select {columns} from {DeadLetter._meta.db_table},"
            " generate_series(1, %s) where id = %s",
            [many, letter.pk],
        )


def text_of(client: Client, address: str) -> str:
    return html.unescape(client.get(address).content.decode())


def test_an_empty_page_says_that_nothing_waits(project: Project, as_bob: Client) -> None:
    assert "Nothing waits here" in text_of(as_bob, LETTERS)
    assert "No batch is parked" in text_of(as_bob, f"{LETTERS}parked/")


def test_letters_are_listed_by_cause(letter: DeadLetter, as_bob: Client) -> None:
    page = text_of(as_bob, LETTERS)
    assert "2 events" in page
    assert letter.detail in page
    assert "event.field_missing" in page
    assert letter.batch_id in text_of(as_bob, f"{LETTERS}?code=event.field_missing")
    assert letter.batch_id not in text_of(as_bob, f"{LETTERS}?code=other")


def test_a_letter_is_corrected_and_stored(letter: DeadLetter, as_bob: Client) -> None:
    address = f"{LETTERS}{letter.pk}/"
    given = forms.fields(as_bob.get(address).content.decode())
    still = as_bob.post(address, {**given, "do": "redrive"})
    assert still.status_code == 422
    assert 'id="body-wrong"' in still.content.decode()
    event = {**json.loads(given["body"]), "event": "page_viewed"}
    checked = as_bob.post(address, {"body": json.dumps(event), "do": "check"})
    assert "The wire takes it like this" in checked.content.decode()
    assert DeadLetter.objects.count() == 2
    assert as_bob.post(address, {"body": json.dumps(event), "do": "redrive"})["Location"] == LETTERS
    living.settle()
    assert (DeadLetter.objects.count(), Event.objects.count()) == (1, 1)
    assert AuditEntry.objects.get(action="dead_letter.redriven").actor == "bob"


@pytest.mark.parametrize("body", ["", "[]", "{", '{"batch": []}', "[1, 2]", "\x00"])
def test_what_is_no_event_is_said_beside_the_field(body: str, letter: DeadLetter, as_bob: Client) -> None:
    answer = as_bob.post(f"{LETTERS}{letter.pk}/", {"body": body, "do": "redrive"})
    assert answer.status_code == 422
    assert DeadLetter.objects.count() == 2


def test_a_letter_is_given_up(letter: DeadLetter, as_bob: Client) -> None:
    as_bob.post(f"{LETTERS}{letter.pk}/", {"do": "discard"})
    assert not DeadLetter.objects.filter(id=letter.pk).exists()
    assert as_bob.get(f"{LETTERS}{letter.pk}/").status_code == 404


def test_all_of_a_cause_are_given_up_but_not_what_came_since(
    letter: DeadLetter, project: Project, as_bob: Client
) -> None:
    address = f"{LETTERS}all/event.field_missing/"
    given = forms.fields(as_bob.get(f"{address}?do=discard").content.decode())
    applying.put(project, applying.track("", userId="u-3"), received_at=rows.now())
    living.settle()
    assert "2 events are given up" in as_bob.post(address, {**given, "do": "discard"}, follow=True).content.decode()
    assert DeadLetter.objects.count() == 1
    assert AuditEntry.objects.get(action="dead_letter.discarded").detail == {"letters": 2}


def test_all_of_a_cause_are_put_back_and_what_is_refused_stays(letter: DeadLetter, as_bob: Client) -> None:
    DeadLetter.objects.filter(id=letter.pk).update(
        body=json.dumps({"type": "track", "event": "x", "userId": "u"}).encode()
    )
    address = f"{LETTERS}all/event.field_missing/"
    page = html.unescape(as_bob.post(address, {"do": "redrive"}, follow=True).content.decode())
    assert "1 events are back in the inbox" in page
    assert "1 are still refused" in page
    living.settle()
    assert (DeadLetter.objects.count(), Event.objects.count()) == (1, 1)


def test_of_many_letters_only_so_many_are_counted(letter: DeadLetter, as_bob: Client) -> None:
    copies(letter, COUNTED)
    assert "more than 10,000 event" in text_of(as_bob, LETTERS)
    asked = text_of(as_bob, f"{LETTERS}all/event.field_missing/?do=discard")
    assert "More than 10,000" in asked
    assert "Discard all of them" in asked


def test_the_download_has_them_all(letter: DeadLetter, as_bob: Client) -> None:
    found = [json.loads(line) for line in b"".join(fetched(as_bob, f"{LETTERS}download")).splitlines()]
    assert {one["index"] for one in found} == {0, 1}
    assert json.loads(found[0]["event"])["type"] == "track"


def test_a_parked_batch_is_tried_again(project: Project, as_bob: Client) -> None:
    applying.put(project, applying.track(userId="u-1"), received_at=rows.now())
    Batch.objects.update(parked=True, error="DataError: <nothing>")
    batch = Batch.objects.get()
    page = as_bob.get(f"{LETTERS}parked/").content.decode()
    assert "DataError: &lt;nothing&gt;" in page
    assert as_bob.post(f"{LETTERS}parked/{batch.pk}/retry/").status_code == 302
    living.settle()
    assert (Batch.objects.count(), Event.objects.count()) == (0, 1)
    assert as_bob.post(f"{LETTERS}parked/{batch.pk}/retry/").status_code == 404
