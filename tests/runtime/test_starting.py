"""How a program starts where no nursery can make it: by an interpreter of its own, elsewhere than on Linux, or when a
fork of the nursery must choose anew where it measures."""

import json
import os
import signal
import subprocess
import sys

from persona.running.starting import ROOT, alone
from tests.stack import alive
from tests.waiting import until

SAYS = "import json, os; print(json.dumps([os.getpid(), os.getsid(0), os.getcwd(), os.environ['SAID']]), flush=True)"
WAITS = f"{SAYS}; import signal; signal.pause()"
# What a fork of the nursery does with its order. The file `-c` is not there: only an interpreter takes it for a word.
BECOMES = """
import sys
from persona.management.commands.nursery import _become
from persona.running.nursery import Order
_become(Order(["-c", sys.argv[1]], {"SAID": "anew"}, 0))
"""
STARTS = """
import os, sys
from persona.running.starting import alone
alone([sys.executable, "-c", sys.argv[1]], env=os.environ, stdout=1)
"""


def test_an_interpreter_of_its_own() -> None:
    """Out of reach of the terminal's Ctrl-C, with the files and the environment that it is given."""
    ours, theirs = os.pipe()
    with os.fdopen(ours) as said:
        process = alone([sys.executable, "-c", WAITS], env={**os.environ, "SAID": "word"}, stdout=theirs)
        os.close(theirs)
        assert json.loads(said.readline()) == [process.pid, process.pid, str(ROOT), "word"]
    assert process.poll() is None
    process.terminate()
    assert process.wait() == -signal.SIGTERM


def test_it_does_not_outlive_who_started_it() -> None:
    """Whoever that was ended without a word to it."""
    command = [sys.executable, "-c", STARTS, WAITS]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "SAID": "x"}, stdout=subprocess.PIPE, check=True, text=True
    )
    if done.stdout:  # else it was gone before it could speak
        pid = json.loads(done.stdout)[0]
        until(lambda: not alive(pid), "its end")


def test_without_room_for_its_measurements_a_fork_becomes_a_new_interpreter() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", BECOMES, SAYS], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[3] == "anew"
