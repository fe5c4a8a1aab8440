"""The editor: what it shows is what it saves, for every kind of rule; by its fields, or by the JSON beside them."""

import html
import json
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from keys.models import Project
from segments.models import Persona, PersonaVersion
from tests.ingestion import applying
from tests.pages import forms, rows
from tests.segments import living

pytestmark = pytest.mark.django_db

VIEWED: dict[str, Any] = {"op": "event", "event": "page_viewed", "cmp": "gte", "value": 3, "window": {"last": "P1D"}}
BOUGHT: dict[str, Any] = {"op": "event", "event": "checkout_completed", "cmp": "gte", "value": 1}
RULES: dict[str, dict[str, Any]] = {
    "one event": VIEWED,
    "high intent": {"op": "all", "of": [
        {**VIEWED, "where": {"op": "trait", "path": "path", "cmp": "prefix", "value": "/pricing"}},
        {"op": "not", "of": {**BOUGHT, "window": {"last": "P1D"}}}]},
    "two filters": {**VIEWED, "where": {"op": "all", "of": [
        {"op": "trait", "path": "total", "cmp": "gte", "value": 5.5},
        {"op": "trait", "path": "code", "cmp": "eq", "value": "5"}]}},
    "filters of either": {**VIEWED, "where": {"op": "any", "of": [
        {"op": "trait", "path": "a", "cmp": "exists"}, {"op": "trait", "path": "b", "cmp": "exists"}]}},
    "cart": {"op": "sequence", "steps": [{"event": "cart_added"}], "same": ["cart_id"], "within": "P1D",
             "absent": {"event": "checkout_completed", "within": "PT1H"}, "window": {"last": "P3D"}},
    "sum and since": {"op": "all", "of": [
        {"op": "event", "event": "order_placed", "agg": {"fn": "sum", "prop": "total"}, "cmp": "gte", "value": 500},
        {"op": "since", "event": "*", "which": "last", "cmp": "gte", "value": "P30D", "if_never": True}]},
    "dates": {"op": "all", "of": [{"op": "trait", "path": "plan", "cmp": "eq", "value": "trial"},
                                  {"op": "trait", "path": "trial_ends_at", "cmp": "within_next", "value": "P3D"}]},
    "instants of events": {"op": "all", "of": [
        {**VIEWED, "agg": {"fn": "last", "prop": "paid_until"}, "cmp": "within_next", "value": "P3D"},
        {"op": "not", "of": {**VIEWED, "agg": {"fn": "first", "prop": "at"}, "cmp": "older_than", "value": "PT90M"}}]},
    "between": {**VIEWED, "window": {"between": ["P90D", "P30D"]}},
    "nothing of the kind": {"op": "not", "of": {"op": "any", "of": [VIEWED, BOUGHT]}},
    "not all": {"op": "not", "of": {"op": "all", "of": [VIEWED, BOUGHT]}},
    "nested": {"op": "any", "of": [{"op": "all", "of": [VIEWED, {"op": "any", "of": [BOUGHT]}]}, BOUGHT]},
    "types": {"op": "any", "of": [
        {"op": "trait", "path": "a", "cmp": "eq", "value": True},
        {"op": "trait", "path": "a", "cmp": "eq", "value": "true"},
        {"op": "trait", "path": "a", "cmp": "in", "value": [1, "1", False, "x y"]},
        {"op": "trait", "path": "a", "cmp": "in", "value": ["one, two"]},
        {"op": "trait", "path": "a", "cmp": "prefix", "value": "12"},
        {"op": "trait", "path": "a", "cmp": "eq", "value": ' "quoted" '},
        {"op": "trait", "path": "a", "cmp": "missing"}]},
    "steps": {"op": "sequence", "steps": [{"event": "a"}, {"event": "b"}, {"event": "c"}], "within": "PT90M",
              "strict": True},
    "steps with filters": {"op": "sequence", "within": "P1D", "steps": [
        {"event": "a", "where": {"op": "trait", "path": "x", "cmp": "eq", "value": 1}}, {"event": "b"}]},
    "odd": {"op": "all", "of": [{"op": "bucket", "salt": "s", "from": 0, "to": 9}, {"op": "list", "profiles": ["u_a"]},
        {**VIEWED, "window": {"calendar": "day", "back": 0, "tz": "Europe/Istanbul"}},
        {"op": "not", "of": {"op": "not", "of": VIEWED}}]},
    "distinct": {**VIEWED, "agg": {"fn": "distinct", "prop": "category"}, "window": {"last": "PT0.5S"}},
}  # fmt: skip


@pytest.fixture(autouse=True)
def fresh_counters(db: None) -> None:
    cache.clear()


def edit(client: Client, slug: str = "mine") -> str:
    return client.get(f"/projects/shop/personas/{slug}/edit/").content.decode()


@pytest.mark.parametrize("name", RULES)
def test_what_is_saved_unchanged_is_unchanged(name: str, project: Project, as_bob: Client) -> None:
    persona = living.persona(project, "mine", RULES[name])
    page = edit(as_bob)
    given = forms.fields(page)
    given["json_was"] = given["json"] = ""  # the fields alone
    answer = as_bob.post("/projects/shop/personas/mine/edit/", {**given, "do": "save"})
    assert answer.status_code == 302, forms.fields(answer.content.decode())["json"]
    persona.refresh_from_db()
    assert (persona.rule["rule"], persona.version) == (RULES[name], 1)
    shown = as_bob.post("/projects/shop/personas/mine/edit/", {**given, "do": "layout"}).content.decode()
    assert json.loads(forms.fields(shown)["json"])["rule"] == RULES[name]


def test_a_persona_is_made_by_fields_alone(project: Project, as_bob: Client) -> None:
    applying.put(project, *[applying.track(userId="u-1", messageId=f"m{n}") for n in range(3)], received_at=rows.now())
    living.settle()
    address = "/projects/shop/new-persona/"
    given = forms.fields(as_bob.get(address).content.decode())
    given |= {"r.0.event": "page_viewed", "r.0.value": "3", "slug": "keen", "name": "Keen"}
    for deed in ("add:r", "filter:r.0", "group:r"):
        page = as_bob.post(address, {**given, "do": deed}).content.decode()
        given = forms.fields(page)
    assert given["r.0.event"] == "page_viewed"
    given |= {"r.1.kind": "trait", "r.2.0.event": "order_placed", "r.0.w.0.path": "price", "r.0.w.0.value": "5"}
    given = forms.fields(as_bob.post(address, {**given, "do": "layout"}).content.decode())
    assert given["r.1.was"] == "trait"
    for deed in ("remove:r.2", "remove:r.1", "remove:r.0.w.0"):
        given = forms.fields(as_bob.post(address, {**given, "do": deed}).content.decode())
    previewed = as_bob.post(address, {**given, "do": "preview"}).content.decode()
    assert '<dd class="enter">+1</dd>' in previewed
    assert not Persona.objects.exists()
    saved = as_bob.post(address, {**given, "do": "save"})
    assert saved["Location"] == "/projects/shop/personas/keen/"
    assert Persona.objects.get().rule == {"v": 1, "rule": {
        "op": "event", "event": "page_viewed", "cmp": "gte", "value": 3, "window": {"last": "P7D"}}}  # fmt: skip
    living.settle()
    assert living.members(project, "keen") == {"u-1"}


def test_the_json_has_the_last_word_when_it_was_changed(project: Project, as_bob: Client) -> None:
    living.persona(project, "mine", VIEWED)
    given = forms.fields(edit(as_bob))
    document = {"v": 1, "rule": RULES["high intent"], "identified_only": True}
    shown = as_bob.post("/projects/shop/personas/mine/edit/", {**given, "json": json.dumps(document), "do": "layout"})
    given = forms.fields(shown.content.decode())
    assert (given["r.0.w.0.value"], given["identified_only"]) == ("/pricing", "yes")
    as_bob.post("/projects/shop/personas/mine/edit/", {**given, "do": "save"})
    assert Persona.objects.get().rule == document
    assert list(PersonaVersion.objects.values_list("version", "author").order_by("version")) == [
        (1, "alice"),
        (2, "bob"),
    ]


@pytest.mark.parametrize(
    ("changed", "said", "beside"),
    [
        ({"r.0.n": "500"}, "for 400 days in this project. Choose no more", "r.0"),
        ({"r.0.n": "1.5"}, "Write a whole number above 0", "r.0"),
        ({"r.0.window": "between", "r.0.n2": "9"}, "The greater number comes first", "r.0"),
        ({"r.0.event": ""}, "Name the event", "r.0"),
        ({"r.0.value": "many"}, "Write how often, as a whole number", "r.0"),
        ({"r.0.w.0.path": "price", "r.0.w.0.cmp": "gt", "r.0.w.0.value": ""}, "Write a value", "r.0"),
        ({"r.0.kind": "member"}, "Choose a persona", "r.0"),
        ({"r.0.fn": "last", "r.0.prop": "at", "r.0.cmp": "older_than", "r.0.value": "soon"}, "Write a span", "r.0"),
    ],
)
def test_what_is_wrong_is_said_beside_its_condition(
    changed: dict[str, str], said: str, beside: str, project: Project, as_bob: Client
) -> None:
    living.persona(project, "mine", VIEWED)
    given = {**forms.fields(edit(as_bob)), **changed}
    answer = as_bob.post("/projects/shop/personas/mine/edit/", {**given, "do": "save"})
    assert answer.status_code == 422
    page = html.unescape(answer.content.decode())
    assert said in page.partition(f'id="{beside}-wrong"')[2][:600]
    assert Persona.objects.get().version == 1
    assert 'aria-invalid="true"' in page


@pytest.mark.parametrize(("fn", "offered"), [("count", False), ("sum", False), ("first", True), ("last", True)])
def test_what_the_first_or_last_event_says_may_be_an_instant(
    fn: str, offered: bool, project: Project, as_bob: Client
) -> None:
    living.persona(project, "mine", RULES["two filters"])
    given = {**forms.fields(edit(as_bob)), "r.0.fn": fn, "do": "layout"}
    page = as_bob.post("/projects/shop/personas/mine/edit/", given).content.decode()
    comparisons = {name: page.partition(f'name="r.0{name}.cmp"')[2].partition("</select>")[0] for name in ("", ".w.0")}
    assert {name: "older_than" in options for name, options in comparisons.items()} == {"": offered, ".w.0": False}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "This is not JSON"),
        ("[]", "A rule is an object such as"),
        ("[" * 50_000, "This is not JSON"),
        ('{"v": 1, "rule": {"op": "event"}, "name": 5}', "name: a rule has v, rule"),
        ('{"v": 1, "rule": {"op": "evnt"}}', "Here op is one of"),
    ],
)
def test_what_is_wrong_with_the_json_is_said(text: str, said: str, project: Project, as_bob: Client) -> None:
    living.persona(project, "mine", VIEWED)
    given = forms.fields(edit(as_bob))
    answer = as_bob.post("/projects/shop/personas/mine/edit/", {**given, "json": text, "do": "save"})
    assert answer.status_code == 422
    assert said in html.unescape(answer.content.decode())
    assert Persona.objects.get().version == 1


@pytest.mark.parametrize(
    "sent",
    [
        {"do": "save"},
        {"do": "remove:r"},
        {"do": "add:r.7.9.x"},
        {"do": "add:"},
        {"do": "explode:r"},
        {"r": "x", "r.0": "y", "r.0.event": "z", "r.0.0.0.0.0.0.0.0.0.0.0.0.kind": "group"},
        {"r.0.kind": "group", "r.0.match": "none"},
        {"r.0.kind": "json", "r.0.was": "json", "r.0.json": "7"},
        {"r.0.w": "x", "r.0.s": "y", "r.0.kind": "sequence", "r.0.was": "sequence"},
        {f"r.{n}.kind": "event" for n in range(300)},
    ],
)
def test_a_form_that_nobody_could_fill_in_breaks_nothing(
    sent: dict[str, str], project: Project, as_bob: Client
) -> None:
    assert as_bob.post("/projects/shop/new-persona/", {"slug": "x", **sent}).status_code in (200, 422)
    assert not Persona.objects.exists()


@pytest.mark.parametrize(
    ("slug", "said"), [("", "Say what it is called"), ("Not A Slug", "slug"), ("taken", "already")]
)
def test_a_slug_that_cannot_be_is_said_beside_its_field(slug: str, said: str, project: Project, as_bob: Client) -> None:
    living.persona(project, "taken", VIEWED)
    given = {**forms.fields(as_bob.get("/projects/shop/new-persona/").content.decode()), "r.0.event": "x", "slug": slug}
    answer = as_bob.post("/projects/shop/new-persona/", {**given, "do": "save"})
    assert answer.status_code == 422
    assert said in html.unescape(answer.content.decode().partition('id="slug-wrong"')[2][:500])


def test_names_and_properties_that_were_seen_are_offered(project: Project, as_bob: Client) -> None:
    sent = applying.track("order_placed", userId="u-1", properties={"total": 5})
    who = {"type": "identify", "userId": "u-1", "traits": {"plan": "trial"}}
    applying.put(project, sent, who, received_at=rows.now())
    living.settle()
    page = as_bob.get("/projects/shop/new-persona/").content.decode()
    assert [f'<option value="{name}">' in page for name in ("order_placed", "total", "plan")] == [True] * 3
