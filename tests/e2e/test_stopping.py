"""A web process that is asked to stop under load: whoever got a 202 is stored, and nobody is left without an end."""

import http.client
import os
import signal
import threading
from collections import Counter
from urllib.parse import urlsplit

import msgspec
import pytest

from tests.e2e.calling import SOON
from tests.stack import Stack, wait_for

CLIENTS = 16
ENOUGH = 80  # batches: each client has sent some
BODY = msgspec.json.encode({"batch": [{"type": "track", "event": "stopping", "userId": "u"}]})
PIPELINE = "/api/v2/pipeline"


class Crowd:
    """Clients that send one batch after the other until told to stop; what they were told."""

    def __init__(self, stack: Stack) -> None:
        self.batches: list[str] = []
        self.answers: Counter[int] = Counter()
        self.over = threading.Event()
        self._pending: list[str] = []
        self._address = urlsplit(stack.url).netloc
        self._headers = {"Authorization": f"Bearer {stack.secret_key}", "Host": "localhost"}
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        while not self.over.is_set():
            line = http.client.HTTPConnection(self._address, timeout=SOON)
            try:
                while not self.over.is_set():
                    line.request("POST", f"{PIPELINE}/ingest", BODY, self._headers)
                    answer = line.getresponse()
                    document = answer.read()
                    self.answers[answer.status] += 1
                    if answer.status == 202:
                        self.batches.append(msgspec.json.decode(document)["batchId"])
            except (OSError, http.client.HTTPException):
                self.answers[0] += 1
                self.over.wait(0.05)  # nobody listens: not a loop that takes the processor
            finally:
                line.close()

    def end(self) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(SOON)
        assert not any(thread.is_alive() for thread in self._threads), "somebody was left without an answer"
        self._pending = list(self.batches)

    def all_applied(self) -> bool:
        """Asks only about those that were not when it was asked before."""
        line = http.client.HTTPConnection(self._address, timeout=SOON)
        while self._pending:
            line.request("GET", f"{PIPELINE}/batches/{self._pending[-1]}", headers=self._headers)
            if msgspec.json.decode(line.getresponse().read())["status"] != "applied":
                break
            self._pending.pop()
        line.close()
        return not self._pending


@pytest.mark.usefixtures("left_well")
def test_a_stop_under_load(stack: Stack) -> None:
    crowd = Crowd(stack)
    try:
        wait_for(lambda: len(crowd.batches) > ENOUGH, "the load")
        old = stack.pids["web"]
        os.kill(old, signal.SIGTERM)
        wait_for(lambda: stack.pids.get("web", old) != old, "another web process")
        seen = len(crowd.batches)
        wait_for(lambda: len(crowd.batches) > seen + ENOUGH, "acknowledgements of the other one")
    finally:
        crowd.end()
    assert set(crowd.answers) <= {202, 503, 0}
    assert len(crowd.batches) == len(set(crowd.batches)) == crowd.answers[202]
    wait_for(crowd.all_applied, "everything to be applied")
