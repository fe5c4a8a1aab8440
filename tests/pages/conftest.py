"""A project with its lanes, and people who are signed in."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from keys.models import Project
from tests.pages import rows
from tests.signing_in import signed_in


@pytest.fixture
def shop(project: Project) -> Project:
    rows.make_lanes(project)
    return project


@pytest.fixture
def as_alice(alice: User) -> Client:
    return signed_in(alice)


@pytest.fixture
def as_bob(bob: User) -> Client:
    return signed_in(bob)


@pytest.fixture
def as_charlie(charlie: User) -> Client:
    return signed_in(charlie)
