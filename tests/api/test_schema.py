"""The OpenAPI document is valid and complete, and its page loads nothing from elsewhere."""

import re
from typing import Any

import pytest
from django.test import Client
from openapi_spec_validator import validate

from persona.schema import hooks as schema
from tests.test_docs import routes


@pytest.fixture(scope="module")
def document() -> Any:
    return Client().get("/api/schema/").json()


def managed(document: Any) -> list[tuple[str, str, Any]]:
    return [
        (method, address, operation)
        for address, item in document["paths"].items()
        if address.startswith("/api/projects")
        for method, operation in item.items()
    ]


def test_it_is_valid(document: Any) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1")


def test_it_has_every_operation_of_the_management_api(document: Any) -> None:
    known = {
        (method.upper(), address.removeprefix("/api/projects/{project}/")) for method, address, _ in managed(document)
    }
    missing = {(method, address) for method, address in routes() if (method, address) not in known}
    assert missing == set()


def test_every_operation_says_how_it_is_refused_and_who_may(document: Any) -> None:
    for method, address, operation in managed(document):
        assert {"400", "401", "403", "404", "503"} <= set(operation["responses"]), (method, address)
        assert {"key": []} in operation["security"], (method, address)
        assert any(status.startswith("2") for status in operation["responses"]), (method, address)
    assert set(document["components"]["securitySchemes"]) >= {"key"}


def test_operations_have_names_of_their_own(document: Any) -> None:
    names = [operation["operationId"] for _, _, operation in managed(document)]
    assert len(names) == len(set(names))


def test_shapes_are_those_of_the_views(document: Any) -> None:
    made = document["paths"]["/api/projects/{project}/destinations"]["post"]
    assert made["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/NewDestination")
    assert made["responses"]["201"]["content"]["application/json"]["schema"]["$ref"].endswith("/MadeDestination")
    assert document["components"]["schemas"]["PersonaShown"]["properties"]["status"]["enum"]


def test_examples_come_from_the_reference(document: Any) -> None:
    shown = document["paths"]["/api/projects/{project}/changes"]["get"]["responses"]["200"]
    assert shown["content"]["application/json"]["example"]["results"][0]["op"] == "enter"


def test_making_it_says_nothing_in_warning(capsys: pytest.CaptureFixture[str]) -> None:
    schema.document.cache_clear()
    schema.document()
    ours = [line for line in capsys.readouterr().err.splitlines() if "Warning" in line and "/delivery/" in line]
    assert ours == []


def test_the_page_loads_only_what_is_here() -> None:
    answer = Client().get("/api/docs/")
    text = answer.content.decode()
    assert answer.status_code == 200
    sources = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert sources
    for source in sources:
        assert source.startswith("/"), source
        if source.startswith("/static/"):
            assert Client().get(source).status_code == 200, source
    assert "'unsafe-inline'" not in answer["Content-Security-Policy"].split("style-src")[0]
    assert "<script>" not in text
