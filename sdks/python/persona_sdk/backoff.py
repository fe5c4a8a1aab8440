"""How long to wait before trying again."""

import math
import random
from email.utils import parsedate_to_datetime
from time import time

LONGEST_ORDER = 3_600.0  # seconds; a server that asks for more is not believed


class Backoff:
    """Full jitter: a pause by chance between nothing and a bound that doubles with each failure up to a cap."""

    def __init__(self, base_ms: int, cap_ms: int) -> None:
        self.base_ms, self.cap_ms = base_ms, cap_ms
        self._failures = 0

    def seconds(self) -> float:
        """The next pause."""
        bound = min(self.cap_ms, self.base_ms * 2 ** min(self._failures, 30))
        self._failures += 1
        return random.uniform(0, bound) / 1_000  # noqa: S311 - chance, not secrecy

    def succeeded(self) -> None:
        self._failures = 0


def retry_after(value: str | None) -> float:
    """Seconds that a Retry-After header asks for, in either of its forms; 0 without one."""
    if not value:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time()
        except (TypeError, ValueError, OverflowError):
            return 0.0
    return 0.0 if math.isnan(seconds) else min(max(seconds, 0.0), LONGEST_ORDER)
