"""How every operation may refuse, for the OpenAPI document. The codes are on the page of errors."""

from typing import Any

import msgspec

from persona.schema.parameters import HEADERS, LIMITS, RETRY
from persona.schema.wires import FORMS, PLAIN, Form, form_at

ANY = {
    "400": "What was sent cannot be taken; `detail` says why.",
    "401": "No good key.",
    "403": "The key or the role does not allow it, or a form token is missing.",
    "404": "Not there, or not yours to see.",
    "405": "Another method is needed.",
    "408": "The body did not arrive in time.",
    "413": "The body has more bytes than are taken here.",
    "415": "Send application/json, as it is or compressed with gzip or deflate.",
    "429": "Too many requests.",
    "503": "It cannot be done right now, and was not done: the database is away, or too many ask at once.",
}
MANAGED = {"406": "Answers are JSON."}
WRITES = {
    "409": "The state does not allow it.",
    "412": "It was changed since it was read (`If-Match`).",
    "422": "The Idempotency-Key was used for another body.",
    "428": "`If-Match` is needed.",
}
MORE = {"429": {**RETRY, **LIMITS}, "503": RETRY}  # headers
WRITING = frozenset({"post", "patch", "put", "delete"})


class ProblemDocument(msgspec.Struct):
    """A refusal (RFC 9457). code: stable; type: leads to its heading."""

    type: str
    title: str
    status: int
    code: str
    detail: str


def refusals(address: str, *, method: str, managed: bool) -> dict[str, Any]:
    """By status: the answer of a refusal at that address, which stands in the components."""
    statuses = {**ANY, **(MANAGED if managed else {}), **(WRITES if managed and method in WRITING else {})}
    form = _name(form_at(address))
    return {status: {"$ref": f"#/components/responses/{form}.{status}"} for status in statuses}


def components() -> dict[str, Any]:
    """Every refusal in every form."""
    return {
        f"{_name(form)}.{status}": {
            "description": words,
            "content": _content(form),
            "headers": {**HEADERS, **MORE.get(status, {})},
        }
        for form in (None, *FORMS.values())
        for status, words in {**ANY, **MANAGED, **WRITES}.items()
    }


def _name(form: Form | None) -> str:
    return "ProblemDocument" if form is None else "Line" if form == PLAIN else form.__name__


def _content(form: Form | None) -> dict[str, Any]:
    if form == PLAIN:
        return {PLAIN: {"schema": {"type": "string"}}}
    shape = {"schema": {"$ref": f"#/components/schemas/{_name(form)}"}}
    return {"application/problem+json" if form is None else "application/json": shape}
