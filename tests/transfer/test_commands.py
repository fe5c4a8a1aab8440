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
from tests.segments.living import assert_log_is_state, members, now_ms, persona, settle, trait, viewed

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


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
RULE = "rule: {v: 1, rule: {op: trait, path: plan, cmp: eq, value: pro}}"


@pytest.mark.parametrize(
    ("text", "said_of_it"),
    [
        ("- 1", "not a document"), ("", "not a document"), ("persona: 2", "Invalid enum value 2"),
        ("persona: 1\ncolor: red", "color"), ("{", "line 1"), ("\x00", "cannot be read"),
        ("persona: 1\npersonas: [{slug: x, rule: {}}]", "rule"), ("1: x", "a key has to be a text"),
        ("persona: 1\npersona: 1", "'persona' is there twice"),
        (f"persona: 1\npersonas: [{{slug: x, {RULE}}}, {{slug: x, {RULE}}}]", "'x' is there twice"),
        (f"persona: 1\nsettings: {{flags: {{{BOMB.replace(chr(10), ', ')}}}}}", "more than 1000000 values"),
        ("persona: 1\nsettings: &s {flags: *s}", "nested more than"),
        ("persona: 1\nsettings: " + "[" * 3_000, "nested more than"),
        ("persona: 1\nsettings: {flags: {a: !!python/name:os.system }}", "line 2"),
        ("persona: 1\nsettings: {flags: {a: !!timestamp 2026-11-24}}", "line 2"),
        ("persona: 1\nsettings: {flags: {a: .1e+999}}", "too large"),
        ("persona: 1\nsettings: {refresh_after: 1.5}", "refresh"), ("persona: 1\nsettings: {sampling: 7}", "sampling"),
        ('persona: 1\nsettings: {flags: {a: "\\0"}}', "cannot be stored"),
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_refused_in_one_line(shop: Project, tmp_path: Path, text: str, said_of_it: str) -> None:
    file = tmp_path / "bad.yml"
    file.write_text(text)
    before = said("export", "shop")
    with pytest.raises(CommandError) as refused:
        said("import", "shop", str(file))
    assert said_of_it in str(refused.value)
    assert "\n" not in str(refused.value)
    assert said("export", "shop") == before


def test_all_of_it_is_done_or_nothing(shop: Project, tmp_path: Path) -> None:
    found = yaml.safe_load(said("export", "shop"))
    found["settings"]["sample_rate"] = 0.1
    found["personas"][0]["name"] = "Another name"
    found["personas"].append({"slug": "bad", "rule": {"v": 1, "rule": {"op": "member", "persona": "nobody"}}})
    before = said("export", "shop")
    with pytest.raises(CommandError):
        _push(tmp_path, found)
    assert said("export", "shop") == before
    assert not AuditEntry.objects.filter(actor="manage.py").exists()


def _push(folder: Path, found: Any, *options: str) -> list[str]:
    file = folder / "pushed.yml"
    file.write_text(yaml.safe_dump(found, sort_keys=False))
    return said("import", "shop", str(file), *options).splitlines()


def test_what_is_taken_out_of_the_file_stays_unless_it_is_asked_that_it_goes(shop: Project, tmp_path: Path) -> None:
    whole = yaml.safe_load(said("export", "shop"))
    less = {**whole, "personas": [one for one in whole["personas"] if one["slug"] in ("held", "draft")]}
    assert _push(tmp_path, less) == ["Nothing differs."]
    assert _push(tmp_path, less, "--prune") == ["a_upon deleted", "b_base deleted"]
    settle()
    assert yaml.safe_load(said("export", "shop")) == less
    upon = {**whole, "personas": [one for one in whole["personas"] if one["slug"] != "b_base"]}
    with pytest.raises(CommandError):
        _push(tmp_path, upon, "--prune")  # a_upon would refer to nobody
    assert _push(tmp_path, whole, "--prune") == ["b_base created", "a_upon created"]
    with pytest.raises(CommandError, match="b_base"):
        _push(tmp_path, upon, "--prune")
    assert yaml.safe_load(said("export", "shop")) == whole


def test_another_slug_is_another_persona_and_those_that_refer_to_it_follow(shop: Project, tmp_path: Path) -> None:
    put(shop, track(userId="ann"), received_at=now_ms())
    settle()
    found = yaml.safe_load(said("export", "shop"))
    by_slug = {one["slug"]: one for one in found["personas"]}
    by_slug["b_base"] |= {"slug": "c_base"}
    by_slug["a_upon"]["rule"]["rule"]["persona"] = "c_base"
    told = _push(tmp_path, found, "--prune")
    assert told == ["c_base created", "a_upon changed: rule", "b_base deleted"]
    settle()
    back = yaml.safe_load(said("export", "shop"))
    assert {one["slug"] for one in back["personas"]} == {"a_upon", "c_base", "draft", "held"}
    assert members(shop, "c_base") == members(shop, "a_upon") == {"ann"}
    assert_log_is_state(shop)


WORDS = "on yes null ~ 2026-11-24 2026-11-24T00:00:00Z 1e3 1.5e3 1.0e+3 017 0x1f 0o7 1_000 12:30 .inf .nan = << *a &a"
SIGNS = "!x # % @ ` true True tRUE - ? ' \" { [] |- > \u2028 \ufeff \x85 a\x85b a\r\nb \U0001f600 \x7f"
TRICKY = [*WORDS.split(" "), *SIGNS.split(" "), "", "- a", "a: b", " leading", "trailing ", "two\nlines", "tab\t"]


def test_texts_that_look_like_something_else_come_back_as_they_were(shop: Project, tmp_path: Path) -> None:
    flags = {f"{number} {text}": text for number, text in enumerate(TRICKY)}
    flags |= dict.fromkeys(TRICKY, "")
    numbers = [0, -1, 1.5, 1e20, 1e-7, 2**53 + 1, -0.5, True, False, None]
    shop.settings = {"flags": {**flags, "numbers": numbers}}
    shop.save()
    persona(shop, "tricky", trait("plan", TRICKY[7]))
    file = tmp_path / "tricky.yml"
    file.write_text(said("export", "shop"), "utf-8")
    assert said("import", "shop", str(file)) == "Nothing differs.\n"


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
