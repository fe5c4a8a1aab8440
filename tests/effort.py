"""How much is tried of what is tried at random or in bulk: all of it with CI=true, and a share in a plain `make test`,
which somebody waits for."""

import os

THOROUGH = os.environ.get("CI") == "true"


def tries(thorough: int, *, plain: int) -> int:
    return thorough if THOROUGH else plain
