from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from keys.commands import one_line, the_project
from keys.models import ApiKey
from keys.state import state


class Command(BaseCommand):
    help = "List the keys of a project, newest first; never a secret."
    requires_system_checks = ()  # they load every page and form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="slug of the project")

    @one_line
    def handle(self, *args: Any, **options: Any) -> None:
        project = the_project(options["project"])
        now = timezone.now()
        for key in ApiKey.objects.filter(project=project).order_by("-id"):
            limits = " ".join([*key.origins, *key.scopes]) or "no limits"
            until = f"{key.expires_at:%Y-%m-%dT%H:%M:%SZ}" if key.expires_at else "-"
            self.stdout.write("  ".join([key.lookup, f"{state(key, now):8}", f"{until:20}", key.name, f"({limits})"]))
