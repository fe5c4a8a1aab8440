"""When to try again: exponential, with full jitter, so that what failed together does not come back together. Pure."""

import random

FIRST_MS = 4_000
LONGEST_MS = 3_600_000
LEAST_MS = 500
REST_FIRST_MS = 1_000
REST_LONGEST_MS = 30_000
HORIZON_MS = 24 * 3_600_000  # from the first try; a delivery that fails after it is a dead letter
FAILURES_TO_REST = 5  # of a receiver in a row: then it is left alone for a moment


def retry_in(tried: int, *, wait: int | None = None) -> int:
    """Milliseconds until the next try, after `tried` failed ones; at least `wait` seconds if the receiver said so."""
    bound = min(LONGEST_MS, FIRST_MS << min(tried - 1, 20))
    return max(LEAST_MS, random.randint(0, bound), min((wait or 0) * 1_000, HORIZON_MS))  # noqa: S311 - jitter


def is_over(first_tried_at: int, now: int) -> bool:
    """Whether a delivery that was first tried then (ms) has been tried long enough."""
    return now - first_tried_at >= HORIZON_MS


def rest_for(failures: int, *, wait: int | None = None) -> int:
    """Milliseconds for which a receiver that failed `failures` times in a row is left alone; 0 for the first few."""
    asked = min((wait or 0) * 1_000, LONGEST_MS)
    if failures < FAILURES_TO_REST:
        return asked
    bound = min(REST_LONGEST_MS, REST_FIRST_MS << min(failures - FAILURES_TO_REST, 10))
    return max(LEAST_MS, random.randint(bound // 2, bound), asked)  # noqa: S311 - jitter
