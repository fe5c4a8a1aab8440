"""One command that runs everything."""

import sys
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Run everything: PostgreSQL (unless DATABASE_URL is set), migrations, demo project, web, worker, bulk, beat."
    requires_system_checks = ()

    def handle(self, *_: Any, **__: Any) -> None:
        from persona.running.up import run  # `manage.py help` need not load it

        sys.exit(run())
