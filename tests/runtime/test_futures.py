"""What threads promise each other is kept or broken, and never forgotten."""

import pytest

from persona.lib.futures import Promise, pending, then
from persona.lib.problems import Problem


def test_whoever_waits_is_told_even_if_the_refusal_fails() -> None:
    source: Promise[int] = pending()

    def refuses(_: int) -> str:
        raise Problem(400, "request.invalid", "No.")

    def fails(problem: Problem) -> str:
        raise problem

    answer = then(source, refuses, fails)
    source.set_result(1)
    with pytest.raises(Problem):
        answer.result(0)
