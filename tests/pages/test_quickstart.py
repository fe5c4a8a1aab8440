"""The quickstart page: whose it is, and a key that is shown once."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from keys.models import ApiKey, Project

pytestmark = pytest.mark.django_db(transaction=True)


def test_doors(client: Client, project: Project, alice: User, charlie: User) -> None:
    assert client.get("/quickstart").status_code == 302
    client.force_login(charlie)
    assert client.get("/quickstart?project=shop").status_code == 404
    assert client.post("/quickstart", {"project": "shop"}).status_code == 404
    assert client.post("/quickstart").status_code == 403
    assert not ApiKey.objects.exists()
    client.force_login(alice)
    page = client.post("/quickstart", {"project": "shop"})
    assert 'persona.init("<span data-key-shown>pk_' in page.content.decode()
    assert "pk_live_" not in client.get("/quickstart").content.decode()
