from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.urls import reverse

from keys.commands import ACTOR, one_line, the_person
from keys.people.accounts import RESET, reset_key

HERE = "http://localhost:8000"


class Command(BaseCommand):
    help = "Print a link with which a person sets a new password. It works once, for 24 hours."
    requires_system_checks = ()  # they load every page and form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the user name")
        usual = settings.PUBLIC_URL or HERE
        parser.add_argument("--url", default=usual, help=f"what the link begins with; PERSONA_PUBLIC_URL, else {HERE}")

    @one_line
    def handle(self, *args: Any, **options: Any) -> None:
        parts = reset_key(person=the_person(options["name"]), actor=ACTOR)
        self.stdout.write(options["url"].rstrip("/") + reverse(RESET, args=parts))
        self.stderr.write("Whoever opens it sets the password: hand it to that person alone.")
