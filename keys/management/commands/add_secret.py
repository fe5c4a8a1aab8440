import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from keys import shared
from keys.commands import ACTOR, one_line, the_project


class Command(BaseCommand):
    help = "Give a project another secret to verify signatures with. Shopify's is read from standard input."
    requires_system_checks = ()  # they load every page and form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="slug of the project")
        parser.add_argument("kind", choices=shared.Kind.values, help="who signs with it")
        parser.add_argument("--stdin", action="store_true", help="an identity secret that exists already")

    @one_line
    def handle(self, *args: Any, **options: Any) -> None:
        kind, project = options["kind"], the_project(options["project"])
        given = sys.stdin.readline() if options["stdin"] or kind == shared.Kind.SHOPIFY else None
        secret = shared.add(project=project, kind=kind, value=given, actor=ACTOR)
        if given is not None:
            self.stderr.write(f"{project.slug} has another {kind} secret.")
            return
        self.stderr.write(f"An {kind} secret of {project.slug} is made. It is shown only now:")
        self.stdout.write(secret)
