from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from keys.commands import ACTOR, one_line, span, the_key
from keys.services import rotate_key


class Command(BaseCommand):
    help = "Make the successor of a key; the old one works on for a while. The new secret goes to standard output."
    requires_system_checks = ()  # they load every page and form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("lookup", help="the start of the key, as `list_keys` shows it")
        parser.add_argument("--grace", default="24h", help="now, or a span such as 24h, 7d, 90d (the most)")

    @one_line
    def handle(self, *args: Any, **options: Any) -> None:
        old = the_key(options["lookup"])
        new, secret = rotate_key(key=old, grace=span(options["grace"]), actor=ACTOR)
        old.refresh_from_db()
        end = "now" if old.revoked_at else f"{old.expires_at:%Y-%m-%dT%H:%M:%SZ}"
        self.stderr.write(f"{new.lookup} succeeds {old.lookup}, which ends {end}. The new key is shown only now:")
        self.stdout.write(secret)
