"""The wires that events come in through. One file each; none knows another."""

from typing import Protocol

from ingestion.dialects import pipeline, productgraph, segment, segops, shopify
from ingestion.events import Limits, Outcome, Reading
from persona.lib.problems import Problem
from persona.lib.wire import Answer


class Dialect(Protocol):
    """One wire format: how a request body is read, and how it is answered. Pure."""

    @property
    def NAME(self) -> str: ...  # noqa: N802 - a module's constant

    @property
    def LIMITS(self) -> Limits: ...  # noqa: N802 - a module's constant

    def read(self, body: bytes) -> Reading:
        """Raises Problem 400 when the body cannot be read as a whole."""

    def judge(self, body: bytes) -> Outcome:
        """That of `read`, without the events. Raises as `read` does."""

    def accepted(self, outcome: Outcome, batch_id: str) -> Answer:
        """The batch is committed to the inbox."""

    def refused(self, problem: Problem) -> Answer:
        """The batch is not taken, for this reason."""

    def as_sent(self, body: bytes) -> list[bytes]:
        """The events of a body that `read` took, each in its sender's bytes."""

    def frame(self, body: bytes) -> bytes:
        """What of a body that `read` took is no event and gives its events meaning; without credentials."""

    def alone(self, event: bytes, frame: bytes) -> bytes:
        """A body that holds this one event in the frame of its first one: how a dead letter comes back."""

    def spoken_by(self, body: bytes, user_id: str | None, anonymous_id: str | None) -> bytes:
        """The same body with all its events of this person, whoever they claim to be of. Raises Problem 400."""


_WIRES: tuple[Dialect, ...] = (pipeline, productgraph, shopify, *segment.WIRES, *segops.WIRES)
DIALECTS: dict[str, Dialect] = {wire.NAME: wire for wire in _WIRES}
