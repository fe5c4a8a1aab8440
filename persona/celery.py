"""The Celery application: queues, the schedule of beat, and a task base that keeps its database connection."""

import ctypes
import gc
import logging
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

from celery import Celery, signals
from celery.app.amqp import AMQP
from celery.concurrency import prefork
from celery.contrib.django.task import DjangoTask
from celery.exceptions import CPendingDeprecationWarning
from celery.schedules import crontab
from django.db import connections
from kombu import Queue
from psycopg_pool.base import AttemptWithBackoff

from persona import broker, nudges, outages, transports
from persona.pool import Pool
from persona.running.embedded import PR_SET_PDEATHSIG

# Tasks that do whatever waits, and their queues.
NUDGES = {"segments.drain": "live", "segments.backfill": "bulk", "delivery.deliver": "deliver"}


class Task(DjangoTask[Any, Any]):
    """Keeps its connections between tasks, and replaces one that PostgreSQL has closed meanwhile."""

    def before_start(self, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        for connection in connections.all(initialized_only=True):
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()


class Queues(AMQP):
    Connection = transports.Patient


class App(Celery):
    """Publishes a nudge only if none like it waits: whoever takes that one finds all the work there is."""

    amqp_cls = "persona.celery:Queues"

    def send_task(self, name: str, *args: Any, **options: Any) -> Any:
        queue = NUDGES.get(name)
        if queue and broker.embedded() and not args and nudges.OPTIONS.issuperset(options):
            put = nudges.put(self, queue, name)
            if put is not None:
                return self.AsyncResult(put) if put else None
        if queue and broker.waits(queue, name):
            return None
        return super().send_task(name, *args, **options)


def _configuration() -> dict[str, Any]:
    """Evaluated when first needed: the tests' database has its name only then."""
    return {
        "broker_transport_options": broker.transport_options(),
        # --- queues: `live` is apply-and-evaluate alone, `deliver` waits for receivers; `bulk` takes its time ---
        "task_queues": [Queue("live"), Queue("bulk"), Queue("deliver")],
        "task_default_queue": "bulk",
        "task_routes": {"segments.drain": "live", "segments.sweep": "live", "delivery.deliver": "deliver"},
        "task_ignore_result": True,
        "task_time_limit": broker.VISIBILITY_SECONDS - 60,
        "worker_prefetch_multiplier": 1,
        # --- a broker that is away is waited for, however long ---
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # --- nothing that costs a message or a query without anybody looking ---
        "worker_send_task_events": False,
        "worker_enable_remote_control": False,
        "worker_disable_rate_limits": True,
        "worker_redirect_stdouts": False,
        "beat_schedule": {
            # The safety net: a nudge that was lost costs at most this second.
            "sweep": {"task": "segments.sweep", "schedule": 1.0, "options": {"expires": 2}},
            # The same for deliveries, and what times their next tries.
            "deliver": {"task": "delivery.deliver", "schedule": 1.0, "options": {"expires": 2}},
            # A few pages at a time, where PERSONA_VERIFY_INTERVAL asks for it.
            "verify": {"task": "segments.verify", "schedule": 60.0, "options": {"expires": 50}},
            # By the clock, not by an interval: beat may be restarted more often than an interval lasts.
            "ingestion": {"task": "ingestion.maintain", "schedule": crontab(minute="7"), "options": {"expires": 3_000}},
            "segments": {"task": "segments.maintain", "schedule": crontab(minute="37"), "options": {"expires": 3_000}},
            "persona": {"task": "persona.maintain", "schedule": crontab(minute="27"), "options": {"expires": 3_000}},
            "delivery": {"task": "delivery.maintain", "schedule": crontab(minute="47"), "options": {"expires": 3_000}},
        },
    }


# While PostgreSQL restarts, its pool logs every attempt, and Celery a page for each task.
outages.say_less()
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
# It would also wait twice as long before each further attempt, and tasks would lie still for up to a minute after that.
AttemptWithBackoff.INITIAL_DELAY, AttemptWithBackoff.DELAY_BACKOFF = 0.25, 1.0
# Of root it warns at every start, because tasks may be pickles; here they are JSON, and ours alone.
warnings.filterwarnings("ignore", message="You're running the worker with superuser", category=UserWarning)

app = App("persona", task_cls=Task)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.add_defaults(_configuration)
app.autodiscover_tasks()


@signals.setup_logging.connect
def _keep_logging(**_: object) -> None:
    """That somebody receives this signal is enough: Celery then leaves the logs to persona.lib.log."""


@signals.celeryd_after_setup.connect
def _say_less(**_: object) -> None:
    """Celery has just asked for all of these: while its broker is away, a page about a setting that we have chosen."""
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)


@signals.celeryd_init.connect
def _replace_the_killed(**_: object) -> None:
    prefork.TaskPool.BlockingPool = Pool


@signals.celeryd_init.connect
def _listen(**_: object) -> None:
    """A worker's consumer is woken by NOTIFY; its task process, which only publishes, does not listen."""
    if broker.embedded():
        app.conf.broker_transport_options["use_notify"] = True
        signals.worker_shutting_down.connect(transports.leave)


@signals.worker_process_init.connect
def _task_process(**_: object) -> None:
    """Runs in the prefork child: it must not outlive a killed worker."""
    gc.freeze()  # what is there now stays: looking through all of it again and again took a seventh of a turn's time
    gc.set_threshold(50_000, 20, 20)  # a turn makes and drops tens of thousands of rows, none of them in a circle
    if broker.embedded():
        app.conf.broker_transport_options["use_notify"] = False
    if sys.platform == "linux":
        _end_with_parent()


def _end_with_parent() -> None:
    """The kernel's word comes when the thread ends that has forked this process. One that replaces another is forked by
    a thread that ends when the worker is asked to stop, and then has its task to finish."""
    parent = os.getppid()

    def look(*_: object) -> None:
        if os.getppid() != parent:
            os._exit(1)

    signal.signal(signal.SIGUSR2, look)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGUSR2)


@signals.worker_ready.connect
@signals.beat_init.connect
def _ready(**_: object) -> None:
    """Tell the supervisor that this process has reached its broker."""
    if path := os.environ.get("PERSONA_READY_FILE"):
        Path(path).write_text(str(os.getpid()))
