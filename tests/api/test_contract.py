"""Every operation answers as the OpenAPI document says, whatever it is sent: in short here, at length `make contract`.

schemathesis asks with good and bad data, without and with wrong credentials, by methods that are not there, and again
for what it has deleted. It finds statuses, headers and shapes that the document does not name.
"""

from pathlib import Path

from tests.contract.running import prepared, run
from tests.effort import tries
from tests.stack import Stack

MOST = str(tries(2, plain=1))  # of an operation


def test_answers_are_those_of_the_document(stack: Stack, tmp_path: Path) -> None:
    before = len(stack.log)
    found = run(stack, prepared(stack), tmp_path, "--phases", "examples,fuzzing", "--max-examples", MOST, "--seed", "1")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "request.failed" not in stack.log[before:]
