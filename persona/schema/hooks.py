"""The OpenAPI document of everything under /api/ and /v1/, and the page to read it.

Shapes come from the structs that the views use, examples from the reference pages, refusals from the one problem type.
"""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.generators import SchemaGenerator

from persona.schema import parameters as described
from persona.schema import wires as schema_wires
from persona.schema.refusals import ProblemDocument, refusals
from persona.schema.refusals import components as responses
from persona.schema.streams import STREAMS
from segments.rules.schema import schema as rule_schema

REFERENCE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "api.md"
REF = "#/components/schemas/{name}"
MANAGED = "/api/projects"
NDJSON = "application/x-ndjson"
SECTION = re.compile(r"^### ([A-Z]+) (\S+)\n(.*?)(?=^##)", re.DOTALL | re.MULTILINE)
JSON_BLOCK = re.compile(r"^```json\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SENTENCE = re.compile(r"\A\s*(.+?)(?=\n\n|\n```|\Z)", re.DOTALL)
# Swagger UI sets styles of its own and has its icons inline; scripts are files of this server.
PAGE_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'"
)

Json = dict[str, Any]

_used: set[type[msgspec.Struct]] = set()  # structs that views name


class StructExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # its registration has no types
    """Structs of msgspec wherever a serializer may stand."""

    target_class = "msgspec.Struct"
    match_subclasses = True

    def get_name(self, auto_schema: Any, direction: Any) -> str | None:
        return str(self.target.__name__)

    def map_serializer(self, auto_schema: Any, direction: Any) -> Any:
        """What it is made of is added by `complete`."""
        _used.add(self.target)
        return msgspec.json.schema_components([self.target], ref_template=REF)[1][self.target.__name__]


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its registration has no types
    """A secret key of the project."""

    target_class = "keys.api.access.KeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "A secret key (`sk_...`) of the project."}


class PersonScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its registration has no types
    """The token of a person."""

    target_class = "keys.api.access.PersonAuthentication"
    name = "person"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The token of a person."}


def complete(result: Json, **_: Any) -> Json:
    """A postprocessing hook: the streams, addresses without their optional slash, shapes, refusals, examples."""
    paths: dict[str, Json] = {address.rstrip("/") or "/": item for address, item in result["paths"].items()}
    result["paths"] = dict(sorted({**paths, **STREAMS}.items()))
    result["components"].setdefault("schemas", {}).update(_components())
    result["components"]["responses"] = responses()
    for address, item in result["paths"].items():
        for method, operation in item.items():
            _complete(operation, address, method)
    return dict(sorted(result.items()))


def _complete(operation: Json, address: str, method: str) -> None:
    managed = address.startswith(MANAGED)
    _shape(operation)
    for status, answer in refusals(address, method=method, managed=managed).items():
        operation["responses"].setdefault(status, answer)
    described.describe(operation, address=address, method=method, managed=managed)
    if operation["operationId"] in schema_wires.OPEN:
        operation["security"] = [{}]
    elif not managed:
        operation.setdefault("security", [{"key": []}])
    if managed:
        _illustrate(operation, method.upper(), _below(address))


def _components() -> Json:
    answers = (shape for statuses in schema_wires.ANSWERS.values() for shape in statuses.values())
    named = [shape for shape in (*schema_wires.BODIES.values(), *answers) if shape is not dict]
    structs = [ProblemDocument, schema_wires.Detail, schema_wires.SegmentRefusal, *schema_wires.EXTRA, *named, *_used]
    return {**msgspec.json.schema_components(structs, ref_template=REF)[1], **_rule()}


def _rule() -> Json:
    """The rule language: its parts as components of their own."""
    text = json.dumps(rule_schema()).replace('"#/$defs/', '"#/components/schemas/Rule.')
    whole = json.loads(text)
    whole.pop("$schema")
    parts = {f"Rule.{name}": part for name, part in whole.pop("$defs").items()}
    return {"Rule": whole, **parts}


@lru_cache(maxsize=1)
def document() -> bytes:
    """The document as JSON, made once a process."""
    made = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # it has no types
    return json.dumps(made).encode()


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    """`/api/schema/`: open to everybody, as the code is."""
    return HttpResponse(document(), "application/json")


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """`/api/docs/`: the document to read and to try."""
    response = render(request, "api_docs.html")
    response["Content-Security-Policy"] = PAGE_POLICY
    return response


def _shape(operation: Json) -> None:
    """Of a wire: what it takes and answers."""
    name = operation["operationId"]
    if name in schema_wires.ANSWERS:
        operation["responses"] = {
            status: {"description": (shape.__doc__ or "").split("\n")[0], "content": _content(shape)}
            for status, shape in schema_wires.ANSWERS[name].items()
        }
    if name in schema_wires.BODIES:
        needed = name not in schema_wires.BODILESS
        operation["requestBody"] = {"required": needed, "content": _content(schema_wires.BODIES[name])}


def _content(struct: type) -> Json:
    shape = {"type": "object"} if struct is dict else {"$ref": REF.format(name=struct.__name__)}
    return {"application/json": {"schema": shape}}


def _illustrate(operation: Json, method: str, address: str) -> None:
    """What the reference says of it, and its example."""
    said = _reference().get((method, address))
    if said is None:
        return
    text, example = said
    operation["description"] = text
    for status, answer in operation["responses"].items():
        for kind, media in answer.get("content", {}).items():
            if status.startswith("2") and example is not None:
                media["example"] = json.dumps(example) + "\n" if kind == NDJSON else example


def _below(address: str) -> str:
    return address.removeprefix(f"{MANAGED}/{{project}}/")


@lru_cache(maxsize=1)
def _reference() -> dict[tuple[str, str], tuple[str, Any]]:
    """By method and address: the first words under its heading in the reference, and the JSON of an answer there."""
    found: dict[tuple[str, str], tuple[str, Any]] = {}
    for method, address, section in SECTION.findall(REFERENCE.read_text() + "\n##"):
        words = SENTENCE.search(section)
        found[method, address] = (words[1] if words else "", _example(section))
    return found


def _example(section: str) -> Any:
    """The first block of JSON that is no refusal."""
    for text in JSON_BLOCK.findall(section):
        decoded = json.loads(text)
        if not (isinstance(decoded, dict) and decoded.get("type", "").startswith("/docs/")):
            return decoded
    return None
