from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from keys.commands import ACTOR, one_line
from keys.models import Project
from keys.services import create_project


class Command(BaseCommand):
    help = "Make a project and its first owner."
    requires_system_checks = ()  # they load every page and form

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="its name in addresses; never changes")
        parser.add_argument("--name", help="its name for people (default: the slug)")
        parser.add_argument("--mode", choices=Project.Mode.values, default=Project.Mode.LIVE.value)
        parser.add_argument("--owner", required=True, metavar="USER", help="user name of the first owner")

    @one_line
    def handle(self, *args: Any, **options: Any) -> None:
        owner = User.objects.filter(username=options["owner"]).first()
        if owner is None:
            raise CommandError(f"There is no user {options['owner']!r}. Make one with `manage.py createsuperuser`.")
        project = create_project(
            slug=options["slug"],
            name=options["name"] or options["slug"],
            mode=options["mode"],
            owner=owner,
            actor=ACTOR,
        )
        self.stderr.write(f"Project {project.slug} ({project.mode}) is made; {owner.username} owns it.")
