"""Metrics of several processes in one folder: each process writes files of its own, whoever answers reads them all.

prometheus_client names the files by process id, so that a folder grows with every restart. Here a process takes the
lowest number that no living process holds, and counts on where the last holder of that number ended.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

MOST = 1_000  # processes of one folder
ROOM = 16 * 1024 * 1024  # bytes: a file for each kind of metric, of a megabyte, and more
FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client reads it too

_held: dict[int, tuple[int, int]] = {}  # by process id: its number, and the open file whose lock says so


def share(folder: Path) -> None:
    """Keep the values of this process in `folder`. Before the first metric is defined.

    On a disk that is nearly full it keeps them to itself: a mapped file that finds no room kills its process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[FOLDER] = str(folder)
    if not have_room():
        os.environ.pop(FOLDER, None)
        values.ValueClass = values.MutexValue
        return
    values.ValueClass = values.MultiProcessValue(lambda: _number(folder))  # type: ignore[no-untyped-call]  # untyped


def have_room() -> bool:
    """Is there a shared folder with room for the files of a further process?"""
    folder = os.environ.get(FOLDER)
    if not folder:
        return False
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize >= ROOM


def registry() -> CollectorRegistry:
    """What this process has measured; and in a shared folder, what all have. The caller may add to it."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return _copy_of_own()
    for number in _free(Path(folder)):
        _forget_gauges(Path(folder), number)
    shared = CollectorRegistry()
    MultiProcessCollector(shared, folder)  # type: ignore[no-untyped-call]  # untyped
    return shared


def _copy_of_own() -> CollectorRegistry:
    copy = CollectorRegistry()
    copy.register(REGISTRY)
    return copy


def _number(folder: Path) -> int:
    """Of this process. A fork takes the lock along, but has a process id of its own, and so gets its own number."""
    if (mine := _held.get(os.getpid())) is None:
        _held.clear()
        mine = _held[os.getpid()] = _taken(folder)
    return mine[0]


def _taken(folder: Path) -> tuple[int, int]:
    for number in range(MOST):
        if (lock := _locked(folder, number)) is not None:
            _forget_gauges(folder, number)
            return number, lock
    raise RuntimeError(f"{MOST} processes share {folder}")


def _free(folder: Path) -> Iterator[int]:
    """The numbers whose processes have ended."""
    for path in folder.glob("*.lock"):
        number = int(path.stem)
        if (lock := _locked(folder, number)) is not None:
            os.close(lock)
            yield number


def _forget_gauges(folder: Path, number: int) -> None:
    """What is true only while a process lives."""
    mark_process_dead(number, str(folder))  # type: ignore[no-untyped-call]  # untyped


def _locked(folder: Path, number: int) -> int | None:
    """The open file, locked until it is closed, at the latest by the end of the process; None when another has it."""
    lock = os.open(folder / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
