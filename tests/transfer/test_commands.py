"""Pull, edit, push: what `export` writes, `import` brings back; `tail` follows the log."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command

from keys.models import AuditEntry, Project
from segments.models import Persona, PersonaVersion
from segments.services import update_persona
from tests.ingestion.applying import put, track
from tests.segments.living import now_ms, persona, settle, trait, viewed

pytestmark = pytest.mark.django_db


def said(*words: Any, **options: Any) -> str:
    out = StringIO()
    call_command(*words, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def shop(project: Project) -> Project:
    persona(project, "b_base", viewed(1))
    persona(project, "a_upon", {"op": "member", "persona": "b_base"})
    persona(project, "draft", trait("plan", "Türkçe"), status="draft")
    held = persona(project, "held", viewed(3))
    update_persona(persona=held, changes={"status": "paused"}, actor="alice")
    project.settings = {"sample_rate": 0.5, "flags": {"beta": {"persona": "b_base"}}}
    project.save()
    return project


def test_it_comes_back_the_same_elsewhere(shop: Project, other_project: Project, tmp_path: Path) -> None:
    file = tmp_path / "shop.yml"
    file.write_text(said("export", "shop"))
    told = said("import", "elsewhere", str(file))
    assert told.splitlines()[0] == "settings changed"
    assert told.index("b_base created") < told.index("a_upon created")
    settle()
    first, second = (yaml.safe_load(said("export", slug)) for slug in ("shop", "elsewhere"))
    assert {**second, "project": "shop"} == first
    assert said("import", "elsewhere", str(file)) == "Nothing differs.\n"
    assert "Türkçe" in file.read_text()


def test_only_what_was_edited_changes(shop: Project, tmp_path: Path) -> None:
    found = yaml.safe_load(said("export", "shop"))
    by_slug = {one["slug"]: one for one in found["personas"]}
    by_slug["b_base"]["rule"]["rule"]["value"] = 2
    by_slug["draft"]["name"] = "The draft"
    file = tmp_path / "edited.yml"
    file.write_text(yaml.safe_dump(found))
    assert set(said("import", "shop", str(file)).splitlines()) == {"b_base changed: rule", "draft changed: name"}
    assert Persona.objects.get(project=shop, slug="b_base").version == 2
    assert PersonaVersion.objects.filter(persona__slug="a_upon").count() == 1
    assert AuditEntry.objects.filter(actor="manage.py", action="persona.changed").count() == 2


@pytest.mark.parametrize(
    "text", ["- 1", "persona: 2", "persona: 1\ncolor: red", "{", "persona: 1\npersonas: [{slug: x, rule: {}}]"]
)
def test_what_is_no_such_file_is_refused_in_one_line(shop: Project, tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.yml"
    file.write_text(text)
    with pytest.raises(CommandError):
        said("import", "shop", str(file))


def test_tail_tells_changes_as_ndjson_in_a_pipe(shop: Project) -> None:
    put(shop, track(userId="ann"), track(userId="bob"), received_at=now_ms())
    settle()
    rows = [json.loads(line) for line in said("tail", "shop", after=0, count=4).splitlines()]
    assert [row["seq"] for row in rows] == [1, 2, 3, 4]
    only = said("tail", "shop", persona=["b_base"], after=0, count=2).splitlines()
    assert {json.loads(line)["persona"] for line in only} == {"b_base"}
    with pytest.raises(CommandError, match="no persona"):
        said("tail", "shop", persona=["nobody"], after=0, count=1)
    with pytest.raises(CommandError, match="no project"):
        said("tail", "nothing", after=0, count=1)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_tail_has_colors_on_a_terminal(shop: Project) -> None:
    put(shop, track(userId="ann"), received_at=now_ms())
    settle()
    out = Terminal()
    call_command("tail", "shop", after=0, count=1, stdout=out, force_color=True)
    assert "\x1b[" in out.getvalue()
    assert "enter" in out.getvalue()
