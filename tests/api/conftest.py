"""A program that calls the management API with a key, and people who are signed in."""

from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import User
from django.test import Client

from keys.models import Project
from keys.services import issue_key
from tests.signing_in import signed_in

Json = dict[str, Any]


class Api:
    """The management API of one project, as a program with one key sees it."""

    def __init__(self, project: str, key: str = "", user: User | None = None) -> None:
        self.root = f"/api/projects/{project}/"
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self.client = Client(headers=headers) if user is None else signed_in(user)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and decoded JSON."""
        options: Json = {} if body is None else {"data": body, "content_type": "application/json"}
        response = self.client.generic(method, self.root + path, **_encoded(options))
        assert response["X-Request-Id"]
        return response.status_code, response.json() if response.content else None

    def get(self, path: str) -> Any:
        """The JSON of a 200."""
        status, answer = self.ask("GET", path)
        assert status == 200, answer
        return answer


def _encoded(options: Json) -> Json:
    return options | ({"data": msgspec.json.encode(options["data"])} if "data" in options else {})


@pytest.fixture
def secret(project: Project, alice: User) -> str:
    return issue_key(project=project, kind="sk", name="server", actor=alice)[1]


@pytest.fixture
def api(project: Project, secret: str) -> Api:
    return Api(project.slug, secret)
