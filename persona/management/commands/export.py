"""`manage.py export PROJECT > project.yml`"""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from keys.commands import one_line, the_project
from persona.lib import plainyaml
from persona.transfer import document


class Command(BaseCommand):
    help = "Personas and settings of a project as YAML, to standard output. `import` brings it back, here or elsewhere."
    requires_system_checks = ()  # they load every page and form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="slug of the project")

    @one_line
    def handle(self, *args: Any, **options: Any) -> None:
        found = document(the_project(options["project"]))
        self.stdout.write(plainyaml.dumps(found), ending="")
