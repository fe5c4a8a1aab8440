"""The queue inside PostgreSQL: its address, its schema, and a message through it."""

import socket
import threading
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.utils import functional
from pgmq.base import PGMQConfig
from psycopg.conninfo import conninfo_to_dict
from pytest_django import Settings

from persona import broker, nudges, transports
from persona.celery import app
from tests.waiting import DEADLINE, until


def test_any_address_survives_pgmq() -> None:
    """pgmq takes the address apart and joins it again without quoting."""
    database = {
        "HOST": "/a home's\\socket",
        "PORT": "5433",
        "NAME": "my shop",
        "USER": "alice o'hara",
        "PASSWORD": "p'w \\ word",
        "OPTIONS": {"sslmode": "verify-full", "connect_timeout": 5, "prepare_threshold": 2, "options": "-c jit=off"},
    }
    assert conninfo_to_dict(PGMQConfig(conn_string=broker.conn_string(database)).dsn) == {
        "host": "/a home's\\socket",
        "port": "5433",
        "dbname": "my shop",
        "user": "alice o'hara",
        "password": "p'w \\ word",
        "sslmode": "verify-full",
        "connect_timeout": "5",
        "options": "-c jit=off -c synchronous_commit=off",
    }


@pytest.mark.django_db
def test_migrating_made_the_schema_and_making_it_again_changes_nothing() -> None:
    broker.install()
    with connection.cursor() as cursor:
        cursor.execute("select to_regprocedure('pgmq.list_queues()') is not null")
        assert cursor.fetchone() == (True,)


@pytest.mark.django_db(transaction=True)
def test_a_task_sent_comes_out_of_its_queue() -> None:
    with Connection("pgmq://test", transport_options=broker.transport_options()) as queue:
        app.send_task("segments.sweep", connection=queue)
        message = queue.SimpleQueue("live", no_ack=True).get(timeout=60)
        assert message.headers["task"] == "segments.sweep"


def test_whoever_publishes_does_not_wait_for_a_redis_that_says_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beat would wait as long as TCP tries, or for ever, and with it the safety net of everything else."""
    monkeypatch.setattr(broker, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        line = Connection(settings.CELERY_BROKER_URL, transport_options=broker.transport_options())
        with line as queue, pytest.raises(OperationalError):
            app.send_task("segments.sweep", connection=queue, retry=False)


@pytest.mark.django_db(transaction=True)
def test_nudges_do_not_pile_up_and_each_wakes_a_worker() -> None:
    with Connection("pgmq://test", transport_options=broker.transport_options()) as queue:
        waiting = queue.SimpleQueue("live", no_ack=True)
        waiting.clear()
        app.send_task("segments.sweep", connection=queue)  # another task's message is no reason not to publish
        with psycopg.connect(**listening(), autocommit=True) as line:
            line.execute('listen "pgmq.q_live.INSERT"')
            for _ in range(5):
                app.send_task("segments.drain", connection=queue)
            assert len(list(line.notifies(timeout=60, stop_after=4))) >= 4
        assert waiting.qsize() == 2
        assert [waiting.get(timeout=60).headers["task"] for _ in range(2)] == ["segments.sweep", "segments.drain"]
        app.send_task("segments.drain", connection=queue)  # the other one is taken
        assert waiting.get(timeout=60).headers["task"] == "segments.drain"


@pytest.mark.django_db(transaction=True)
def test_a_worker_whose_acknowledgement_is_lost_goes_on() -> None:
    with Connection("pgmq://test", transport_options=broker.transport_options()) as queue:
        waiting = queue.SimpleQueue("live")
        channel: Any = waiting.channel
        channel.basic_qos(0, 1, apply_global=False)
        app.send_task("segments.sweep", connection=queue)
        message: Any = waiting.get(timeout=60)
        assert not channel.qos.can_consume()
        channel.pgmq.pool.close()  # as if PostgreSQL had gone away
        with pytest.raises(psycopg.OperationalError):
            message.ack()
        assert channel.qos.can_consume()


@pytest.mark.django_db(transaction=True)
def test_a_producer_whose_channel_was_closed_opens_another() -> None:
    with Connection("pgmq://test", transport_options=broker.transport_options()) as queue:
        waiting = queue.SimpleQueue("live", no_ack=True)
        waiting.clear()
        with queue.clone() as another:
            producer = app.amqp.Producer(another)
            for task in ("segments.sweep", "segments.publish"):
                # Nothing is declared: that would find out by itself.
                producer.publish({}, routing_key="live", headers={"task": task}, declare=[], retry=True)
                channel: Any = producer.channel
                channel.close()
        assert waiting.get(timeout=60).headers["task"] == "segments.sweep"
        assert waiting.get(timeout=60).headers["task"] == "segments.publish"


def listening() -> dict[str, Any]:
    """How to connect to the tests' database."""
    given = connection.get_connection_params()
    return {name: given[name] for name in ("dbname", "user", "password", "host", "port") if name in given}


def test_tasks_go_where_they_belong() -> None:
    route = app.amqp.router.route
    assert {
        name: route({}, name)["queue"].name
        for name in ("segments.drain", "segments.sweep", "segments.backfill", "delivery.deliver")
    } == {
        "segments.drain": "live",
        "segments.sweep": "live",
        "segments.backfill": "bulk",
        "delivery.deliver": "deliver",
    }


def test_no_task_may_outlive_its_message() -> None:
    assert app.conf.task_time_limit < broker.VISIBILITY_SECONDS
    assert app.conf.beat_schedule["sweep"]["schedule"] == 1.0


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_shall_stop_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "_waiters", set())
    monkeypatch.setattr(transports, "_leaving", False)
    options = broker.transport_options()
    listens = {**options, "use_notify": True, "polling_interval": 600.0}
    with (
        Connection("pgmq://test", transport_options=listens) as worker,
        Connection("pgmq://test", transport_options=options) as other,
    ):
        taken = worker.SimpleQueue("live", no_ack=True)
        taken.clear()
        ended = threading.Event()

        def wait() -> None:
            with pytest.raises(TimeoutError):
                worker.drain_events(timeout=600)
            ended.set()

        thread = threading.Thread(target=wait)
        thread.start()
        until(lambda: transports._waiters, "it to listen")
        transports.leave()
        assert ended.wait(DEADLINE)
        thread.join()
        app.send_task("segments.sweep", connection=other)
        with pytest.raises(TimeoutError):
            worker.drain_events(timeout=600)
        monkeypatch.setattr(transports, "_leaving", False)  # of this process: the other one lives in another
        assert other.SimpleQueue("live", no_ack=True).get(timeout=DEADLINE).headers["task"] == "segments.sweep"


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_connects_again_and_again_keeps_nothing_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "_waiters", set())
    listens = {**broker.transport_options(), "use_notify": True}
    for _ in range(3):
        with Connection("pgmq://test", transport_options=listens) as worker:
            worker.SimpleQueue("live", no_ack=True)
            assert len(transports._waiters) == 1
    assert not transports._waiters


@pytest.mark.django_db(transaction=True)
def test_workers_that_connect_while_their_queue_is_used_wait_for_nobody() -> None:
    """The trigger that tells them of messages is made once: whoever makes it anew has to have the queue for himself."""
    listens = {**broker.transport_options(), "use_notify": True}
    hurried = {**connection.settings_dict, "OPTIONS": {"options": "-c lock_timeout=1"}}
    with Connection("pgmq://test", transport_options=listens) as first:
        first.SimpleQueue("live", no_ack=True)
        with psycopg.connect(**listening()) as other:
            other.execute("select pgmq.send('live', '{}')")
            address = {"conn_string": broker.conn_string(hurried)}
            with Connection("pgmq://test", transport_options=listens | address) as second:
                second.SimpleQueue("live", no_ack=True)
            other.rollback()


def test_a_broker_that_is_away_is_tried_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def tried(_: Exception, seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(functional, "sleep", lambda _: None)
    with app.connection_for_read("redis://127.0.0.1:1/0") as away, pytest.raises(OperationalError):
        away.ensure_connection(tried, 5)
    assert waits == [1.0] * 5
    with app.connection_for_write("redis://127.0.0.1:1/0") as away, pytest.raises(OperationalError):
        app.send_task("segments.sweep", connection=away, retry=True, retry_policy={"max_retries": 1})


@pytest.mark.django_db(transaction=True)
def test_a_nudge_of_the_publisher_is_put_by_one_statement_as_kombu_would_have_put_it(settings: Settings) -> None:
    settings.CELERY_BROKER_URL = "pgmq://"
    with Connection("pgmq://test", transport_options=broker.transport_options()) as queue:
        waiting = queue.SimpleQueue("live", no_ack=True)
        waiting.clear()
        app.send_task("segments.drain", connection=queue, ignore_result=True)
        theirs = waiting.get(timeout=60)
        with psycopg.connect(**listening(), autocommit=True) as line:
            line.execute('listen "pgmq.q_live.INSERT"')
            first = app.send_task("segments.drain", ignore_result=True, retry=False)
            assert app.send_task("segments.drain", ignore_result=True, retry=False) is None
            assert len(list(line.notifies(timeout=60, stop_after=2))) == 2
        ours = waiting.get(timeout=60)
        assert (ours.decode(), ours.headers["id"], waiting.qsize()) == (theirs.decode(), first.id, 0)
        # The limit is said by whoever knows the task; else the worker's own holds.
        assert ours.headers == {**theirs.headers, "id": first.id, "root_id": first.id, "timelimit": [None, None]}
        assert ours.properties.keys() == theirs.properties.keys()
        second = app.send_task("segments.drain", ignore_result=True, retry=False)
        again = waiting.get(timeout=60)
        assert again.headers["id"] == second.id != first.id
        assert again.delivery_tag != ours.delivery_tag


@pytest.mark.django_db(transaction=True)
def test_a_nudge_for_a_queue_that_nobody_has_made_goes_kombus_way() -> None:
    assert nudges.put(app, "nowhere", "segments.drain") is None
    with transaction.atomic():
        assert nudges.put(app, "live", "segments.drain") is None
