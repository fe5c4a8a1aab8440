"""What is over goes after a while; what waits stays, and dead letters stay longer."""

import pytest
from django.contrib.auth.models import User
from django.db import connection

from delivery import upkeep
from delivery.sending import turn
from keys.models import Project
from persona.lib.clock import MS_PER_DAY
from tests.delivery.conftest import deliveries, visit, webhook
from tests.delivery.receiver import Receiver

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("days", "left"), [(1, 3), (8, 2), (31, 1)])
def test_what_is_kept_and_for_how_long(shop: Project, inbox: Receiver, alice: User, days: int, left: int) -> None:
    hook = webhook(shop, inbox.url, alice)
    visit(shop, "ann", "bob", "cem")
    turn.deliver_some()
    first, second, _ = deliveries(hook)
    with connection.cursor() as cursor:
        cursor.execute("update delivery_attempt set created_at = created_at - %s", [days * MS_PER_DAY])
        cursor.execute("update delivery_attempt set status = 'dead' where id = %s", [first.pk])
        cursor.execute("update delivery_attempt set status = 'waiting' where id = %s", [second.pk])
    upkeep.keep_up()
    assert len(deliveries(hook)) == left
