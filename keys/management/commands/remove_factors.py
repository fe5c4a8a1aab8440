from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from keys.commands import ACTOR, one_line, the_person
from keys.people.accounts import remove_factors


class Command(BaseCommand):
    help = "Take a lost second factor off an account, and end its sessions. The password stays."
    requires_system_checks = ()  # they load every page and form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the user name")

    @one_line
    def handle(self, *args: Any, **options: Any) -> None:
        gone = remove_factors(person=the_person(options["name"]), actor=ACTOR)
        self.stderr.write(f"{options['name']} has no second factor any more (there were {gone}). Sessions are ended.")
