from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from keys.commands import ACTOR, one_line, the_key
from keys.services import revoke_key


class Command(BaseCommand):
    help = "End a key. It stops working everywhere within 2 seconds, open streams included."
    requires_system_checks = ()  # they load every page and form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("lookup", help="the start of the key, as `list_keys` shows it")

    @one_line
    def handle(self, *args: Any, **options: Any) -> None:
        key = the_key(options["lookup"])
        revoke_key(key=key, actor=ACTOR)
        self.stderr.write(f"{key.lookup} is revoked.")
