"""Who presses, as services want it for the audit log."""

from django.contrib.auth.models import User
from django.http import HttpRequest


def person(request: HttpRequest) -> User:
    """Who is signed in; the doors let nobody else in."""
    if not isinstance(request.user, User):
        raise TypeError("a form was reached without a signed-in person")
    return request.user
