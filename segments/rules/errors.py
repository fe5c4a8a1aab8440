"""Why a rule is refused."""


class RuleError(ValueError):
    """`path` names the place in the document (`rule.of[1].window`), `detail` says what is wrong and what is right."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"{path}: {detail}" if path else detail)
        self.path = path
        self.detail = detail
