"""The side of the nursery that has imported everything: forks, and each fork becomes a program. Used by `up`."""

import ctypes
import gc
import os
import runpy
import signal
import socket
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandParser

from persona.lib import metrics
from persona.running.embedded import PR_SET_PDEATHSIG
from persona.running.nursery import READY, Order

MOST_BYTES = 200_000  # of an order: what such a socket carries
FILES = 3  # stdin, stdout, and where to say who one is
# What web, workers and beat load in the end. None of it may start a thread or connect to anything: a fork takes
# neither along.
PROGRAMS = (
    "persona.asgi", "persona.urls",
    "uvicorn.main", "uvicorn.lifespan.on", "uvicorn.loops.uvloop", "uvicorn.protocols.http.httptools_impl",
    "celery.bin.celery", "celery.apps.worker", "celery.apps.beat", "celery.beat", "celery.worker.consumer",
    "celery.concurrency.prefork", "celery.concurrency.thread",
)  # fmt: skip


class Command(BaseCommand):
    help = "Used by `up`: makes its processes, on orders that come over the open socket LINE."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("line", type=int)
        parser.add_argument("room", nargs="?")

    def handle(self, *_: Any, line: int, **__: Any) -> None:
        gc.disable()
        for name in PROGRAMS:
            import_module(name)
        gc.collect()
        gc.freeze()  # what looks through objects writes to them, and so ends the sharing of their memory
        _become(_orders(socket.socket(fileno=line)))


def _orders(line: socket.socket) -> Order:
    """Serves as long as the supervisor lives. Returns in a child, with what that is to become."""
    _retitle([sys.executable, "manage.py", "nursery"])
    line.send(READY)
    while True:
        said, files, _, _ = socket.recv_fds(line, MOST_BYTES, FILES)
        if not said:
            sys.exit()
        child = os.fork()
        if child == 0:
            line.close()
            return _born(msgspec.json.decode(said, type=Order), files)
        for file in files:
            os.close(file)
        os.waitpid(child, 0)


def _born(order: Order, files: list[int]) -> Order:
    """Forked twice: whose parent ends becomes a child of the supervisor, which takes in orphans."""
    between = os.getpid()
    if os.fork():
        os._exit(0)
    os.setsid()
    while os.getppid() == between:
        time.sleep(0.0002)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != order.parent:
        os._exit(1)
    *given, say = files
    for number, file in enumerate(given):
        os.dup2(file, number)
        os.close(file)
    os.write(say, str(os.getpid()).encode())
    os.close(say)
    return order


def _become(order: Order) -> None:
    """Do as a new interpreter would with these words."""
    os.environ.update(order.env)
    if not metrics.have_room():
        # Only at its start can a process choose to keep its measurements to itself.
        os.execve(sys.executable, [sys.executable, *order.words], os.environ)  # noqa: S606 - words of the supervisor
    _retitle([sys.executable, *order.words])
    gc.enable()
    if order.words[0] == "-m":
        sys.argv = order.words[1:]
        runpy.run_module(order.words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = order.words
        runpy.run_path(order.words[0], run_name="__main__")


def _retitle(words: list[str]) -> None:
    """What `ps` shows: the memory of the words that this process was started with."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, end = int(fields[45]), int(fields[46])
    title = "\0".join(words).encode()[: max(end - begin - 1, 0)]
    if begin:
        ctypes.memset(begin, 0, end - begin)
        ctypes.memmove(begin, title, len(title))
