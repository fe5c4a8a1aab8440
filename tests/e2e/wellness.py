"""What is not well with an installation."""

import http.client

from tests.e2e.calling import Caller, track
from tests.stack import Stack, alive, wait_for

PROBES = ("/ready", "/api/ingestion/health/")
LINES = 30  # of its log that a failure shows


def ailments(stack: Stack) -> list[str]:
    """Parts that do not run, what the probes say is missing, and what an event meets with."""
    server = Caller(stack.url, stack.secret_key)
    found = [f"{name} does not run" for name, pid in stack.pids.items() if not alive(pid)]
    try:
        for path in PROBES:
            got = server.ask("GET", path)
            if got.status != http.HTTPStatus.OK:
                found.append(f"{path}: {got.status} {got.body.decode()}")
        server.applied(server.ingest(track("well", "well")))
    except (OSError, http.client.HTTPException, AssertionError) as error:
        found.append(repr(error))
    return found


def require(stack: Stack) -> None:
    """Wait until nothing ails it. Raises AssertionError with what does."""
    try:
        wait_for(lambda: not ailments(stack), "the installation to be well")
    except AssertionError as error:
        said = "\n".join(stack.log.splitlines()[-LINES:])
        raise AssertionError(f"{error}; {'; '.join(ailments(stack))}\n{said}") from None
