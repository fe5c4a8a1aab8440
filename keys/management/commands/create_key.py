from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from keys.commands import ACTOR, instant, one_line, the_project
from keys.models import ApiKey
from keys.scopes import SCOPES
from keys.services import issue_key


class Command(BaseCommand):
    help = "Make a key. The secret goes to standard output, once; everything else to standard error."
    requires_system_checks = ()  # they load every page and form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="slug of the project")
        parser.add_argument(
            "--kind", choices=ApiKey.Kind.values, required=True, help="pk: for browsers, sk: for servers"
        )
        parser.add_argument("--name", required=True, help="what it is for")
        parser.add_argument("--expires", metavar="WHEN", help="30d, 12h, or an instant such as 2030-01-31T00:00:00Z")
        parser.add_argument("--origin", action="append", default=[], help="allowed origin of a pk; again for more")
        parser.add_argument(
            "--scope", action="append", default=[], help=f"limits an sk; again for more: {', '.join(SCOPES)}"
        )

    @one_line
    def handle(self, *args: Any, **options: Any) -> None:
        key, secret = issue_key(
            project=the_project(options["project"]),
            kind=options["kind"],
            name=options["name"],
            actor=ACTOR,
            origins=options["origin"],
            scopes=options["scope"],
            expires_at=instant(options["expires"]),
        )
        self.stderr.write(f"Key {key.lookup} of {key.project.slug} is made. It is shown only now:")
        self.stdout.write(secret)
