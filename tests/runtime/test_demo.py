"""The demo project: made once, its access kept while it works and replaced when it does not."""

import random
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from ingestion.dialects import pipeline
from keys.auth import ring
from keys.models import ApiKey, Project
from keys.services import revoke_key
from persona.demo import project as demo
from persona.demo.personas import PERSONAS
from persona.demo.traffic import shop
from persona.lib.problems import Problem
from persona.running.home import Access, Home, Running
from segments.models import Persona
from segments.services import delete_persona

pytestmark = pytest.mark.django_db


def personas() -> set[str]:
    return set(Persona.objects.filter(project__slug="demo", deleted_at=None).values_list("slug", flat=True))


def test_the_access_of_the_last_run_goes_on_working() -> None:
    first = demo.seed(None, with_personas=True)
    again = demo.seed(first.access, with_personas=True)
    assert again.access == first.access
    assert first.notes == again.notes == ()
    assert len(personas()) >= 4
    assert ring.resolve(first.access.secret_key).kind == "sk"
    assert ring.resolve(first.access.publishable_key).kind == "pk"


def test_a_lost_demo_json_means_new_keys_and_the_end_of_the_old() -> None:
    first = demo.seed(None, with_personas=False).access
    second = demo.seed(None, with_personas=False)
    assert len(second.notes) == 3
    assert second.access.admin_password != first.admin_password
    for old in (first.secret_key, first.publishable_key):
        with pytest.raises(Problem, match="revoked"):
            ring.resolve(old)
        assert not any(old in note for note in second.notes)


def test_a_refused_key_alone_is_replaced() -> None:
    first = demo.seed(None, with_personas=False).access
    revoke_key(key=ApiKey.objects.get(project__slug="demo", kind="sk"), actor="alice")
    second = demo.seed(first, with_personas=False).access
    assert second.secret_key != first.secret_key
    assert second.publishable_key == first.publishable_key


def test_a_key_of_another_project_is_no_key_of_the_demo(other_project: Project) -> None:
    first = demo.seed(None, with_personas=False).access
    Project.objects.filter(slug="demo").update(slug="was-demo")
    assert demo.seed(first, with_personas=False).access.secret_key != first.secret_key


def test_a_deleted_demo_persona_stays_deleted() -> None:
    access = demo.seed(None, with_personas=True).access
    gone = Persona.objects.get(project__slug="demo", slug="browsing_now")
    delete_persona(persona=gone, actor="alice")
    demo.seed(access, with_personas=True)
    assert personas() == set(PERSONAS) - {"browsing_now"}


def test_the_traffic_is_what_the_ingest_accepts_and_the_personas_wait_for() -> None:
    events = list(islice(shop(random.Random(7)), 250))
    reading = pipeline.read(msgspec.json.encode({"batch": events}))
    assert not reading.rejections
    names = {event.get("event") for event in events}
    assert {"page_viewed", "product_viewed", "cart_added", "checkout_completed"} <= names


def test_whoever_waits_for_demo_json_never_sees_that_of_an_earlier_run(tmp_path: Path) -> None:
    """Put aside while starting, and not lost when the start fails."""
    place = Home(tmp_path)
    access = Access(project="demo", publishable_key="pk", secret_key="sk", admin_user="admin", admin_password="word")
    place.take()
    place.publish(Running(url="http://127.0.0.1:1", pids={"web": 1}, **msgspec.structs.asdict(access)))
    assert place.recall() == access
    assert not place.demo.exists()
    assert place.recall() == access
