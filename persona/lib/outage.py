"""Something outside is away for a while: said once when it goes and once when it is back, counted in between."""

from persona.lib.log import get_logger

log = get_logger(__name__)


class Outage:
    """`name` is the entity in the log: "bell" gives bell.lost and bell.back. Not an error: whoever uses it goes on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failures = 0
        self.lasting = False

    def failed(self, error: BaseException) -> None:
        """One more failure; only the first of an outage is logged, without its text, which may hold an address."""
        self.failures += 1
        if not self.lasting:
            self.lasting = True
            log.warning(f"{self.name}.lost", error=type(error).__name__)

    def over(self) -> None:
        """It works; logged if it had not."""
        if self.lasting:
            self.lasting = False
            log.info(f"{self.name}.back", failures=self.failures)
