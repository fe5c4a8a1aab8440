#!/usr/bin/env python
"""Django's command line, and with `up` the whole product's."""

import gc
import os
import sys

gc.set_threshold(50_000, 20, 20)  # a start makes some hundred thousand objects, and nearly all of them stay


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "persona.settings")
    if sys.argv[1:] == ["up"]:
        # Not by way of Django: the supervisor starts sooner, and outlives what breaks in its children.
        from persona.running.up import run

        sys.exit(run())
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db.utils import OperationalError

    from persona.lib.env import BadEnvironment

    try:
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, BadEnvironment) as error:
        sys.exit(f"persona: {error}")
    except OperationalError as error:
        sys.exit(f"persona: {unreachable(error)}")


def unreachable(error: Exception) -> str:
    """One line for a database that does not answer; any other error is raised again."""
    from psycopg import OperationalError

    cause = error.__cause__
    if not isinstance(cause, OperationalError) or cause.sqlstate is not None:
        raise error
    reason = str(cause).partition("\n")[0]
    return f"{reason}. Start `manage.py up` (with the same PERSONA_HOME), or set DATABASE_URL."


if __name__ == "__main__":
    main()
