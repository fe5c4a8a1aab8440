"""`manage.py import PROJECT project.yml`"""  # noqa: N999 - the command is called import

import sys
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandError, CommandParser

from keys.commands import ACTOR, one_line, the_project
from persona.transfer import bring_in


class Command(BaseCommand):
    help = "Create and change personas and settings as a file of `export` says. What is not in it stays as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="slug of the project")
        parser.add_argument("file", help="the file; - for standard input")

    @one_line
    def handle(self, *args: Any, **options: Any) -> None:
        project = the_project(options["project"])
        try:
            text = sys.stdin.read() if options["file"] == "-" else Path(options["file"]).read_text()
            given = yaml.safe_load(text)
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}.") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise CommandError(f"{options['file']} is not YAML: {str(error).splitlines()[0]}.") from None
        if not isinstance(given, dict):
            raise CommandError("This is not a document of `export`.")
        deeds = 0
        for deed in bring_in(project, given, actor=ACTOR):
            deeds += 1
            self.stdout.write(deed)
        if not deeds:
            self.stdout.write("Nothing differs.")
