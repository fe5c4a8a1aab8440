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

from persona.schema_shapes import ANSWERS, BODIES

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "api.md"
REF = "#/components/schemas/{name}"
MANAGED = "/api/projects"
EXAMPLE = re.compile(r"^### ([A-Z]+) (\S+)\n(.*?)(?=^##)", re.DOTALL | re.MULTILINE)
JSON_BLOCK = re.compile(r"^```json\n(.*?)^```$", re.DOTALL | re.MULTILINE)
WRITES = frozenset({"post", "patch", "put", "delete"})
# What any operation of the management API may answer; the codes are on the page of errors.
REFUSALS = {
    "400": "What was sent cannot be taken; `detail` says why.",
    "401": "No good key.",
    "403": "The key or the role does not allow it, or a form token is missing.",
    "404": "Not there, or not yours to see.",
    "405": "Another method is needed.",
    "406": "Answers are JSON.",
    "413": "The body is too large.",
    "429": "Too many requests.",
    "503": "The database does not answer; nothing was done.",
}
REFUSALS_OF_WRITES = {
    "409": "The state does not allow it.",
    "412": "It was changed since it was read (`If-Match`).",
    "415": "Send application/json.",
    "422": "The Idempotency-Key was used for another body.",
    "428": "`If-Match` is needed.",
}
# Swagger UI sets styles of its own and has its icons inline; scripts are files of this server.
PAGE_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'"
)

_used: set[type[msgspec.Struct]] = set()  # structs that views name


class ProblemDocument(msgspec.Struct):
    """A refusal (RFC 9457). code: stable; type: leads to its heading."""

    type: str
    title: str
    status: int
    code: str
    detail: str


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

    target_class = "keys.access.KeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "A secret key (`sk_...`) of the project."}


class PersonScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its registration has no types
    """The token of a person."""

    target_class = "keys.access.PersonAuthentication"
    name = "person"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The token of a person."}


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A postprocessing hook: addresses without their optional slash, shapes of older views, refusals, examples."""
    schemas = result["components"].setdefault("schemas", {})
    structs = [ProblemDocument, *ANSWERS.values(), *BODIES.values(), *_used]
    schemas.update(msgspec.json.schema_components(structs, ref_template=REF)[1])
    result["paths"] = {address.rstrip("/") or "/": item for address, item in result["paths"].items()}
    examples = _examples()
    for address, item in result["paths"].items():
        for method, operation in item.items():
            _shape(operation)
            if address.startswith(MANAGED):
                _refusals(operation, writes=method in WRITES)
                _illustrate(operation, examples.get((method.upper(), _below(address))))
    return dict(sorted(result.items()))


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


def _shape(operation: dict[str, Any]) -> None:
    name = operation["operationId"].removesuffix("_2")
    if name in ANSWERS:
        for status, answer in operation["responses"].items():
            if status.startswith("2"):
                answer["content"] = _content(ANSWERS[name])
    if name in BODIES:
        operation["requestBody"] = {"required": True, "content": _content(BODIES[name])}


def _content(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": REF.format(name=struct.__name__)}}}


def _refusals(operation: dict[str, Any], *, writes: bool) -> None:
    problem = {"application/problem+json": {"schema": {"$ref": REF.format(name=ProblemDocument.__name__)}}}
    for status, words in {**REFUSALS, **(REFUSALS_OF_WRITES if writes else {})}.items():
        operation["responses"].setdefault(status, {"description": words, "content": problem})


def _illustrate(operation: dict[str, Any], example: Any) -> None:
    for status, answer in operation["responses"].items():
        for media in answer.get("content", {}).values():
            if status.startswith("2") and example is not None:
                media["example"] = example


def _below(address: str) -> str:
    return address.removeprefix(f"{MANAGED}/{{project}}/")


@lru_cache(maxsize=1)
def _examples() -> dict[tuple[str, str], Any]:
    """By method and address: the JSON under its heading in the reference."""
    text = REFERENCE.read_text() + "\n##"
    found: dict[tuple[str, str], Any] = {}
    for method, address, section in EXAMPLE.findall(text):
        blocks = JSON_BLOCK.findall(section)
        if blocks and (decoded := json.loads(blocks[0])) and "code" not in decoded:
            found[method, address] = decoded
    return found
