from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from keys.commands import one_line, the_project
from keys.models import ProjectSecret


class Command(BaseCommand):
    help = "List the secrets that a project verifies signatures with, newest first; never their values."
    requires_system_checks = ()  # they load every page and form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="slug of the project")

    @one_line
    def handle(self, *args: Any, **options: Any) -> None:
        for secret in ProjectSecret.objects.filter(project=the_project(options["project"])).order_by("-id"):
            self.stdout.write(f"{secret.pk}  {secret.kind:8}  {secret.created_at:%Y-%m-%dT%H:%M:%SZ}")
