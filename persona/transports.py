"""Kombu's ways to its brokers, where a worker that meets an outage would stand still, or be long in coming and going.

Importing this module puts them in the place of kombu's own.
"""

import os
import socket
from contextlib import suppress
from typing import Any

from kombu import Connection
from kombu.transport import TRANSPORT_ALIASES, pgmq, redis, virtual
from psycopg import OperationalError

LOCK = "select pg_advisory_xact_lock(hashtext('persona.broker'))"  # of who makes something in pgmq's schema
NOTIFIES = """
select exists (select from pg_trigger where tgrelid = to_regclass(%(table)s)
    and tgname = 'trigger_notify_queue_insert_listeners')
  and exists (select from pgmq.notify_insert_throttle
    where queue_name = %(queue)s and throttle_interval_ms = %(throttle)s)
"""
RETRY = 1  # seconds between two tries to reach a broker that is away


class Patient(Connection):
    """Tries once a second. Kombu tries less and less often, and after an outage tasks lay still for half a minute."""

    def _ensure_connection(
        self,
        errback: Any = None,
        max_retries: int | None = None,
        interval_start: int = RETRY,
        interval_step: int = 0,
        interval_max: int = RETRY,
        *args: Any,
        **options: Any,
    ) -> Any:
        return super()._ensure_connection(
            errback, max_retries, interval_start, interval_step, interval_max, *args, **options
        )


class Forgetting(virtual.Channel):
    """Forgets a message whose acknowledgement fails, which then comes back in time. Kombu counts it as being worked on
    for ever, and with that a worker whose broker ended at the wrong moment takes no other message."""

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        try:
            super().basic_ack(delivery_tag, multiple)
        except Exception:
            virtual.QoS.ack(self.qos, delivery_tag)
            raise


class RedisChannel(Forgetting, redis.Channel):
    pass


class RedisTransport(redis.Transport):
    Channel = RedisChannel


class SentinelChannel(Forgetting, redis.SentinelChannel):
    pass


class SentinelTransport(redis.SentinelTransport):
    Channel = SentinelChannel


class PgmqChannel(Forgetting, pgmq.Channel):
    """Makes a queue and its trigger if they are missing. Kombu does so whenever a process connects: that waits for all
    who use the queue, all who come wait for it, and two workers at once lock each other out."""

    connection: Any  # the transport; None: the channel is closed

    @property
    def pgmq(self) -> Any:
        """Raises OperationalError when the channel is closed, as after any other loss: so it is made again."""
        if self.connection is None:
            raise OperationalError("the channel is closed")
        return super().pgmq

    def _new_queue(self, queue: str, **options: Any) -> None:
        if self._has_queue(queue):  # type: ignore[no-untyped-call]  # kombu carries no types
            self._maybe_enable_notify(queue)
        else:
            super()._new_queue(queue, **options)  # type: ignore[no-untyped-call]  # kombu carries no types

    def _maybe_enable_notify(self, queue: str, queue_name: str | None = None) -> None:
        if not self.use_notify:
            return
        name = queue_name or self._queue_name(queue)
        sought = {"table": f"pgmq.q_{name}", "queue": name, "throttle": self.notify_throttle_interval_ms}
        pool: Any = self.pgmq.pool
        with pool.connection() as line:
            line.execute(LOCK)
            if line.execute(NOTIFIES, sought).fetchone() == (False,):
                self.pgmq.enable_notify(name, self.notify_throttle_interval_ms, conn=line)
        self.connection._register_notify_queue(name)


class Waiter(pgmq._NotifyWaiter):
    """Waits for a message until the worker is asked to stop. Kombu's own waits on for two seconds, and Celery asks it
    once more after that: a stop took all the time that the supervisor gives, and ended with SIGKILL."""

    def wait(self, timeout: float | None) -> bool:
        """Whether something has come. Raises TimeoutError as soon as this worker takes no more."""
        came = not _leaving and super().wait(timeout)
        if _leaving:
            raise TimeoutError
        return bool(came)

    def close(self) -> None:
        _waiters.discard(self)
        super().close()

    def hang_up(self) -> None:
        """Called in a signal handler, whatever the process was doing: it takes no lock, and hangs up on PostgreSQL
        instead of asking it for a notification."""
        with suppress(OSError, OperationalError):  # the line is down already
            if line_to := getattr(self, "_conn", None):
                with socket.socket(fileno=os.dup(line_to.fileno())) as line:
                    line.shutdown(socket.SHUT_RDWR)


class PgmqTransport(pgmq.Transport):
    Channel = PgmqChannel

    def _get_notify_waiter(self) -> pgmq._NotifyWaiter:
        if self._notify_waiter is None:
            waiter = Waiter(self._get_pgmq_client().config.dsn)
            _waiters.add(waiter)
            self._notify_waiter = waiter
        return self._notify_waiter

    def drain_events(self, connection: Any, timeout: float | None = None, **_: Any) -> None:
        if _leaving:
            raise TimeoutError
        super().drain_events(connection, timeout)  # type: ignore[no-untyped-call]  # kombu carries no types


_waiters: set[Waiter] = set()  # of this process: each new connection to PostgreSQL has another
_leaving = False


def leave(**_: object) -> None:
    """This worker has been asked to stop: it takes no message any more, and waits for none."""
    global _leaving
    _leaving = True
    for waiter in tuple(_waiters):
        waiter.hang_up()


TRANSPORT_ALIASES |= {
    "pgmq": f"{__name__}:PgmqTransport",
    "redis": f"{__name__}:RedisTransport",
    "rediss": f"{__name__}:RedisTransport",
    "sentinel": f"{__name__}:SentinelTransport",
}
