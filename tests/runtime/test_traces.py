"""One event is followed from its POST to its frame, in one trace, by rooms that tell each other nothing."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from keys.models import Project
from keys.services import issue_key
from persona.lib import ids, tracing
from segments import log
from segments.streaming.feed import Feed
from tests.segments.living import persona, settle, viewed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    tracing.configure(1.0, exporter)
    yield exporter
    tracing.configure(0.0)


def post(project: Project, *message_ids: str) -> None:
    _, key = issue_key(project=project, kind="pk", name="page", actor="test")
    batch = [{"type": "track", "event": "page_viewed", "userId": "ann", "messageId": one} for one in message_ids]
    headers = {"authorization": f"Bearer {key}", "host": "localhost"}
    answer = Client().post("/api/v2/pipeline/ingest", {"batch": batch}, "application/json", headers=headers)
    assert answer.status_code == 202


def test_from_the_post_to_the_frame_in_one_trace(project: Project, spans: InMemorySpanExporter) -> None:
    persona(project, "seen", viewed(1))
    post(project, "m-1")
    settle()
    Feed(project.pk).extend(log.after(project.pk, 0, None, 10))
    found: dict[str, Any] = {span.name: span for span in spans.get_finished_spans()}
    assert list(found) == ["event.post", "event.apply", "change.record", "frame.send"]
    assert {span.context.trace_id for span in found.values()} == {int.from_bytes(ids.event_uid("m-1"), "big")}
    root = found["event.post"]
    assert root.parent is None
    assert all(span.parent.span_id == root.context.span_id for name, span in found.items() if name != "event.post")
    assert all(span.start_time <= span.end_time for span in found.values())
    assert found["frame.send"].attributes["seq"] == 1
    assert "ann" not in str([dict(span.attributes) for span in found.values()])


def test_a_share_of_events_is_followed_and_all_rooms_agree(project: Project) -> None:
    exporter = InMemorySpanExporter()
    tracing.configure(0.5, exporter)
    names = [f"m-{number}" for number in range(40)]
    chosen = {int.from_bytes(ids.event_uid(name), "big") for name in names if tracing.looked_at(ids.event_uid(name))}
    post(project, *names)
    settle()
    tracing.configure(0.0)
    told = exporter.get_finished_spans()
    assert 5 < len(chosen) < 35
    for stage in ("event.post", "event.apply"):
        assert {span.context.trace_id for span in told if span.name == stage and span.context} == chosen


def test_without_being_asked_for_nothing_is_told(project: Project) -> None:
    tracing.configure(1.0)  # nowhere to send it
    assert not tracing.on()
    post(project, "m-1")
