from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from keys import shared
from keys.commands import ACTOR, one_line, the_project
from keys.models import ProjectSecret


class Command(BaseCommand):
    help = "End a secret: what was signed with it is refused from now on."
    requires_system_checks = ()  # they load every page and form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="slug of the project")
        parser.add_argument("number", type=int, help="as `list_secrets` shows it")

    @one_line
    def handle(self, *args: Any, **options: Any) -> None:
        project = the_project(options["project"])
        secret = ProjectSecret.objects.filter(project=project, pk=options["number"]).first()
        if secret is None:
            raise CommandError("There is no such secret; `list_secrets PROJECT` shows them.")
        shared.remove(secret=secret, actor=ACTOR)
        self.stderr.write(f"The secret {options['number']} of {project.slug} is removed.")
